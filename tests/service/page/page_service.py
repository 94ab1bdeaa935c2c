"""The service in a thread of this process, so that tests can access its parts as well as its pages."""

import asyncio
import contextlib
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ujobs_tools.aws import cloud
from ujobs_tools.service.page.routes import Options
from ujobs_tools.service.server import Address, Service

PATIENCE = 120.0  # seconds


class PageService:
    """A running service. service: use it only through `run`."""

    def __init__(self, folder: Path, options: Options | None = None, port: int = 0, **more: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.service: Service = self._call(self._start(folder, options, port, more))
        self.url = self.service.http_url
        self.port = self.service.ports["http"]
        self.iot: Any = cloud.client("iot", self.url)
        self.data: Any = cloud.client("iot-jobs-data", self.url)

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    async def _start(self, folder: Path, options: Options | None, port: int, more: dict[str, Any]) -> Service:
        service = Service(folder, page=options, **more)
        await service.start(Address(http_port=port))
        return service

    def run(self, function: Callable[[Service], Any]) -> Any:
        """Call the function in the service's thread; returns its result."""

        async def call() -> Any:
            return function(self.service)

        return self._call(call())

    def stop(self) -> None:
        self._call(self.service.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def job(self, job_id: str, *things: str, document: Any = None, **options: Any) -> None:
        """Create a job for things, which are created if missing."""
        arns = [self.iot.create_thing(thingName=thing)["thingArn"] for thing in things]
        self.iot.create_job(jobId=job_id, targets=arns, document=json.dumps(document or {"operation": "x"}), **options)

    def report(self, job_id: str, thing: str, status: str, **details: str) -> None:
        """Start the thing's execution and report a status."""
        self.data.start_next_pending_job_execution(thingName=thing)
        self.data.update_job_execution(jobId=job_id, thingName=thing, status=status, statusDetails=details)

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        """Send an action of the page; returns the HTTP status and the JSON of the reply."""
        request = urllib.request.Request(
            f"{self.url}/_ujobs/page/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"} | headers
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    @contextlib.contextmanager
    def stream(self, **asked: str) -> Iterator["Stream"]:
        """The event stream of a view."""
        query = "&".join(f"{name}={value}" for name, value in asked.items())
        with urllib.request.urlopen(f"{self.url}/_ujobs/page/events?{query}", timeout=PATIENCE) as response:
            yield Stream(response)


class Stream:
    """A stream of server-sent events."""

    def __init__(self, response: Any) -> None:
        self.headers = response.headers
        self._lines: Iterator[bytes] = iter(response)

    def event(self) -> tuple[str, Any]:
        """The next event: its name and its data."""
        name = ""
        for line in self._lines:
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                return name, json.loads(value)
        raise EOFError("the stream ended")

    def until(self, condition: Callable[[Any], bool]) -> Any:
        """Wait for a state that meets the condition; returns it."""
        while True:
            name, data = self.event()
            if name == "state" and condition(data):
                return data
