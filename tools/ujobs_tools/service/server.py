"""The complete local Jobs service: engine, store, broker, HTTP API and timers in one asyncio loop.

It replaces AWS IoT Core; `engine`, `broker` and `http_api` can each be read alone."""

import asyncio
import errno
import logging
import os
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from ujobs_tools.keys import pki
from ujobs_tools.service import access, mqtt_api, provisioning_api, reserved_topics, streams_api
from ujobs_tools.service.broker import Broker
from ujobs_tools.service.device_http import ALPN, make_device_app
from ujobs_tools.service.engine import Engine
from ujobs_tools.service.errors import log_failure
from ujobs_tools.service.faults import Faults
from ujobs_tools.service.http_api import make_app
from ujobs_tools.service.objects import Objects
from ujobs_tools.service.packets import Message
from ujobs_tools.service.page.routes import Options, Page
from ujobs_tools.service.page.trouble import causes
from ujobs_tools.service.session import Session
from ujobs_tools.service.store import Store
from ujobs_tools.service.wire_record import WireRecord

_log = logging.getLogger(__name__)
_RETRY = 1.0  # seconds until expired timers are tried again on a full disk
_GRACE = 1.0  # seconds that running HTTP requests get to finish when the service stops


def _elapsed() -> float:
    """Seconds, unaffected when the computer's clock is set; on Linux with the time that a laptop sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Clock:
    """Epoch seconds that run `speed` times as fast as real time, starting at `start` or now, whichever is later."""

    def __init__(self, speed: float, start: float | None) -> None:
        self.speed = speed
        self._base = max(time.time(), start or 0.0)
        self._since = _elapsed()

    def __call__(self) -> float:
        return self._base + (_elapsed() - self._since) * self.speed

    def advance(self, seconds: float) -> None:
        """Jump ahead."""
        self._base += seconds

    def real_seconds_until(self, moment: float) -> float:
        """The real seconds until this time; 0 if it has passed."""
        return max(0.0, (moment - self()) / self.speed)


@dataclass(frozen=True)
class Address:
    """Where the service listens; port 0: any free port. MQTT without TLS does not authenticate clients, so it only
    listens on the loopback interface."""

    host: str = "127.0.0.1"
    http_port: int = 0
    mqtts_port: int = 0
    mqtt_port: int = 0
    https_port: int = 0


class CannotListen(Exception):
    """A requested port is not available; the text names the port and the reason."""


class Service:
    """The service.

    data: folder with everything that survives a restart. speed: of its clock. names: its host names for boards;
    default: "localhost". s3_url: of the S3 that has the objects; None: PutObject stores them in the data folder.
    page: who may use the live page's actions. faults: whether the page can cause faults.
    """

    def __init__(
        self, data: Path, speed: float = 1.0, names: Sequence[str] = (), s3_url: str | None = None,
        page: Options | None = None, faults: bool = False,
    ) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self._names = tuple(names)
        self._authority = pki.Authority(data / "pki", names)
        store = Store(str(data / "jobs.sqlite"))
        self._clock = Clock(speed, store.latest_time())
        self.engine = Engine(store, self._clock)
        self._objects = Objects(data / "objects", s3_url, self._url_for_boards, self._clock)
        self.engine.presign = self._objects.presign
        self.engine.on_notification = self._notify
        self.engine.on_event = lambda topic, payload: self._send(topic, mqtt_api.encode(payload))
        self.engine.on_change = self._changed
        self._change = asyncio.Event()
        self._broker = Broker(access.clients(self.engine), self._on_publish, store, self._clock)
        self._held: list[tuple[str, bytes]] | None = None  # notifications to send after a reply
        self.engine.on_identity_change = self._broker.review
        self.faults = Faults()
        self._held_replies: dict[str, list[tuple[Session, str, bytes]]] = {}
        self.record = WireRecord(self._clock)
        trouble = causes(self.faults, self.engine, self._broker.cut, speed) if faults else {}
        self.page = Page(self.engine, page or Options(), self.record, self._about, trouble)
        self.record.on_change = self.page.changes.happened
        self._broker.on_presence = self.page.presence.told_of
        self._broker.on_message = self._record
        self._broker.on_late_will = self._change.set
        self._timers: asyncio.Task[None] | None = None
        self._runners: list[web.AppRunner] = []
        self.ports: dict[str, int] = {}

    async def start(self, address: Address) -> None:
        """Listen on every port. Raises CannotListen."""
        host = address.host
        self.ports["mqtts"] = await self._listen(host, "mqtts", address.mqtts_port)
        self.ports["mqtt"] = await self._listen("127.0.0.1", "mqtt", address.mqtt_port)
        names = (*self._names, host)
        app = make_app(self.engine, self._authority, self._endpoint, self._objects, self.page, names)
        self.ports["http"] = await self._serve(app, "HTTP", host, address.http_port)
        context = self._authority.server_context()
        context.set_alpn_protocols([ALPN, "http/1.1"])
        devices = make_device_app(self.engine)
        self.ports["https"] = await self._serve(devices, "HTTPS", host, address.https_port, context)
        self.http_url = f"http://{f'[{host}]' if ':' in host else host}:{self.ports['http']}"
        self._timers = asyncio.create_task(self._run_timers())

    async def stop(self) -> None:
        """Close everything."""
        if self._timers is not None:
            self._timers.cancel()
            await asyncio.gather(self._timers, return_exceptions=True)
        for runner in self._runners:
            await runner.cleanup()
        self._held_replies.clear()
        await self._broker.close()
        self.engine.store.close()

    async def run_until(self, stop: asyncio.Event) -> None:
        """Wait for `stop`. If the timers fail, raise their error: the service must not continue without them."""
        assert self._timers is not None, "start() comes first"
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((stopping, self._timers), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._timers.done():
            self._timers.result()

    def advance(self, seconds: float) -> None:
        """Advance the service's clock; everything that is due by then happens at once."""
        self._clock.advance(seconds)
        self._change.set()

    def cut(self, thing: str) -> None:
        """Abort the thing's connections."""
        self._broker.cut(thing)

    def description(self) -> dict[str, Any]:
        """The service's addresses and files, for other programs."""
        return {
            "http": self.http_url,
            "mqtts": self.ports["mqtts"],
            "mqtt": self.ports["mqtt"],
            "https": self.ports["https"],
            "ca": str(self._authority.ca_path.absolute()),
        }

    async def _listen(self, host: str, name: str, port: int) -> int:
        context = self._authority.server_context() if name == "mqtts" else None
        try:
            return await self._broker.listen(host, port, context)
        except OSError as error:
            raise _cannot_listen(name.upper(), host, port, error) from error

    async def _serve(
        self, app: web.Application, name: str, host: str, port: int, context: ssl.SSLContext | None = None
    ) -> int:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE)
        self._runners.append(runner)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, ssl_context=context).start()
        except OSError as error:
            raise _cannot_listen(name, host, port, error) from error
        return runner.addresses[0][1]

    def _endpoint(self) -> str:
        return f"{self._names[0] if self._names else 'localhost'}:{self.ports['mqtts']}"

    def _url_for_boards(self) -> str:
        name = self._names[0] if self._names else "localhost"
        return f"http://{f'[{name}]' if ':' in name else name}:{self.ports['http']}"

    def _on_publish(self, session: Session, topic: str, payload: bytes) -> None:
        request = reserved_topics.request(topic)
        if request is None:
            raise ValueError(f"{topic} is not a request: access.Client should have refused it")
        self._held = []
        try:
            self._answer(session, request, payload)
        finally:
            held, self._held = self._held, None
            for notification in held:
                self._broker.publish(*notification, 1)

    def _answer(self, session: Session, request: reserved_topics.Request, payload: bytes) -> None:
        thing, rest = request.thing, request.rest
        if thing is None:
            self._broker.deliver(session, *provisioning_api.handle(self.engine, self._authority, rest, payload))
        elif request.service == "jobs":
            refusal = self.faults.refusal(thing, rest.rpartition("/")[2])
            for topic, reply in mqtt_api.handle(self.engine, thing, rest, payload, refusal):
                self._reply(session, thing, topic, reply)
        else:
            for message_topic, message in streams_api.handle(self.engine, thing, rest, payload):
                self._broker.publish(message_topic, message, 1)

    def _reply(self, session: Session, thing: str, topic: str, payload: bytes) -> None:
        delay = self.faults.delay(thing, self._clock())
        if delay is None:
            return
        held = self._held_replies.get(thing)
        if held is not None:
            held.append((session, topic, payload))
        elif delay:
            self._held_replies[thing] = [(session, topic, payload)]
            asyncio.get_running_loop().call_later(delay / self._clock.speed, self._release, thing)
        else:
            self._broker.deliver(session, topic, payload)

    def _release(self, thing: str) -> None:
        for reply in self._held_replies.pop(thing, ()):
            self._broker.deliver(*reply)

    def _record(self, session: Session, from_client: bool, message: Message) -> None:
        self.record.add(session.client_id, from_client, message.topic, message.payload)

    def _notify(self, thing: str, suffix: str, payload: dict[str, Any]) -> None:
        self._send(*mqtt_api.notification(thing, suffix, payload))

    def _send(self, topic: str, payload: bytes) -> None:
        if self._held is None:
            self._broker.publish(topic, payload, 1)
        else:
            # Clients expect a notification after the reply to the request that caused it.
            self._held.append((topic, payload))

    def _about(self) -> dict[str, Any]:
        return self.description() | {"speed": self._clock.speed}

    def _changed(self) -> None:
        self._change.set()
        self.page.changes.happened()

    async def _run_timers(self) -> None:
        while True:
            moments = (self.engine.next_deadline(), self._broker.next_will())
            deadline = min((moment for moment in moments if moment is not None), default=None)
            self._change.clear()
            try:
                await asyncio.wait_for(
                    self._change.wait(), None if deadline is None else self._clock.real_seconds_until(deadline)
                )
            except TimeoutError:
                try:
                    self.engine.expire()
                    self._broker.send_due_wills()
                except OSError:
                    log_failure(_log, "the timers are late")
                    await asyncio.sleep(_RETRY)


async def serve(
    service: Service, address: Address, stop: asyncio.Event, started: Callable[[dict[str, Any]], None]
) -> None:
    """Run until `stop` is set. started: called with the description once it serves. Raises CannotListen, OSError."""
    try:
        await service.start(address)
        started(service.description())
        await service.run_until(stop)
    finally:
        await service.stop()


def _cannot_listen(name: str, host: str, port: int, error: OSError) -> CannotListen:
    # asyncio's messages differ between calls; the system's is always the same.
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    in_use = error.errno == errno.EADDRINUSE
    advice = f": choose another with --{name.lower()}-port, or 0 for any free one" if in_use else ""
    return CannotListen(f"{name} port {port} on {host}: {reason}{advice}")
