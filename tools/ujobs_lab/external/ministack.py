"""Runs MiniStack, an independent AWS emulator, on which the client is tested a second time.

It keeps its state in memory and its few files in a temporary folder. With AUTH=true, used here, it checks the policy of
the certificate, with the client id as the thing's name. Otherwise it would take the thing from the topics. It finds the
account of a connection by the certificate's fingerprint.
"""

import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ujobs_tools.aws import cloud
from ujobs_tools.aws.cloud import LOCAL_KEY, LOCAL_REGION
from ujobs_tools.host.processes import NotReady, running, wait_until

_READY = 30.0  # seconds


@dataclass(frozen=True)
class MiniStack:
    """A running MiniStack: endpoint_url for boto3; mqtts, the port for MQTT over mutual TLS at "localhost"."""

    endpoint_url: str
    mqtts: int


@contextlib.contextmanager
def ministack() -> Iterator[MiniStack]:
    """Run MiniStack on free ports of 127.0.0.1. Raises NotReady with the end of its log if it does not start."""
    with tempfile.TemporaryDirectory(prefix="ministack-") as folder:
        home = Path(folder)
        http, mqtts = _free_ports(2)
        url = f"http://127.0.0.1:{http}"
        log = home / "log"
        command = [sys.executable, "-m", "ujobs_lab.external.ministack_launcher"]
        with log.open("wb") as output, running(command, output, _environment(home, http, mqtts), home) as process:

            def ready() -> bool:
                if process.poll() is not None:
                    raise NotReady(f"MiniStack ended:\n{log.read_text(errors='replace')[-2000:]}")
                return b'"iot_mtls": "listening"' in _get(url + "/_ministack/ready")

            wait_until(ready, "MiniStack", _READY)
            yield MiniStack(url, mqtts)


def _environment(home: Path, http: int, mqtts: int) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return inherited | {
        "GATEWAY_PORT": str(http),
        "IOT_MTLS_PORT": str(mqtts),
        "BIND_HOST": "127.0.0.1",
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": LOCAL_KEY,
        "AWS_SECRET_ACCESS_KEY": LOCAL_KEY,
        "MINISTACK_REGION": LOCAL_REGION,
        "HOME": str(home),
        "TMPDIR": str(home),
        "STATE_DIR": str(home / "state"),
        "S3_DATA_DIR": str(home / "s3"),
    }


def _get(url: str) -> bytes:
    """The body of a successful reply, otherwise b""."""
    try:
        return cloud.get(url, timeout=1)
    except OSError:
        return b""


def _free_ports(count: int) -> list[int]:
    # MiniStack does not accept port 0. Hold all sockets open, so that the ports differ.
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
