"""`ujobs serve` as a process: start, failure to start, stop, kill and restart; its clock and timers."""

import asyncio
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from mqtt_wire import WireClient, packet
from service_process import serving
from typer.testing import CliRunner

from ujobs_tools.aws import cloud
from ujobs_tools.cli import app
from ujobs_tools.host.processes import ujobs, wait_until
from ujobs_tools.service.server import Address, Clock, Service, serve


def run(*options: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `ujobs serve` until it ends."""
    return subprocess.run(ujobs("serve", *options), capture_output=True, text=True, timeout=120)


def test_the_ready_file_says_where_to_connect(tmp_path: Path) -> None:
    with serving(tmp_path, "--data", tmp_path / "data") as service:
        assert service.found.keys() == {"http", "mqtts", "mqtt", "https", "ca"}
        assert service.found["ca"] == str(tmp_path / "data" / "pki" / "ca.pem")
        assert service.iot.list_things()["things"] == []
        with service.device("kiln", service.context_of_thing("kiln")) as device:
            device.ask("get")
    assert not (tmp_path / "ready.json").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_quietly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    with serving(tmp_path) as service:
        assert list(temporary.iterdir()), "without --data its files are in a temporary folder"
        context = service.context_of_thing("kiln")
        http_port = int(service.found["http"].rpartition(":")[2])
        with (
            service.device("kiln", context) as device,
            WireClient(service.found["mqtt"]) as plain,
            WireClient(service.found["mqtts"]),  # never begins its handshake
            WireClient(http_port) as upload,
        ):
            assert plain.connect("saw", clean=False) == (0, 0)
            upload.send(b"PUT /jobs/one HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
            device.ask("get")
            service.process.send_signal(number)
            assert service.process.wait(60) == 0
            assert device.is_closed()
            assert plain.is_closed()
        lines = [line for line in service.output().splitlines() if " INFO " not in line]
    assert len(lines) == 5, f"where to connect, and no warning: {lines}"
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "ready.json").exists()


@pytest.mark.parametrize("name", ["http", "mqtts", "mqtt", "https"])
def test_a_port_in_use_is_named_in_one_line(tmp_path: Path, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run(f"--{name}-port", str(port))
    assert ended.returncode == 1
    advice = f"choose another with --{name}-port, or 0 for any free one"
    assert ended.stderr == f"ujobs serve: {name.upper()} port {port} on 127.0.0.1: Address already in use: {advice}\n"
    assert ended.stdout == ""


def test_a_ready_file_of_a_killed_service_goes_even_when_the_next_cannot_start(tmp_path: Path) -> None:
    stale = tmp_path / "stale.json"
    stale.write_text("{}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert run("--ready-file", stale, "--mqtts-port", str(taken.getsockname()[1])).returncode == 1
    assert not stale.exists()


def test_ports_can_be_chosen(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with serving(tmp_path, "--mqtts-port", str(port)) as service:
        assert service.found["mqtts"] == port


def test_with_data_the_default_ports_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Address] = []

    async def no_service(service: object, address: Address, *_: object) -> None:
        taken.append(address)

    monkeypatch.setattr("ujobs_tools.commands.serve._run", no_service)
    for number, options in enumerate(([], ["--http-port", "0"], ["--mqtts-port", "9883"])):
        assert CliRunner().invoke(app, ["serve", "--data", str(tmp_path / str(number)), *options]).exit_code == 0
    assert CliRunner().invoke(app, ["serve"]).exit_code == 0
    assert [(one.http_port, one.mqtts_port, one.https_port) for one in taken] == [
        (8080, 8883, 8443), (0, 8883, 8443), (8080, 9883, 8443), (0, 0, 0),
    ]


def test_other_reasons_not_to_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(tmp_path, "--data", data):
        ended = run("--data", data)
        assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (1, "", 1)
        assert ended.stderr.startswith(f"ujobs serve: {data / 'jobs.sqlite'}")
    (data / "pki" / "ca.pem").write_text("damaged")
    ended = run("--data", data)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    assert "ca.pem" in ended.stderr
    assert "damaged" in ended.stderr
    assert run("--log-level", "loud").returncode == 2
    assert run("--clock-speed", "0").returncode == 2


@pytest.mark.parametrize("level", ["info", "warning"])
def test_the_log_depends_on_the_level(tmp_path: Path, level: str) -> None:
    with serving(tmp_path, "--log-level", level) as service:
        with service.device("kiln", service.context_of_thing("kiln")) as device:
            device.subscribe("workshop/a")
            device.send(b"\x30\x03\x00\x01+")
            assert device.is_closed()
        assert ("INFO kiln connected as kiln" in service.output()) == (level == "info")
        assert "WARNING kiln closed: publish to +" in service.output()


def test_everything_survives_a_kill(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(tmp_path, "--data", data) as first:
        context = first.context_of_thing("kiln")
        first.create_job("one", "kiln")
        first.create_job("two", "kiln")
        with first.device("kiln", context) as device:
            device.ask("start-next", statusDetails={"step": "1"})
        first.process.kill()
        first.process.wait()
    with serving(tmp_path, "--data", data) as second:
        # The certificate and the CA are those of the first service.
        with second.device("kiln", context) as device:
            started = device.ask("start-next")["execution"]
            assert (started["jobId"], started["versionNumber"]) == ("one", 2)
            assert started["statusDetails"] == {"step": "1"}
            device.subscribe(device.topic("notify-next"))
            device.ask("one/update", status="SUCCEEDED", expectedVersion=2)
            assert device.reply()[1]["execution"]["jobId"] == "two"
        assert second.execution("one", "kiln")["status"] == "SUCCEEDED"


def test_a_fast_clock_times_out_by_itself_and_says_so(tmp_path: Path) -> None:
    with serving(tmp_path, "--clock-speed", "600") as service:
        assert "600 times as fast" in service.output()
        service.create_job("stepped", "kiln")
        service.create_job("limited", "kiln", timeoutConfig={"inProgressTimeoutInMinutes": 1})
        with service.device("kiln", service.context_of_thing("kiln")) as device:
            device.subscribe(device.topic("notify-next"))
            for job_id, request in (("stepped", {"stepTimeoutInMinutes": 1}), ("limited", {})):
                assert device.ask("start-next", **request)["execution"]["jobId"] == job_id
                device.reply()
                assert service.execution(job_id, "kiln")["status"] == "TIMED_OUT"


def test_timers_continue_while_the_service_is_stopped(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(tmp_path, "--data", data, "--clock-speed", "60") as first:
        first.create_job("one", "kiln")
        with first.device("kiln", first.context_of_thing("kiln")) as device:
            device.ask("start-next", stepTimeoutInMinutes=2)
        first.process.kill()
        first.process.wait()
    with serving(tmp_path, "--data", data, "--clock-speed", "600") as second:
        wait_until(lambda: second.execution("one", "kiln")["status"] == "TIMED_OUT", "TIMED_OUT", 10)


def test_the_clock_continues_from_the_stored_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1000.0)
    assert Clock(1.0, 5000.0)() >= 5000
    assert 1000 <= Clock(1.0, 500.0)() < 1001
    clock = Clock(60.0, None)
    assert clock.real_seconds_until(clock() + 60) == pytest.approx(1, abs=0.01)
    assert clock.real_seconds_until(0) == 0


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux counts the time in which it sleeps")
def test_the_clock_is_right_after_the_computer_slept_or_its_clock_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, elapsed = Clock(1.0, None), time.clock_gettime
    before = clock()
    monkeypatch.setattr("time.time", lambda: 0.0)
    monkeypatch.setattr("time.clock_gettime", lambda kind: elapsed(kind) + 3600 * (kind == time.CLOCK_BOOTTIME))
    assert 3600 <= clock() - before < 3660


def test_time_does_not_run_backwards_after_a_fast_clock(tmp_path: Path) -> None:
    async def work(speed: float) -> float:
        service = Service(tmp_path, speed)
        began = service.engine.clock()
        arn = service.engine.create_thing("kiln")["thingArn"]
        service.engine.create_job(f"job-{int(speed)}", [arn], "{}")
        await service.stop()
        return began

    before = time.time()
    asyncio.run(work(1_000_000))
    assert asyncio.run(work(1)) > before + 60


def test_the_service_stops_if_its_timers_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(tmp_path)

    def fail() -> float:
        raise RuntimeError("as a damaged database would")

    monkeypatch.setattr(service.engine, "next_deadline", fail)

    async def run_service() -> None:
        await asyncio.wait_for(serve(service, Address(), asyncio.Event(), lambda found: None), 10)

    with pytest.raises(RuntimeError, match="damaged database"):
        asyncio.run(run_service())


def test_boards_on_the_network_use_the_given_name(tmp_path: Path) -> None:
    with serving(tmp_path, "--data", tmp_path / "data", "--host", "127.0.0.2", "--name", "127.0.0.2") as service:
        endpoint = service.iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
        assert endpoint == f"127.0.0.2:{service.found['mqtts']}"
        assert endpoint in service.output()
        context = service.context_of_thing("kiln")
        with (
            socket.create_connection(("127.0.0.2", service.found["mqtts"]), timeout=10) as connection,
            context.wrap_socket(connection, server_hostname="127.0.0.2") as secure,
        ):
            assert secure.version() is not None
        # MQTT without TLS does not authenticate clients, so it only listens on the loopback interface.
        socket.create_connection(("127.0.0.1", service.found["mqtt"]), timeout=10).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", service.found["mqtt"]), timeout=10)


def test_the_log_shows_the_course_of_a_job(tmp_path: Path) -> None:
    with serving(tmp_path, "--data", tmp_path / "data") as service:
        iot, data = (cloud.client(name, service.found["http"]) for name in ("iot", "iot-jobs-data"))
        arn = iot.create_thing(thingName="kiln")["thingArn"]
        with WireClient(service.found["mqtt"]) as first, WireClient(service.found["mqtt"]) as second:
            assert first.connect("kiln") == (0, 0)
            assert second.connect("kiln") == (0, 0)
            iot.create_job(jobId="a", targets=[arn], document="{}")
            data.start_next_pending_job_execution(thingName="kiln")
            data.update_job_execution(
                thingName="kiln", jobId="a", status="IN_PROGRESS", statusDetails={"progress": "1/2"}
            )
            data.update_job_execution(thingName="kiln", jobId="a", status="FAILED", statusDetails={"reason": "no gas"})
            second.send(packet(0xE0))
            assert second.is_closed()
        told = service.output()
    position = 0
    for part in (
        "kiln connected as kiln", "two boards use the same client id", "job a queued for kiln",
        "kiln: job a IN_PROGRESS", "progress: 1/2", "kiln: job a FAILED  reason: no gas", "job a COMPLETED",
        "kiln disconnected",
    ):
        found = told.find(part, position)
        assert found >= 0, f"{part} is not told in its place: {told}"
        position = found
