"""An MQTT client that records when a device's jobs end."""

import json
import selectors
import ssl
import time
from collections.abc import Callable

from ujobs_lab.bench.mqtt_client import MqttClient, Traffic, poll
from ujobs_tools.aws.fleet import Thing
from ujobs_tools.host.processes import NotReady


class Observer(MqttClient):
    """Connects with a thing's certificate and another client id, and subscribes to notify-next, because AWS sends
    replies to the requesting device only. ended: job id -> time.monotonic() at which notify-next named another job or
    none."""

    def __init__(self, thing: Thing) -> None:
        self._next = ""
        self._waiting_on = selectors.DefaultSelector()
        self.ended: dict[str, float] = {}
        self._up = False
        filters = (f"$aws/things/{thing.name}/jobs/notify-next",)
        super().__init__(f"{thing.name}-observer", filters, self._waiting_on, Traffic())
        context = ssl.create_default_context(cafile=thing.directory / "ca.pem")
        context.load_cert_chain(thing.directory / "cert.pem", thing.directory / "key.pem")
        assert thing.port is not None
        self.open(thing.port, context)
        self._poll_until(lambda: self._up, 10, "the observer's connection")

    def wait_for(self, job_ids: list[str], seconds: float) -> None:
        """Return when all of the jobs have ended. Raises NotReady if they have not within so many seconds."""
        self._poll_until(lambda: all(job_id in self.ended for job_id in job_ids), seconds, "jobs")

    def end(self) -> None:
        """Disconnect."""
        self.close()
        self._waiting_on.close()

    def subscribed(self) -> None:
        self._up = True

    def received(self, topic: str, payload: bytes) -> None:
        following = json.loads(payload).get("execution", {}).get("jobId", "")
        if self._next and following != self._next:
            self.ended[self._next] = time.monotonic()
        self._next = following

    def lost(self, reason: str) -> None:
        raise NotReady(f"the observer has lost its connection: {reason}")

    def _poll_until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                raise NotReady(f"{what}: not within {seconds:g} s")
            poll(self._waiting_on, left)
