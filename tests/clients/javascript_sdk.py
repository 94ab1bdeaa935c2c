"""The Jobs clients of the AWS IoT Device SDK for JavaScript v2, each in a Node.js process controlled by the test."""

import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobs_client import PATIENCE, Heard, JobsClient, Rejected

from ujobs_tools.aws.fleet import Thing

_SCRIPT = Path(__file__).parent / "javascript" / "jobs_client.js"
PACKAGES = Path(__file__).parents[2] / "build" / "javascript" / "node_modules"
CLIENTS = ("IotJobsClient", "IotJobsClientv2")


class Client(Heard):
    """A running jobs_client.js, which documents its input and output."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        super().__init__()
        self._process = process
        self._replies: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read).start()
        assert self._reply() == {"connected": True}

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            [(name, payload)] = json.loads(line).items()
            if name in ("notify", "notify-next"):
                self.put(name, payload)
            else:
                self._replies.put({name: payload})
        self._replies.put({"ended": None})

    def _reply(self) -> dict[str, Any]:
        return self._replies.get(timeout=PATIENCE)

    def ask(self, operation: str, **members: Any) -> dict[str, Any]:
        """See JobsClient."""
        assert self._process.stdin is not None
        print(json.dumps({"operation": operation, "members": members}), file=self._process.stdin, flush=True)
        reply = self._reply()
        if "rejected" in reply:
            raise Rejected(reply["rejected"])
        assert "accepted" in reply, reply
        accepted: dict[str, Any] = reply["accepted"]
        return accepted

    def close(self) -> None:
        """Disconnect; any further output is an error."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert [self._reply(), self._reply()] == [{"disconnected": True}, {"ended": None}]


@contextmanager
def jobs_client(name: str, thing: Thing) -> Iterator[JobsClient]:
    """The client with this name in CLIENTS, connected as the thing."""
    found = {"client": name, "clientId": thing.name, "thing": thing.name}
    found |= {"host": thing.host, "port": thing.port}
    found |= {part: str(thing.directory / f"{part}.pem") for part in ("ca", "cert", "key")}
    process = subprocess.Popen(
        ["node", _SCRIPT, json.dumps(found)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"NODE_PATH": str(PACKAGES)},
    )
    with process:
        try:
            client = Client(process)
            yield client
            client.close()
        finally:
            process.kill()
