"""The Jobs service in a thread of this process, for tests and `ujobs run`."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ujobs_tools.service.server import Address, CannotListen, Service, serve

_PATIENCE = 30.0  # seconds to start, and for a call

Returned = TypeVar("Returned")


class LocalService:
    """A context manager that runs a service; entering it raises CannotListen, or OSError or ValueError if the folder
    cannot be used. folder: the data folder. address: where it listens; default: free ports of the loopback interface.
    host: this machine's name for boards; default: "localhost". url: for boto3."""

    def __init__(self, folder: Path, address: Address | None = None, host: str | None = None) -> None:
        self._address = address or Address("0.0.0.0" if host else "127.0.0.1")
        self._names = (host,) if host else ()
        self._folder = folder
        self._thread = threading.Thread(target=self._run, name="ujobs service", daemon=True)
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self.service: Service
        self.url = ""

    def __enter__(self) -> "LocalService":
        self._thread.start()
        self._started.wait(_PATIENCE)
        if self._failure is not None or not self.url:
            if isinstance(self._failure, (CannotListen, OSError, ValueError)):
                raise self._failure
            raise RuntimeError("the Jobs service did not start") from self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_PATIENCE)

    def call(self, function: Callable[[Service], Returned]) -> Returned:
        """Call the function with the service, in the service's thread; returns its result."""

        async def called() -> Returned:
            return function(self.service)

        return asyncio.run_coroutine_threadsafe(called(), self._loop).result(_PATIENCE)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._main())
        except BaseException as error:
            self._failure = error
        finally:
            self._started.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self.service = Service(self._folder, names=self._names)

        def started(found: dict[str, Any]) -> None:
            self.url = found["http"]
            self._started.set()

        await serve(self.service, self._address, self._stop, started)
