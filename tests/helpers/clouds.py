"""The two clouds that the tools and the board are tried against, as processes, behind one face."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ujobs_lab.external.ministack import ministack
from ujobs_tools.aws import cloud
from ujobs_tools.host.processes import kill_group, read_ready_file, running, ujobs


@dataclass(frozen=True)
class Cloud:
    """endpoint_url: for boto3. mqtts: port for devices at "localhost", mutual TLS. serve: the process of `ujobs serve`,
    None for MiniStack."""

    endpoint_url: str
    mqtts: int
    serve: subprocess.Popen[bytes] | None = None

    def iot(self) -> Any:
        """A boto3 client for the control plane."""
        return cloud.client("iot", self.endpoint_url)

    def ports(self) -> tuple[str, ...]:
        """Options for a `ujobs serve` to come in this one's place."""
        http_port = self.endpoint_url.rpartition(":")[2]
        return "--http-port", http_port, "--mqtts-port", str(self.mqtts)

    def die(self) -> None:
        """SIGKILL to `ujobs serve`."""
        assert self.serve is not None
        kill_group(self.serve)


@contextlib.contextmanager
def ujobs_serve(folder: Path, *options: str) -> Iterator[Cloud]:
    """`ujobs serve` with its state and log in a folder."""
    ready_file = folder / "ready.json"
    ready_file.unlink(missing_ok=True)  # of one that was killed
    command = ujobs("serve", "--data", folder / "data", "--ready-file", ready_file, *options)
    with (folder / "serve.log").open("ab") as log, running(command, log) as process:
        found = read_ready_file(ready_file, process)
        yield Cloud(found["http"], found["mqtts"], process)


@contextlib.contextmanager
def ministack_cloud() -> Iterator[Cloud]:
    """MiniStack, checking policies."""
    with ministack() as found:
        yield Cloud(found.endpoint_url, found.mqtts)


@contextlib.contextmanager
def named(name: str, folder: Path) -> Iterator[Cloud]:
    """The cloud called "serve" or "ministack"."""
    with ujobs_serve(folder) if name == "serve" else ministack_cloud() as found:
        yield found


NAMES = ("serve", "ministack")
