"""The servers under test: `ujobs serve` in a process that can be killed, and mosquitto with a responder."""

import contextlib
import json
import os
import resource
import selectors
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from ujobs_lab.bench import responder
from ujobs_lab.bench.control import ControlPlane
from ujobs_lab.bench.mqtt_client import MqttClient, Traffic, poll
from ujobs_tools.host import processes
from ujobs_tools.host.processes import NotReady, read_ready_file, running, ujobs
from ujobs_tools.keys.pki import Authority

_COMMON_LIMIT = 1024  # the soft limit on open files with which most systems start programs


@dataclass(frozen=True)
class Server:
    """mqtts, mqtt: ports. broker: id of the process with the connections. helper: id of the responder's process, if it
    has its own. create_job(job id, things): gives the time.monotonic() of the request."""

    mqtts: int
    mqtt: int
    broker: int
    helper: int | None
    create_job: Callable[[str, list[str]], "Future[float]"]


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

    def restart(self) -> None:
        """Stop it and start a new process, for figures of a fresh one."""
        self.stop()
        self.start()

    def server(self, control: ControlPlane) -> Server:
        """The same as a `Server`, which creates jobs through `control`."""
        return Server(self.mqtts, self.mqtt, self._process.pid, None, control.create_job)

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


@contextlib.contextmanager
def mosquitto(program: Path, folder: Path, authority: Path) -> Iterator[Server]:
    """mosquitto without persistence and without limits on queues, and the responder. folder: for configuration and log.
    authority: folder of a `pki.Authority`, whose server certificate it uses."""
    mqtt, mqtts = _free_port(), _free_port()
    configuration = folder / "mosquitto.conf"
    configuration.write_text(
        "allow_anonymous true\npersistence false\nset_tcp_nodelay true\nlog_type error\n"
        # By default it drops messages when 1000 wait: the comparison would not be fair.
        "max_inflight_messages 0\nmax_queued_messages 0\n"
        + ("user root\n" if os.geteuid() == 0 else "")
        + f"listener {mqtt} 127.0.0.1\nlistener {mqtts} 127.0.0.1\n"
        f"cafile {authority / 'ca.pem'}\ncertfile {authority / 'server.pem'}\nkeyfile {authority / 'server.key'}\n"
        "require_certificate true\nuse_identity_as_username true\n"
    )
    with (
        (folder / "mosquitto.log").open("ab") as log,
        running([str(program), "-c", str(configuration)], log) as broker,
        selectors.DefaultSelector() as selector,
    ):
        processes.wait_until(lambda: _accepts(mqtt) and _accepts(mqtts), "mosquitto", 10)
        command = [processes.ujobs()[0], "-m", responder.__name__, str(mqtt)]
        with running(command, subprocess.PIPE) as helper:
            assert helper.stdout is not None
            if helper.stdout.readline() != b"ready\n":
                raise NotReady("the responder behind mosquitto has ended")
            control = _Control(selector, mqtt)
            yield Server(mqtts, mqtt, broker.pid, helper.pid, control.create_job)
            control.close()


class _Control(MqttClient):
    """Asks the responder to create jobs. It is connected when the constructor returns."""

    def __init__(self, selector: selectors.BaseSelector, port: int) -> None:
        super().__init__("control", ("bench/none",), selector, Traffic())
        self._up = False
        self.open(port, None)
        while not self._up:
            poll(selector, 1.0)

    def subscribed(self) -> None:
        self._up = True

    def lost(self, reason: str) -> None:
        raise NotReady(f"mosquitto: {reason}")

    def create_job(self, job_id: str, things: list[str]) -> "Future[float]":
        began: Future[float] = Future()
        began.set_result(time.monotonic())
        self.publish(responder.CREATE, json.dumps({"jobId": job_id, "things": things}).encode())
        return began


def contexts(authority_folder: Path, certificates: dict[str, str]) -> dict[str, ssl.SSLContext]:
    """Make a TLS context for each thing. certificates: from ControlPlane.create_things.

    TLS 1.2, as on boards, without session resumption.
    """
    authority = Authority(authority_folder)
    path = authority_folder / "thing.pem"
    made = {}
    for name, pem in certificates.items():
        path.write_text(pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(cadata=authority.ca_pem.decode("ascii"))
        context.load_cert_chain(path)
        made[name] = context
    path.unlink()
    return made


def raise_open_files(needed: int) -> None:
    """Raise this process's soft limit on open files. Raises OSError if the hard limit is too low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise OSError(f"{needed} open files are needed and the system allows {hard} (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
