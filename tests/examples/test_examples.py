"""Every example runs on the virtual board, as its README says, with `ujobs serve` for a cloud."""

import contextlib
import json
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from board_at_work import PATIENCE, BoardAtWork, board_at_work
from paho.mqtt.enums import CallbackAPIVersion

from clouds import Cloud, ujobs_serve
from ujobs_lab import REPOSITORY
from ujobs_tools import fleet
from ujobs_tools.board.files import make_board_files
from ujobs_tools.board.image import build_image, read_files
from ujobs_tools.processes import wait_until

EXAMPLES = REPOSITORY / "examples"


def test_blink(serve: Cloud, tmp_path: Path) -> None:
    with board_at_work(serve, "blink", tmp_path, EXAMPLES / "blink" / "app.py") as board:
        found = board.wait_for(board.give("blink", times=3, milliseconds=1))
        assert (found["status"], found["details"]) == ("SUCCEEDED", {"blinks": "3", "progress": "3/3"})
        for wrong in ({"times": 1000}, {"times": "3"}, {"milliseconds": 0}):
            found = board.wait_for(board.give("blink", **wrong))
            assert found["status"] == "REJECTED"
            assert next(iter(wrong)) in found["details"]["reason"]
        job = board.give("blink", times=100, milliseconds=500)
        board.wait_for(job, "IN_PROGRESS")
        board.iot.cancel_job(jobId=job, force=True)
        assert board.wait_for(board.give("blink", times=1, milliseconds=1))["status"] == "SUCCEEDED"


@contextlib.contextmanager
def readings_of(board: BoardAtWork, folder: Path) -> "Iterator[queue.Queue[dict[str, int]]]":
    """What the board publishes, as another thing receives it."""
    readings: queue.Queue[dict[str, int]] = queue.Queue()
    thing = fleet.create_thing("listener", folder, board.cloud.endpoint_url, topics=["sensors/*"])
    listener = paho.Client(CallbackAPIVersion.VERSION2, "listener")
    listener.tls_set(str(folder / "ca.pem"), str(folder / "cert.pem"), str(folder / "key.pem"))
    listener.on_connect = lambda client, *_: client.subscribe(f"sensors/{board.thing.name}", 1)
    listener.on_message = lambda _, __, message: readings.put(json.loads(message.payload))
    assert thing.port is not None
    listener.connect(thing.host, thing.port)
    listener.loop_start()
    try:
        yield readings
    finally:
        listener.disconnect()
        listener.loop_stop()


def test_sensor(serve: Cloud, tmp_path: Path) -> None:
    with (
        board_at_work(
            serve, "sensor", tmp_path, EXAMPLES / "sensor" / "app.py",
            topics=["sensors/${iot:Connection.Thing.ThingName}"],
        ) as board,
        readings_of(board, tmp_path / "listener") as readings,
    ):
        found = board.wait_for(board.give("interval", seconds=1))
        assert (found["status"], found["details"]) == ("SUCCEEDED", {"interval": "1", "before": "60"})
        reading: dict[str, Any] = {}
        while reading.get("interval") != 1:
            reading = readings.get(timeout=PATIENCE)
        assert reading["free"] > 10_000
        assert readings.get(timeout=PATIENCE)["interval"] == 1
        assert board.wait_for(board.give("interval", seconds=0))["status"] == "REJECTED"
        board.cut_power()
        board.start()
        found = board.wait_for(board.give("interval", seconds=3600))
        assert found["details"]["before"] == "1"


def test_calibration_goes_on_after_a_power_cut(serve: Cloud, tmp_path: Path) -> None:
    with board_at_work(serve, "calibration", tmp_path, EXAMPLES / "calibration" / "app.py") as board:
        job = board.give("calibrate", points=20)
        board.wait_for_progress(job, 5)
        board.cut_power()
        board.start()
        found = board.wait_for(job)
        assert found["status"] == "SUCCEEDED", board.said()
        details = found["details"]
        assert (details["gain"], details["offset"], details["progress"]) == ("1.2500", "-0.5000", "20/20")
        # What progress told had been saved.
        assert int(details["measured"]) <= 15
        assert json.loads(read_files(board.image)["/calibration.json"]).keys() == {"gain", "offset"}


SHORTER = {"ASLEEP = 600": "ASLEEP = 1", "AWAKE = 120": "AWAKE = 4"}  # seconds


@pytest.fixture
def node(tmp_path: Path) -> Iterator[BoardAtWork]:
    """The sleeping node, not switched on yet, in a cloud of its own."""
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
    assert "not done within" not in node.said()

    # Longer than one time awake.
    found = node.wait_for(node.give("measure", samples=10))
    assert (found["status"], found["details"]["samples"]) == ("SUCCEEDED", "10")
    assert int(found["details"]["starts"]) > 1

    # The cloud is gone when the result is there.
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
