"""A broker in its own thread, with the requests that it received."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mqtt_wire import TIMEOUT, WireClient

from ujobs_tools.service.broker import Broker
from ujobs_tools.service.packets import Message
from ujobs_tools.service.session import Session
from ujobs_tools.service.session_store import SessionStore


class AnyClient:
    """A client that may do everything that its BrokerService does not forbid."""

    def __init__(self, service: "BrokerService", client_id: str) -> None:
        self.name = client_id
        self._service = service

    def connect(self, clean_session: bool, will: Message | None) -> str:
        if will is not None and "forbidden" in will.topic:
            return "its will is forbidden"
        return self.review()

    def review(self) -> str:
        return "unwelcome" if self.name in self._service.unwelcome else ""

    def publish(self, topic: str, retain: bool) -> str:
        return "it is not allowed" if "forbidden" in topic else ""

    def subscribe(self, name: str) -> str:
        return "it is not allowed" if "forbidden" in name else ""

    def receive(self, topic: str) -> str:
        return "it is not allowed" if topic in self._service.unheard else ""


class BrokerService:
    """A broker on a free port without TLS. It refuses topics that contain `forbidden`, and answers a message on an
    `$aws/` topic on `<topic>/accepted` with the same payload. unwelcome: client ids that may not be connected. unheard:
    topics that nobody may receive. path: of the broker's store. clock: of the broker.
    """

    def __init__(self, path: Path | str = ":memory:", clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self.unwelcome: set[str] = set()
        self.unheard: set[str] = set()
        self.published: list[tuple[str, str, bytes]] = []
        self.port = 0
        self._started = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),))
        self._thread.start()
        assert self._started.wait(60)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self.store = SessionStore(self._path)
        self.broker = Broker(self._identify, self._on_publish, self.store, self._clock)
        self.port = await self.broker.listen("127.0.0.1", 0, None)
        self._started.set()
        await self._stop.wait()
        await self.broker.close()
        self.store.close()

    def run(self, function: Callable[[Broker], Any]) -> Any:
        """Call the function with the broker in the broker's thread."""

        async def call() -> Any:
            return function(self.broker)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    def client(self, client_id: str, **options: object) -> WireClient:
        """A connected client."""
        client = WireClient(self.port)
        assert client.connect(client_id, **options)[1] == 0
        return client

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _identify(self, certificate: bytes | None, client_id: str, address: str | None) -> "AnyClient":
        return AnyClient(self, client_id)

    def _on_publish(self, session: Session, topic: str, payload: bytes) -> None:
        if payload == b"bug":
            raise RuntimeError("as a bug would")
        self.published.append((session.client_id, topic, payload))
        self.broker.deliver(session, f"{topic}/accepted", payload)


def send_in_one_go(service: BrokerService, *sent: tuple[WireClient, bytes]) -> None:
    """Send data so that the broker receives all of it at once and handles it in this order."""
    held, go = threading.Event(), threading.Event()

    async def hold() -> None:
        held.set()
        go.wait(TIMEOUT)

    asyncio.run_coroutine_threadsafe(hold(), service._loop)
    assert held.wait(TIMEOUT)
    for client, data in sent:
        client.send(data)
    go.set()
