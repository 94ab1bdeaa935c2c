"""AWS IoT Jobs by hand: the shortest program with umqtt.simple and json, against which ujobs is measured.

It fetches, runs and reports job after job. It checks, retries and records nothing, does not renew step timers, and does
not notice a dead connection. Runs on MicroPython only.
"""

import json

from umqtt.simple import MQTTClient


class Jobs:
    """thing: thing name, as bytes. run(document): runs a job and returns its status details."""

    def __init__(self, thing: bytes, server: str, port: int, ssl, run):
        self.prefix = b"$aws/things/" + thing + b"/jobs/"
        self.client = MQTTClient(thing, server, port, keepalive=60, ssl=ssl)
        self.client.set_callback(self.received)
        self.run = run

    def connect(self) -> None:
        self.client.connect()
        self.client.subscribe(self.prefix + b"notify-next")
        self.client.subscribe(self.prefix + b"start-next/accepted")
        self.client.publish(self.prefix + b"start-next", b"{}")

    def received(self, topic: bytes, payload: bytes) -> None:
        execution = json.loads(payload).get("execution")
        if execution and topic.endswith(b"notify-next"):
            self.client.publish(self.prefix + b"start-next", b"{}")
        elif execution and topic.endswith(b"start-next/accepted"):
            details = self.run(execution["jobDocument"])
            self.update(execution["jobId"], {"status": "SUCCEEDED", "statusDetails": details})

    def update(self, job_id: str, fields: dict) -> None:
        self.client.publish(self.prefix + job_id.encode() + b"/update", json.dumps(fields))
