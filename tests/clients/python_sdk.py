"""The Jobs clients of the AWS IoT Device SDK for Python v2, each with the interface of `jobs_client`."""

import datetime
import queue
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from awscrt import mqtt, mqtt5
from awscrt.mqtt_request_response import ClientOptions, SubscriptionStatusEvent, SubscriptionStatusEventType
from awsiot import (
    ModeledClass,
    ServiceStreamOptions,
    V2ServiceException,
    iotjobs,
    mqtt5_client_builder,
    mqtt_connection_builder,
)
from botocore import xform_name
from jobs_client import PATIENCE, Heard, JobsClient, Rejected

from ujobs_tools.aws.fleet import Thing


def on_the_wire(value: Any) -> Any:
    """The SDK's object converted back to the payload."""
    if isinstance(value, ModeledClass):
        members = {_camel(name): on_the_wire(getattr(value, name)) for name in value.__slots__}
        return {name: member for name, member in members.items() if member is not None}
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    if isinstance(value, list):
        return [on_the_wire(item) for item in value]
    if isinstance(value, dict):
        return {name: on_the_wire(item) for name, item in value.items()}
    return value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


@contextmanager
def connected(thing: Thing, client_id: str) -> Iterator[mqtt.Connection]:
    """A thing's MQTT connection over mutual TLS."""
    connection = mqtt_connection_builder.mtls_from_path(
        endpoint=thing.host, port=thing.port, client_id=client_id, clean_session=True, keep_alive_secs=30,
        ca_filepath=str(thing.directory / "ca.pem"), cert_filepath=str(thing.directory / "cert.pem"),
        pri_key_filepath=str(thing.directory / "key.pem"),
    )
    connection.connect().result(PATIENCE)
    try:
        yield connection
    finally:
        connection.disconnect().result(PATIENCE)


@contextmanager
def connected_with_mqtt5(thing: Thing, client_id: str) -> Iterator[mqtt5.Client]:
    """The SDK's client of MQTT 5, which its samples use, connected."""
    connected: queue.Queue[object] = queue.Queue()
    stopped: queue.Queue[object] = queue.Queue()
    client = mqtt5_client_builder.mtls_from_path(
        endpoint=thing.host, port=thing.port, client_id=client_id, ca_filepath=str(thing.directory / "ca.pem"),
        cert_filepath=str(thing.directory / "cert.pem"), pri_key_filepath=str(thing.directory / "key.pem"),
        on_lifecycle_connection_success=connected.put, on_lifecycle_stopped=stopped.put,
    )
    client.start()
    connected.get(timeout=PATIENCE)
    try:
        yield client
    finally:
        client.stop()
        stopped.get(timeout=PATIENCE)


class PublishAndSubscribe(Heard):
    """`IotJobsClient`: publishes requests, and receives replies through subscriptions made before."""

    def __init__(self, connection: mqtt.Connection, thing: str) -> None:
        super().__init__()
        self._thing = thing
        self._client = iotjobs.IotJobsClient(connection)
        self._replies: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._subscribe("job_executions_changed_events", iotjobs.JobExecutionsChangedSubscriptionRequest,
                        lambda event: self.put("notify", on_the_wire(event)))
        self._subscribe("next_job_execution_changed_events", iotjobs.NextJobExecutionChangedSubscriptionRequest,
                        lambda event: self.put("notify-next", on_the_wire(event)))

    def _subscribe(self, name: str, request: type, callback: Callable[[Any], None], **members: Any) -> None:
        subscribe = getattr(self._client, f"subscribe_to_{name}")
        granted, _ = subscribe(request(thing_name=self._thing, **members), mqtt.QoS.AT_LEAST_ONCE, callback)
        assert granted.result(PATIENCE) == mqtt.QoS.AT_LEAST_ONCE

    def ask(self, operation: str, **members: Any) -> dict[str, Any]:
        """See JobsClient."""
        name, token = xform_name(operation), str(uuid.uuid4())
        job = {"job_id": members["jobId"]} if "jobId" in members else {}
        for outcome in ("accepted", "rejected"):
            self._subscribe(
                f"{name}_{outcome}", getattr(iotjobs, f"{operation}SubscriptionRequest"),
                lambda reply, outcome=outcome: self._replies.put((outcome, reply)), **job,
            )
        snake = {xform_name(member): value for member, value in members.items()}
        request = getattr(iotjobs, f"{operation}Request")(thing_name=self._thing, client_token=token, **snake)
        getattr(self._client, f"publish_{name}")(request, mqtt.QoS.AT_LEAST_ONCE).result(PATIENCE)
        outcome, reply = self._replies.get(timeout=PATIENCE)
        payload = on_the_wire(reply)
        assert payload["clientToken"] == token, "a second copy of an earlier reply"
        if outcome == "rejected":
            raise Rejected(payload)
        return payload


class RequestAndResponse(Heard):
    """`IotJobsClientV2`: the SDK subscribes and matches replies to requests."""

    def __init__(self, connection: mqtt.Connection | mqtt5.Client, thing: str) -> None:
        super().__init__()
        self._thing = thing
        options = ClientOptions(max_request_response_subscriptions=2, max_streaming_subscriptions=2)
        options.operation_timeout_in_seconds = int(PATIENCE)
        self._client = iotjobs.IotJobsClientV2(connection, options)
        self._streams = [
            self._open(self._client.create_job_executions_changed_stream, "notify",
                       iotjobs.JobExecutionsChangedSubscriptionRequest),
            self._open(self._client.create_next_job_execution_changed_stream, "notify-next",
                       iotjobs.NextJobExecutionChangedSubscriptionRequest),
        ]

    def _open(self, create: Callable[..., Any], name: str, request: type) -> Any:
        statuses: queue.Queue[SubscriptionStatusEvent] = queue.Queue()
        stream = create(
            request(thing_name=self._thing),
            ServiceStreamOptions(lambda event: self.put(name, on_the_wire(event)), statuses.put),
        )
        stream.open()
        assert statuses.get(timeout=PATIENCE).type == SubscriptionStatusEventType.SUBSCRIPTION_ESTABLISHED
        return stream

    def ask(self, operation: str, **members: Any) -> dict[str, Any]:
        """See JobsClient."""
        snake = {xform_name(member): value for member, value in members.items()}
        request = getattr(iotjobs, f"{operation}Request")(thing_name=self._thing, **snake)
        try:
            return on_the_wire(getattr(self._client, xform_name(operation))(request).result(PATIENCE))
        except V2ServiceException as error:
            if error.modeled_error is None:
                raise
            raise Rejected(on_the_wire(error.modeled_error)) from error


CLIENTS: dict[str, tuple[Callable[..., AbstractContextManager[Any]], Callable[[Any, str], JobsClient]]] = {
    "IotJobsClient": (connected, PublishAndSubscribe), "IotJobsClientV2": (connected, RequestAndResponse),
    "IotJobsClientV2/MQTT5": (connected_with_mqtt5, RequestAndResponse),
}


@contextmanager
def jobs_client(name: str, thing: Thing) -> Iterator[JobsClient]:
    """The client with this name in CLIENTS, connected as the thing."""
    connect, make = CLIENTS[name]
    with connect(thing, thing.name) as connection:
        yield make(connection, thing.name)
