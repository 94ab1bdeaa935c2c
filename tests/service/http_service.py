"""The HTTP API on a free port, with boto3 clients that check every reply against the service models."""

import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiohttp import web
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator
from engine_service import START, Service

from ujobs_tools.keys.pki import Authority
from ujobs_tools.service.http_api import make_app
from ujobs_tools.service.http_operations import handlers
from ujobs_tools.service.objects import Objects


class Server:
    """The application on a free port in its own thread, with boto3 clients.

    objects: the objects in S3. operations: (service, name) of all operations. answered: the
    operations whose replies were checked against their models since the last `clear`.
    """

    def __init__(self, directory: Path) -> None:
        self.answered: set[tuple[str, str]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._call(self._start(directory))
        self.iot = self._client("iot")
        self.data = self._client("iot-jobs-data")
        self.s3 = self._client("s3", s3={"addressing_style": "path"}, signature_version="s3v4")

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _start(self, directory: Path) -> None:
        self.service = Service()
        self.objects = Objects(directory / "objects", None, lambda: self.url, self.service.clock)
        self.service.engine.presign = self.objects.presign
        api = self.service.engine, Authority(directory), lambda: "localhost:8883", self.objects
        self.operations = set(handlers(*api))
        app = make_app(*api)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = "http://{}:{}".format(*self._runner.addresses[0][:2])

    def run(self, function: Callable[[Service], Any]) -> Any:
        """Call the function with the service in the service's thread; returns its result."""

        async def call() -> Any:
            return function(self.service)

        return self._call(call())

    def _client(self, name: str, **options: Any) -> Any:
        client = boto3.client(
            name, endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any",
            config=Config(retries={"total_max_attempts": 1}, **options),
        )
        if name != "s3":
            client.meta.events.register(
                f"after-call.{client.meta.service_model.service_id.hyphenize()}", self._check_shape
            )
        return client

    def _check_shape(self, model: Any, http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
        """Check the members and types of an accepted reply against the model: boto3 silently drops unknown members."""
        if http_response.status_code != 200:
            return
        self.answered.add((model.service_model.service_name, model.name))
        sent = json.loads(http_response.content)
        if model.output_shape is None:
            assert sent == {}
            return
        assert not _unknown(sent, model.output_shape)
        members = {name: value for name, value in parsed.items() if name != "ResponseMetadata"}
        report = ParamValidator().validate(members, model.output_shape)
        assert not report.has_errors(), report.generate_report()

    def clear(self) -> None:
        """Delete all jobs and thing groups, and reset the clock."""

        def clear(service: Service) -> None:
            engine = service.engine
            for summary in engine.list_jobs()["jobs"]:
                engine.delete_job(summary["jobId"], force=True)
            for group in engine.list_thing_groups()["thingGroups"]:
                engine.store.delete_group(group["groupName"])
            service.clock.now = START
            service.heard()

        self.run(clear)
        self.answered.clear()

    def close(self) -> None:
        self._call(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def get(self, path: str) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


def _unknown(sent: Any, shape: Any) -> list[str]:
    if shape.type_name == "structure":
        unknown = [name for name in sent if name not in shape.members]
        return unknown + [
            name for member in set(sent) & set(shape.members) for name in _unknown(sent[member], shape.members[member])
        ]
    if shape.type_name == "list":
        return [name for item in sent for name in _unknown(item, shape.member)]
    if shape.type_name == "long":
        assert isinstance(sent, int)
    return []


def refused(code: str, status: int) -> Any:
    """A context manager: a boto3 call inside must be refused with this error code and HTTP status."""
    return pytest.raises(ClientError, check=lambda error: _is(error, code, status))


def _is(error: ClientError, code: str, status: int) -> bool:
    response: Any = error.response
    return (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
