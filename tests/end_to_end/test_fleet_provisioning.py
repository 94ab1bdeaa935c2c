"""One image for many boards: each gets its own certificate and name with its line's claim, then runs its jobs."""

import contextlib
import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import clouds
from board_at_work import APP, PATIENCE, BoardAtWork
from provisioning_role import make_role
from ujobs_tools.aws import claims
from ujobs_tools.aws.fleet import Thing
from ujobs_tools.board.files import make_board_files
from ujobs_tools.board.image import build_image
from ujobs_tools.host.processes import NotReady, wait_until

NOW = "this board is now "
_numbers = itertools.count(1)
# Appended to boot.py. /cuts has a number for each boot: the board stops before that rename until its power is cut.
STAND_STILL = b"""
import os, time
import ujobs.trial

try:
    with open("/cuts") as file:
        cuts = file.read().split()
except OSError:
    cuts = []
if cuts:
    with open("/cuts", "w") as file:
        file.write(" ".join(cuts[1:]))

class Os:
    remove = os.remove
    left = int(cuts[0]) if cuts else 0

    @staticmethod
    def rename(old, new):
        Os.left -= new.startswith("/cert/") or new == "/settings.json"
        if Os.left == 0:
            print("stands still before", new, len(cuts))
            while True:
                time.sleep(1)
        os.rename(old, new)

ujobs.trial.os = Os
"""


class Line:
    """A production line in a cloud: its claim, and boards with the same image. claim: in the settings."""

    def __init__(self, cloud: clouds.Cloud, name: str, folder: Path, stack: contextlib.ExitStack) -> None:
        self.cloud, self.name, self.iot = cloud, name, cloud.iot()
        self._folder, self._stack = folder, stack
        role = make_role(cloud)
        self.directory = claims.create_claim(name, folder / "claim", None, role, cloud.endpoint_url).directory
        self.claim: dict[str, Any] = {"template": name}

    def image(self, boot: bytes = b"", **files: bytes) -> Path:
        """boot: code appended to boot.py."""
        settings = {
            "host": "localhost", "port": self.cloud.mqtts, "app": "app", "update_interval": 1,
            "handlers": ["reboot"], "claim": self.claim,
        }
        contents = make_board_files(settings, self.directory, APP)
        contents["boot.py"] += boot
        path = self._folder / "line.img"
        build_image(path, contents | files)
        return path

    def board(self, image: Path, number: int = 1) -> BoardAtWork:
        """A board with this image, just switched on."""
        folder = self._folder / str(number)
        folder.mkdir()
        shutil.copy(image, folder / "flash.img")
        board = BoardAtWork(self.cloud, Thing("", "", "", "", "", None, folder), folder, self._stack)
        board.start()
        return board

    def things(self) -> list[str]:
        """The names of the things that its boards have become."""
        names = [thing["thingName"] for thing in self.iot.list_things()["things"]]
        return [name for name in names if name.startswith(self.name + "-")]


@contextlib.contextmanager
def line_at(cloud: clouds.Cloud, name: str, folder: Path) -> Iterator[Line]:
    with contextlib.ExitStack() as stack:
        yield Line(cloud, name, folder, stack)


@pytest.fixture
def line(serve: clouds.Cloud, tmp_path: Path) -> Iterator[Line]:
    with line_at(serve, f"line-{next(_numbers)}", tmp_path) as found:
        yield found


def says(board: BoardAtWork, text: str) -> None:
    try:
        wait_until(lambda: text in board.said(), f"{text!r}", PATIENCE)
    except NotReady as error:
        raise AssertionError(f"{error}\n{board.said()}") from error


def becomes_a_thing(board: BoardAtWork) -> str:
    """Wait until the board prints its thing's name; returns the name."""
    says(board, NOW)
    name = board.said().rpartition(NOW)[2].split()[0]
    arn = board.iot.describe_thing(thingName=name)["thingArn"]
    board.thing = Thing(name, arn, "", "", "", None, board.image.parent)
    return name


def does_a_job(board: BoardAtWork) -> None:
    assert board.wait_for(board.give("quick", say="hello"))["status"] == "SUCCEEDED"


@pytest.mark.parametrize("name", clouds.NAMES)
def test_a_board_gets_its_identity_and_does_jobs_by_it(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with line_at(request.getfixturevalue(name), "whole-way", tmp_path) as line:
        board = line.board(line.image())
        thing = becomes_a_thing(board)
        assert thing.startswith("whole-way-")
        does_a_job(board)
        assert board.wait_for(board.give("reboot"))["status"] == "SUCCEEDED"
        does_a_job(board)
        board.cut_power()
        board.start()
        does_a_job(board)
        assert line.things() == [thing]
        assert len(line.iot.list_thing_principals(thingName=thing)["principals"]) == 1
        assert board.said().count(NOW) == 1


def test_one_image_serves_a_whole_line(line: Line) -> None:
    image = line.image()
    boards = [line.board(image, number) for number in range(2)]
    names = {becomes_a_thing(board) for board in boards}
    assert sorted(names) == line.things()
    assert len(names) == 2
    for board in boards:
        does_a_job(board)


def test_power_cuts_at_every_stage(line: Line) -> None:
    # The power is cut before each of these is in flash: the reply with the certificate; the reply with the name (for a
    # second certificate, because the first one's token is used up); the key; the certificate; the record without the
    # key; the settings.
    cuts = ["1", "2", "3", "2", "3", "4"]
    image = line.image(STAND_STILL, cuts=" ".join(cuts).encode())
    board = line.board(image)
    record = "/cert/cert.der.claim"
    files = (record, record, "/cert/key.der", "/cert/cert.der", record, "/settings.json")
    for left, file in zip(range(len(cuts), 0, -1), files, strict=True):
        says(board, f"stands still before {file} {left}")
        board.cut_power()
        board.start()
    name = becomes_a_thing(board)
    does_a_job(board)
    assert line.things() == [name]
    assert len(line.iot.list_thing_principals(thingName=name)["principals"]) == 2


def test_a_template_that_is_created_later(line: Line) -> None:
    found = line.iot.describe_provisioning_template(templateName=line.name)
    line.iot.delete_provisioning_template(templateName=line.name)
    board = line.board(line.image())
    says(board, "no thing yet: JobsError: InvalidTemplate")
    assert line.things() == []
    line.iot.create_provisioning_template(
        **{name: found[name] for name in ("templateName", "templateBody", "enabled", "provisioningRoleArn")}
    )
    # A restart avoids waiting for its next attempt; it continues with the certificate it has.
    board.cut_power()
    board.start()
    name = becomes_a_thing(board)
    does_a_job(board)
    assert len(line.iot.list_thing_principals(thingName=name)["principals"]) == 1


def test_a_template_that_the_claim_has_no_permission_for(line: Line) -> None:
    line.claim = {"template": "other"}
    board = line.board(line.image())
    says(board, "no link to localhost")
    assert line.things() == []


def test_a_claim_cannot_do_jobs(line: Line) -> None:
    name = f"{line.name}-x"
    arn = line.iot.create_thing(thingName=name)["thingArn"]
    line.iot.create_job(jobId=name, targets=[arn], document=json.dumps({"operation": "quick", "say": "x"}))
    settings = {"thing": name, "host": "localhost", "port": line.cloud.mqtts, "app": "app"}
    image = line.directory.parent / "thing.img"
    build_image(image, make_board_files(settings, line.directory, APP))
    board = line.board(image)
    says(board, "no link to localhost")
    found = line.iot.describe_job_execution(thingName=name, jobId=name)["execution"]
    assert found["status"] == "QUEUED"


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ({"template": 5}, "not started: settings: thing is missing"),
        ({"template": "line", "cert": "/missing.der"}, "not started: /missing.der: [Errno 2] ENOENT"),
        ({"template": "line", "key": "/settings.json"}, "not started: /settings.json: not an unencrypted private key"),
    ],
)
def test_invalid_claim_settings(line: Line, claim: dict[str, Any], said: str) -> None:
    image = line.image(**{"settings.json": json.dumps({"host": "localhost", "claim": claim}).encode()})
    board = line.board(image)
    says(board, said)
    assert "Traceback" not in board.said()
