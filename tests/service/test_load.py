"""Many things work at the same time, the service is killed meanwhile, and more things connect than it has room for."""

import contextlib
import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from mqtt_wire import WireClient
from service_process import serving

from ujobs_lab.bench import servers
from ujobs_lab.bench.control import ControlPlane
from ujobs_lab.bench.servers import ujobs_serve
from ujobs_lab.bench.things import Things
from ujobs_lab.external import mosquitto
from ujobs_tools.service import broker

PATIENCE = 60.0  # seconds


def test_every_job_succeeds_once_though_the_service_is_killed_again_and_again(tmp_path: Path) -> None:
    names = [f"thing-{number}" for number in range(50)]
    jobs = {f"job-{number}": names for number in range(3)}
    with ujobs_serve(tmp_path) as service, ControlPlane(service.endpoint_url) as control:
        certificates = control.create_things(names)
        for job_id in jobs:
            control.create_job(job_id, names).result()
        with Things(servers.contexts(service.authority, certificates), service.mqtts) as things:
            things.connect()
            tally = things.tally
            for goal in (20, 100):
                # A thing that is not connected cannot lose its connection.
                things.run_until(
                    lambda goal=goal: len(tally.done) >= goal and things.all_answered,
                    f"{goal} jobs, all connected",
                    PATIENCE,
                )
                assert len(tally.done) < 150, "the service is killed while jobs are left"
                tally.cut_off.clear()
                service.kill()
                service.start()
                things.run_until(lambda: len(tally.cut_off) == 50, "all connections lost", PATIENCE)
            things.run_until(lambda: len(tally.done) == 150, "all jobs", PATIENCE)
        assert tally.wrong == []
        assert set(tally.done) == {(thing, job_id) for thing in names for job_id in jobs}
        assert control.verify(jobs) == []


def test_more_connections_than_the_usual_limit_on_open_files(tmp_path: Path) -> None:
    count = 1100
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < count + broker.SPARE_FILES:
        pytest.skip(f"this system allows a process {hard} open files")
    servers.raise_open_files(count + 100)
    with ujobs_serve(tmp_path) as service:  # starts with a soft limit of 1024
        names = [f"thing-{number}" for number in range(count)]
        with Things(dict.fromkeys(names), service.mqtt) as things:
            things.connect()
            things.run_until(lambda: things.all_answered, "all things connected", PATIENCE)
            assert not things.tally.losses


def test_connections_beyond_the_limit_on_open_files_are_refused_one_by_one(tmp_path: Path) -> None:
    with serving(tmp_path) as service, contextlib.ExitStack() as clients:
        hard = resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (broker.SPARE_FILES + 20, hard))
        connected = [clients.enter_context(WireClient(service.found["mqtt"])) for _ in range(20)]
        for number, client in enumerate(connected):
            assert client.connect(f"thing-{number}") == (0, 0)
        for _ in range(20):
            with WireClient(service.found["mqtt"]) as refused:
                assert refused.is_closed()
        for client in connected:
            client.ping()
        lines = [line for line in service.output().splitlines() if "WARNING" in line]
    assert len(lines) == 20
    assert all(line.endswith("connection closed: more than 20 connections") for line in lines), lines


def test_the_measurement_measures_the_same_messages_everywhere(tmp_path: Path) -> None:
    sizes = ["--things", "6", "--many", "8", "--jobs-per-thing", "2"]
    command = [sys.executable, "-m", "ujobs_lab.bench.service", *sizes]
    ended = subprocess.run(
        [*command, "--json", tmp_path / "found.json"], capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Nothing was lost" in ended.stdout
    found = json.loads((tmp_path / "found.json").read_text())
    expected = ["serve TLS", "serve", "serve TLS 8"]
    expected += ["mosquitto TLS", "mosquitto"] * (mosquitto.find("mosquitto") is not None)
    assert [result["name"] for result in found["results"]] == expected
    for result in found["results"]:
        things = 8 if result["name"].endswith("8") else 6
        jobs = 2 * things
        assert (result["jobs"], result["problems"], result["connections_lost"]) == (jobs, [], 0)
        assert result["sent_per_job"] == 3
        assert result["notify"] == 2 * (jobs + things)
        # The second job of a thing changes the front of its queue only if the first is over by then.
        assert jobs + things + 2 * things <= result["notify_next"] <= 2 * (jobs + things)
    assert found["kill"]["jobs"] == 6
    assert found["wrong"] == []
