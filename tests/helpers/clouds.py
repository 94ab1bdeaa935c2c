"""The two clouds of the tests, as processes with the same interface: `ujobs serve` and MiniStack."""

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
    """A cloud. endpoint_url: for boto3. mqtts: port for devices at "localhost", mutual TLS. serve: process of `ujobs
    serve`; None for MiniStack."""

    endpoint_url: str
    mqtts: int
    serve: subprocess.Popen[bytes] | None = None

    def iot(self) -> Any:
        """Return a boto3 client for the control plane."""
        return cloud.client("iot", self.endpoint_url)

    def ports(self) -> tuple[str, ...]:
        """Return the options for a `ujobs serve` that replaces this one."""
        http_port = self.endpoint_url.rpartition(":")[2]
        return "--http-port", http_port, "--mqtts-port", str(self.mqtts)

    def die(self) -> None:
        """Send SIGKILL to `ujobs serve`."""
        assert self.serve is not None
        kill_group(self.serve)


@contextlib.contextmanager
def ujobs_serve(folder: Path, *options: str) -> Iterator[Cloud]:
    """Run `ujobs serve` with its data and log in a folder."""
    ready_file = folder / "ready.json"
    ready_file.unlink(missing_ok=True)  # left by a killed service
    command = ujobs("serve", "--data", folder / "data", "--ready-file", ready_file, *options)
    with (folder / "serve.log").open("ab") as log, running(command, log) as process:
        found = read_ready_file(ready_file, process)
        yield Cloud(found["http"], found["mqtts"], process)


@contextlib.contextmanager
def ministack_cloud() -> Iterator[Cloud]:
    """Run MiniStack with policy checks."""
    with ministack() as found:
        yield Cloud(found.endpoint_url, found.mqtts)


@contextlib.contextmanager
def named(name: str, folder: Path) -> Iterator[Cloud]:
    """Run the cloud named "serve" or "ministack"."""
    with ujobs_serve(folder) if name == "serve" else ministack_cloud() as found:
        yield found


NAMES = ("serve", "ministack")
