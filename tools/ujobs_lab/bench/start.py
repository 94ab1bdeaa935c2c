"""From reset to the first publish on the virtual board, and where that time goes.

The firmware of the repository on littlefs, compiled, with Wi-Fi and a time server as the board's fakes have them, and
`ujobs serve` behind a proxy that notes TLS records. All times are those of this machine's clock: what boot.py prints of
it, and when the board's records have come. Wi-Fi takes 200 ms by itself here, a time server nothing, and the processor
is not a board's: what the figures show is the order of the steps, and which of them a change makes longer."""

import contextlib
import re
import statistics
import subprocess
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from ujobs_lab.bench import on_unix
from ujobs_lab.bench.cloud_at_work import Work, at_work
from ujobs_lab.bench.records import Records, records
from ujobs_lab.bench.sheet import Sheet
from ujobs_tools.board.files import make_board_files
from ujobs_tools.board.image import build_image
from ujobs_tools.board.settings import make_settings
from ujobs_tools.host.processes import NotReady, running, ujobs

_PATIENCE = 30.0  # seconds
_RESET = "board: start"
_MARKS = ("boot", "Wi-Fi", "clock", "set")  # of on_board/start_marks.py
_MARK = re.compile(r"mark: (.+) at (\d+)")
_RECORDS = 3  # CONNECT, SUBSCRIBE, and the first PUBLISH: start-next
_WHOLE = "reset to first publish"
_STEPS = (
    "interpreter and file system", "import, settings, certificates", "Wi-Fi", "clock", "application, journal",
    "TLS", "connect and subscribe",
)  # fmt: skip


def measure(rounds: int = 5) -> dict[str, Any]:
    """Milliseconds of each step, the median of so many starts. Raises NotReady."""
    with tempfile.TemporaryDirectory(prefix="ujobs-bench-") as temporary:
        folder = Path(temporary)
        with at_work(folder) as service, records(service.mqtts) as proxy:
            work = Work(service, folder)
            image = folder / "flash.img"
            build_image(image, _files(work, proxy.port, folder))
            starts = [_start(image, proxy) for _ in range(rounds)]
    steps = [statistics.median(one) for one in zip(*starts, strict=True)]
    whole = statistics.median(sum(one) for one in starts)
    return {"rounds": rounds, "steps": dict(zip(_STEPS, steps, strict=True)), "all": whole}


def budgets(found: dict[str, Any]) -> dict[str, float]:
    """No figure here has a limit: they are the host's."""
    return {}


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """The table."""
    rows: list[tuple[str, ...]] = [(name, f"{taken:.0f}") for name, taken in found["steps"].items()]
    rows += [(), (_WHOLE, f"{found['all']:.0f}")]
    return [Sheet(f"Start of the virtual board, median of {found['rounds']}", ("", "ms"), rows, on_page=(_WHOLE,))]


def _files(work: Work, port: int, folder: Path) -> dict[str, bytes]:
    # Those of a board in the field, and an application that has nothing to do.
    application = folder / "app.py"
    application.write_text("def setup(agent):\n    pass\n")
    settings = make_settings(None, {"thing": work.thing.name, "host": "localhost", "port": port}, [])
    files = make_board_files(settings, work.thing.directory, application)
    marks = (on_unix.ON_BOARD / "start_marks.py").read_bytes()
    return files | {"boot.py": marks + b"\n" + files["boot.py"]}


def _start(image: Path, proxy: Records) -> list[float]:
    # Milliseconds of each step.
    proxy.forget()
    with running(ujobs("board", image), subprocess.PIPE) as board:
        assert board.stdout is not None
        marks: dict[str, float] = {}
        said: list[str] = []
        threading.Thread(target=_listen, args=(board.stdout, marks, said), daemon=True).start()
        deadline = time.monotonic() + _PATIENCE
        while len(proxy.sent) < _RECORDS:
            if time.monotonic() > deadline or board.poll() is not None:
                raise NotReady("the board has not published: " + "\n".join(said[-20:]))
            time.sleep(0.02)
    missing = {_RESET, *_MARKS} - set(marks)
    if missing:
        raise NotReady(f"the board has not said {', '.join(missing)}")
    times = [marks[_RESET], *(marks[mark] for mark in _MARKS), proxy.connected, proxy.sent[0], proxy.sent[_RECORDS - 1]]
    return [(after - before) * 1000 for before, after in pairwise(times)]


def _listen(output: IO[bytes], marks: dict[str, float], said: list[str]) -> None:
    with contextlib.suppress(ValueError):  # closed
        for line in output:
            now, text = time.monotonic(), line.decode(errors="replace").rstrip()
            said.append(text)
            if text.startswith(_RESET):
                marks.setdefault(_RESET, now)
            elif match := _MARK.match(text):
                marks.setdefault(match[1], int(match[2]) / 1e6)
