"""Every example runs on the virtual board with `ujobs serve`, as its README describes."""

import contextlib
import json
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from board_at_work import PATIENCE, BoardAtWork
from clouds import ujobs_serve
from ujobs_lab import REPOSITORY
from ujobs_tools.aws import fleet
from ujobs_tools.board.files import make_board_files
from ujobs_tools.board.image import build_image
from ujobs_tools.host.processes import wait_until
from ujobs_tools.testing.jobs_service import JobsService
from ujobs_tools.testing.virtual_board import VirtualBoard

EXAMPLES = REPOSITORY / "examples"


@pytest.fixture
def ujobs_app(request: pytest.FixtureRequest) -> Path:
    """The example that the test's marker names."""
    return EXAMPLES / request.param / "app.py"


@pytest.fixture
def ujobs_topics() -> list[str]:
    return ["sensors/${iot:Connection.Thing.ThingName}"]


def example(name: str) -> pytest.MarkDecorator:
    """Mark a test of this example."""
    return pytest.mark.parametrize("ujobs_app", [name], indirect=True)


@example("blink")
def test_blink(service: JobsService, board: VirtualBoard) -> None:
    found = service.job("blink", times=3, milliseconds=1).wait()
    assert (found.status, found.details) == ("SUCCEEDED", {"blinks": "3", "progress": "3/3"})
    for wrong in ({"times": 1000}, {"times": "3"}, {"milliseconds": 0}):
        found = service.job("blink", **wrong).wait()
        assert found.status == "REJECTED"
        assert next(iter(wrong)) in found.details["reason"]
    job = service.job("blink", times=100, milliseconds=500)
    job.wait("IN_PROGRESS")
    service.cancel(job)
    assert service.job("blink", times=1, milliseconds=1).wait().status == "SUCCEEDED"


@contextlib.contextmanager
def readings_of(service: JobsService, folder: Path) -> "Iterator[queue.Queue[dict[str, int]]]":
    """The messages that the board publishes, received by another thing."""
    readings: queue.Queue[dict[str, int]] = queue.Queue()
    thing = fleet.create_thing("listener", folder, service.url, topics=["sensors/*"])
    listener = paho.Client(CallbackAPIVersion.VERSION2, "listener")
    listener.tls_set(str(folder / "ca.pem"), str(folder / "cert.pem"), str(folder / "key.pem"))
    listener.on_connect = lambda client, *_: client.subscribe(f"sensors/{service.thing.name}", 1)
    listener.on_message = lambda _, __, message: readings.put(json.loads(message.payload))
    assert thing.port is not None
    listener.connect(thing.host, thing.port)
    listener.loop_start()
    try:
        yield readings
    finally:
        listener.disconnect()
        listener.loop_stop()


@example("sensor")
def test_sensor(service: JobsService, board: VirtualBoard, tmp_path: Path) -> None:
    with readings_of(service, tmp_path / "listener") as readings:
        found = service.job("interval", seconds=600).wait()
        assert (found.status, found.details) == ("SUCCEEDED", {"interval": "600", "before": "60"})
        reading: dict[str, Any] = {}
        while reading.get("interval") != 600:
            reading = readings.get(timeout=PATIENCE)
        assert reading["free"] > 10_000

        def later() -> bool:
            # Not once: the board may not have begun to wait for the next reading yet.
            board.advance(minutes=10)
            return not readings.empty()

        wait_until(later, "the next reading", PATIENCE)
        assert readings.get()["interval"] == 600
        assert service.job("interval", seconds=0).wait().status == "REJECTED"
        board.cut_power()
        board.start()
        assert service.job("interval", seconds=3600).wait().details["before"] == "600"


@example("calibration")
def test_calibration_resumes_after_a_power_cut(service: JobsService, board: VirtualBoard) -> None:
    job = service.job("calibrate", points=60)
    wait_until(lambda: int(job.look().details.get("progress", "0").split("/")[0]) >= 5, "progress", PATIENCE)
    board.cut_power()
    board.start()
    found = job.wait()
    assert (found.status, found.attempts) == ("SUCCEEDED", 2)
    assert (found.details["gain"], found.details["offset"]) == ("1.2500", "-0.5000")
    assert found.details["progress"] == "60/60"
    # The number in progress had been saved.
    assert int(found.details["measured"]) <= 55
    assert json.loads(board.files["/calibration.json"]).keys() == {"gain", "offset"}


SHORTER = {"ASLEEP = 600": "ASLEEP = 1", "AWAKE = 120": "AWAKE = 4"}  # seconds


@pytest.fixture
def node(tmp_path: Path) -> Iterator[BoardAtWork]:
    """The sleeping node, not started yet, with its own service."""
    program = (EXAMPLES / "deep_sleep" / "main.py").read_text()
    for long, short in SHORTER.items():
        assert program.count(long) == 1
        program = program.replace(long, short)
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(ujobs_serve(tmp_path))
        thing = fleet.create_thing("node", tmp_path / "thing", cloud.endpoint_url)
        settings = json.loads((REPOSITORY / "firmware" / "settings.example.json").read_text())
        settings |= {"thing": "node", "host": "localhost", "port": cloud.mqtts}
        files = make_board_files(settings, thing.directory, EXAMPLES / "deep_sleep" / "app.py")
        board = BoardAtWork(cloud, thing, tmp_path, stack)
        build_image(board.image, files | {"main.py": program.encode()})
        yield board


def test_a_sleeping_node_loses_nothing(node: BoardAtWork, tmp_path: Path) -> None:
    jobs = [node.give("measure", samples=1), node.give("reboot"), node.give("measure", samples=2)]
    node.start()
    assert [node.wait_for(job)["status"] for job in jobs] == ["SUCCEEDED"] * 3, node.said()
    wait_until(lambda: "board: start, DEEPSLEEP_RESET" in node.said(), "sleep", PATIENCE)
    assert "time limit" not in node.said()

    # Longer than one wake-up.
    found = node.wait_for(node.give("measure", samples=10))
    assert (found["status"], found["details"]["samples"]) == ("SUCCEEDED", "10")
    assert int(found["details"]["starts"]) > 1

    # The service is stopped before the handler returns its result.
    job = node.give("measure", samples=3)
    node.wait_for(job, "IN_PROGRESS")
    node.cloud.die()
    wait_until(lambda: "measured 3 samples" in node.said(), "result", PATIENCE)
    sleeps = node.said().count("board: deep sleep")
    wait_until(lambda: node.said().count("board: deep sleep") > sleeps, "sleep", PATIENCE)
    with ujobs_serve(tmp_path, *node.cloud.ports()):
        found = node.wait_for(job)
    assert (found["status"], found["details"]["samples"]) == ("SUCCEEDED", "3"), node.said()
    assert node.said().count("measured 3 samples") == 1
