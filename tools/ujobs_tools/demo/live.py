"""`ujobs run`: a Jobs service and a virtual board that restarts when the application's files change."""

import contextlib
import errno
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from ujobs_tools.aws import cloud, fleet
from ujobs_tools.board.files import application_files, make_board_files, make_own_files
from ujobs_tools.board.image import ImageError, build_image, read_files
from ujobs_tools.board.settings import make_settings
from ujobs_tools.host.files import in_words
from ujobs_tools.host.processes import kill_group, running
from ujobs_tools.host.terminal import plain
from ujobs_tools.project.ujobs_toml import Project, ProjectError
from ujobs_tools.service.in_thread import LocalService
from ujobs_tools.service.page.presence import VirtualBoard
from ujobs_tools.service.server import Address, CannotListen

_LOOK = 0.3  # seconds between checks of the files
# On the board's flash: what would start another application than the project's. Versions that jobs installed, a trial,
# and the count of safe mode.
_REPLACED = ("/app/", "/app-b/", "/app-slot", "/app.version", "/app-b.version", "/settings.old", "/starts.count")
_TRIAL = "/trial"


class NotStarted(Exception):
    """The project cannot run; the text gives the reason."""


class LiveProject:
    """A context manager that runs a project in a temporary folder. say: called with each line for the user. Raises
    OSError or ValueError for files that are not an application."""

    def __init__(self, project: Project, say: Callable[[str], None]) -> None:
        if project.app is None:
            raise ProjectError(f"{project.folder / 'ujobs.toml'} names no app: add app = \"app\"")
        application_files(project.app)  # a missing one is said before anything starts
        self._project = project
        self._app = project.app
        self._say = say
        self._stack = contextlib.ExitStack()
        self._board = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes]
        self._on_page: VirtualBoard
        self._power_cut = threading.Event()

    def __enter__(self) -> "LiveProject":
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ujobs-run-")))
            self._image = folder / "flash.img"
            try:
                self._service = stack.enter_context(LocalService(folder / "service", self._address()))
            except CannotListen as error:
                if getattr(error.__cause__, "errno", None) != errno.EADDRINUSE:
                    raise NotStarted(str(error)) from error
                raise NotStarted(
                    f"{self._project.endpoint_url} is in use: stop the other `ujobs run` or `ujobs serve`, or change "
                    "the port in endpoint_url of ujobs.toml"
                ) from error
            name = self._project.thing or self._project.folder.name
            self._thing = fleet.create_thing(name, folder / "thing", self._service.url)
            self._seen = self._stamps()
            build_image(self._image, make_board_files(self._settings(), self._thing.directory, self._app))
            self._on_page = self._service.call(lambda service: service.page.presence.add_board(name, self.cut_power))
            where = "" if self._service.url == self._project.endpoint_url else f" --endpoint-url {self._service.url}"
            self._say(f"service:    {self._service.url}")
            self._say(f"live page:  {self._service.url}/#/things/{name}")
            self._say(f"board:      {name}, with {self._app}")
            self._say(f"a job:      ujobs job create JOB-ID{where} --document '{{\"operation\": \"NAME\"}}'")
            stack.push(self._board)
            self._start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def follow(self) -> None:
        """Watch the files until the board stops; then raise NotStarted."""
        while True:
            time.sleep(_LOOK)
            self.look()

    def cut_power(self) -> None:
        """Cut the board's power; the next look() starts the board again."""
        self._power_cut.set()
        kill_group(self._process)

    def look(self) -> bool:
        """Restart the board if its power was cut or if files changed since the last call; returns whether it did.

        Raises NotStarted if the board has stopped without either.
        """
        if self._power_cut.is_set():
            self._say("--- power cut: the board starts again ---")
            self._board.close()
            self._start()
            return True
        if self._process.poll() is not None:
            raise NotStarted(f"the board stopped with exit code {self._process.returncode}")
        stamps = self._stamps()
        if stamps == self._seen:
            return False
        changed = sorted(str(path) for path in stamps.keys() ^ self._seen.keys()) or sorted(
            str(path) for path in stamps if stamps[path] != self._seen.get(path)
        )
        self._seen = stamps
        try:
            own = make_own_files(self._settings(), self._thing.directory, self._app)
        except (OSError, ValueError) as error:
            self._say(f"--- not used, the board continues unchanged: {in_words(error)} ---")
            return False
        self._say(f"--- changed: {', '.join(changed)}: the board starts again ---")
        self._board.close()
        kept = {name: content for name, content in read_files(self._image).items() if not name.startswith(_REPLACED)}
        if kept.pop(_TRIAL, None):
            kept["/trial-failed"] = b"replaced by ujobs run"
        try:
            build_image(self._image, kept | {f"/{name}": content for name, content in own.items()})
        except ImageError as error:
            self._say(f"--- not used, the board starts unchanged: {error} ---")
        self._start()
        return True

    def _start(self) -> None:
        self._power_cut.clear()
        self._board.enter_context(self._powered())

    @contextlib.contextmanager
    def _powered(self) -> Iterator[None]:
        command = [sys.executable, "-m", "ujobs_tools.board.run_image", str(self._image)]
        with contextlib.ExitStack() as last, running(command, subprocess.PIPE) as self._process:
            reader = threading.Thread(target=self._read, args=(self._process,), name="console", daemon=True)
            reader.start()
            last.callback(reader.join)  # so that all of the board's output is shown
            yield

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for raw in lines:
                text = plain(raw.decode(errors="replace").rstrip("\r\n"))
                self._say(text)
                self._service.call(lambda service, text=text: self._on_page.line(text))

    def _settings(self) -> dict[str, object]:
        overrides = {"thing": self._thing.name, "host": self._thing.host, "port": self._thing.port}
        return make_settings(self._project.settings, overrides, [])

    def _stamps(self) -> dict[Path, int]:
        files = []
        with contextlib.suppress(OSError):  # while an editor replaces a file
            files = list(application_files(self._app).values())
        if self._project.settings is not None:
            files.append(self._project.settings)
        stamps = {}
        for path in files:
            with contextlib.suppress(OSError):
                stamps[path] = path.stat().st_mtime_ns
        return stamps

    def _address(self) -> Address:
        url = self._project.endpoint_url
        if url is None or not cloud.is_local(url):
            return Address()
        parts = urlsplit(url)
        return Address(http_port=parts.port or 80)
