"""Installs the packages on a bare board with mip: mpremote's, and the board's own."""

import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from board_process import StartBoard
from mpremote_board import MpremoteBoard
from ujobs_tools.board import umqtt
from ujobs_tools.board.image import build_image, read_files

ROOT = Path(__file__).parents[2]
PARTS = sorted((ROOT / "lib").glob("ujobs-*.json"))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Do not log requests."""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a package index with umqtt.simple, in the format of MicroPython's; the repository is at /ujobs."""
    folder = tmp_path_factory.mktemp("index")
    content = (umqtt.find()[0] / "umqtt" / "simple.py").read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:8]
    package = json.dumps({"v": 1, "version": "1", "hashes": [["umqtt/simple.py", digest]]})
    for path, data in {
        f"file/{digest[:2]}/{digest}": content,
        "package/6/umqtt.simple/latest.json": package.encode(),
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    (folder / "ujobs").symlink_to(ROOT)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def board(tmp_path: Path, start_board: StartBoard) -> MpremoteBoard:
    """A board with empty flash, and enough heap for compiling, because mip installs sources."""
    build_image(tmp_path / "flash.img", {}, blocks=128)
    return MpremoteBoard(start_board, tmp_path / "flash.img", "--heap", "512k")


def installed(folder: Path) -> set[str]:
    """Return the files on the board of this test, as paths relative to lib/."""
    return {path.removeprefix("/lib/") for path in read_files(folder / "flash.img")}


def targets(package: Path) -> set[str]:
    return {target for target, _ in json.loads(package.read_text())["urls"]}


def test_the_core_alone_works_and_every_handler_can_be_added(
    board: MpremoteBoard, index: str, tmp_path: Path
) -> None:
    # The core from an address, the handlers from files.
    board.mpremote("mip", "install", "--index", index, f"{index}/ujobs/package.json")
    assert installed(tmp_path) == targets(ROOT / "package.json") | {"umqtt/simple.py"}
    made = "import ujobs; link = ujobs.Link('t', 'h'); print(ujobs.Agent('t', link=link).link is link)"
    assert board.mpremote("exec", made) == "True\n"
    assert board.mpremote("exec", "import ujobs.certificates; from ujobs import trial; print(trial.slot())") == "/app\n"

    assert PARTS
    board.mpremote("mip", "install", "--index", index, *PARTS)
    expected = {path.relative_to(ROOT / "lib").as_posix() for path in (ROOT / "lib" / "ujobs").rglob("*.py")}
    assert installed(tmp_path) == expected | {"umqtt/simple.py"}
    for part in PARTS:
        names = [target[:-3].replace("/", ".") for target in targets(part) if not target.endswith("__init__.py")]
        assert board.mpremote("exec", f"for name in {names}: __import__(name)\nprint('all')") == "all\n"


def test_the_board_s_own_mip_takes_them(board: MpremoteBoard, index: str, tmp_path: Path) -> None:
    for name in ("package.json", "lib/ujobs-reboot.json"):
        said = board.mpremote("exec", f"import mip; mip.install('{index}/ujobs/{name}', index='{index}')")
        assert said.endswith("Done\n"), said
    there = targets(ROOT / "package.json") | targets(ROOT / "lib" / "ujobs-reboot.json")
    assert installed(tmp_path) == there | {"umqtt/simple.py"}
    assert board.mpremote("exec", "import ujobs.handlers.reboot as it; print(callable(it.run))") == "True\n"
