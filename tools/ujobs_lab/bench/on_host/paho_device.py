"""A device that does jobs with paho-mqtt, as its best user would: TCP_NODELAY set, requests at QoS 1, JSON by hand."""

import json
import os
import socket
import threading
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion


def main() -> None:
    """Do jobs until so many are done, for ever with 0."""
    options = json.loads(os.environ["UJOBS_BENCH"])
    prefix = f"$aws/things/{options['thing']}/jobs/"
    left = options["jobs"]
    done = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=options["thing"], protocol=mqtt.MQTTv311)

    def opened(_: Any, __: Any, sock: Any) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connected(*_: Any) -> None:
        client.subscribe([(prefix + "notify-next", 1), (prefix + "start-next/accepted", 1)])

    def subscribed(*_: Any) -> None:
        client.publish(prefix + "start-next", "{}", 1)

    def received(_: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        nonlocal left
        execution = json.loads(message.payload).get("execution")
        if not execution:
            return
        if message.topic.endswith("notify-next"):
            client.publish(prefix + "start-next", "{}", 1)
            return
        fields = {
            "status": "SUCCEEDED", "expectedVersion": execution["versionNumber"],
            "statusDetails": {"steps": str(len(execution["jobDocument"]["steps"]))},
        }
        client.publish(f"{prefix}{execution['jobId']}/update", json.dumps(fields), 1)
        left -= 1
        if left == 0:
            done.set()

    client.on_socket_open, client.on_connect = opened, connected
    client.on_subscribe, client.on_message = subscribed, received
    folder = options["certificates"]
    client.tls_set(f"{folder}/ca.pem", f"{folder}/cert.pem", f"{folder}/key.pem")
    client.connect(options["host"], options["port"])
    client.loop_start()
    done.wait()
    # What has been published last must leave before the connection does.
    client.disconnect()
    client.loop_stop()
    print(json.dumps({}))


if __name__ == "__main__":
    main()
