"""`ujobs serve` as a process that can be killed and started again."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ujobs_tools.host import processes
from ujobs_tools.host.processes import NotReady, read_ready_file, running, ujobs

_COMMON_LIMIT = 1024  # the soft limit on open files with which most systems start programs


class UjobsServe:
    """`ujobs serve` with its data in a folder; started again, it has the same ports. options: for its command line."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self.authority = folder / "data" / "pki"
        self._ports: list[str] = []
        self._at_end = contextlib.ExitStack()

    def start(self) -> None:
        """Start it, with the soft limit on open files of most systems, and return when it serves. Raises NotReady."""
        ready_file = self._folder / "ready.json"
        ready_file.unlink(missing_ok=True)
        serve = ujobs("serve", "--data", self._folder / "data", "--ready-file", ready_file, *self._options,
                      *self._ports)
        command = ["sh", "-c", f'ulimit -S -n {_COMMON_LIMIT} && exec "$@"', "sh", *serve]
        with (self._folder / "serve.log").open("ab") as log:
            self._process = self._at_end.enter_context(running(command, log))
        try:
            found = read_ready_file(ready_file, self._process)
        except NotReady as error:
            raise NotReady(f"{error}: {self.log}") from error
        self.endpoint_url, self.mqtts, self.mqtt = found["http"], found["mqtts"], found["mqtt"]
        http_port = self.endpoint_url.rpartition(":")[2]
        self._ports = ["--http-port", http_port, "--mqtts-port", str(self.mqtts), "--mqtt-port", str(self.mqtt)]

    def kill(self) -> None:
        """End it with SIGKILL."""
        processes.kill_group(self._process)

    def stop(self) -> None:
        """End it with SIGTERM."""
        self._at_end.close()

    @property
    def log(self) -> str:
        """Everything that it has logged."""
        return (self._folder / "serve.log").read_text()


@contextlib.contextmanager
def ujobs_serve(folder: Path, *options: str) -> Iterator[UjobsServe]:
    """`ujobs serve` with its data in a folder, until the end of `with`. options: for its command line."""
    service = UjobsServe(folder, *options)
    try:
        service.start()
        yield service
    finally:
        service.stop()
