"""Who a client is, by its certificate and client id, and what it may do.

A registered, ACTIVE certificate may do what its policies allow: those attached to it and to the thing groups of its
thing. Three more rules apply. Only a certificate attached to a thing may use that thing's name as its client id. Only a
certificate attached to a thing may send requests about it. Reserved topics are limited as in `reserved_topics`.
Without TLS there is no certificate: the client is the thing that its client id names, and no policy is evaluated."""

import hashlib
from collections.abc import Callable

from ujobs_tools.service import limits, policy_evaluation, policy_values, reserved_topics, topics
from ujobs_tools.service.engine import Engine
from ujobs_tools.service.errors import ApiError
from ujobs_tools.service.packets import Message
from ujobs_tools.service.policy_template import Value

_REMEMBERED = 256  # cached decisions of each client


class Client:
    """One client; client_id: "" over HTTPS. A method that checks a permission returns "" if it is granted, else the
    reason in words."""

    def __init__(self, engine: Engine, certificate: bytes | None, client_id: str, address: str | None) -> None:
        self.client_id = client_id
        self._engine = engine
        self._certificate_id = None if certificate is None else hashlib.sha256(certificate).hexdigest()
        self._fixed = policy_values.of_connection(client_id, address)
        if certificate is not None:
            self._fixed |= policy_values.of_certificate(certificate)
        self._connecting: dict[str, Value] = {}
        self._version = -1
        self._known: dict[tuple[str, str], str] = {}

    @property
    def name(self) -> str:
        """The thing that it acts for, or "nobody"."""
        self._refresh()
        return self._thing or "nobody"

    def connect(self, clean_session: bool, will: Message | None) -> str:
        """Why it may not connect."""
        attributes = () if clean_session else ("PersistentConnect",)
        self._connecting = {"iot:connectattributes": (*attributes, "LastWill") if will else attributes}
        if will is not None:
            self._connecting["iot:lastwilltopic"] = self._arn("topic", will.topic)
        return self.review() or ("" if will is None else self.publish(will.topic, will.retain))

    def review(self) -> str:
        """Why it must be disconnected."""
        return self._status() or self._ask("iot:Connect", "client", self.client_id)

    def _status(self) -> str:
        if self._certificate_id is None:
            return ""
        self._refresh()
        store = self._engine.store
        certificate = store.certificate(self._certificate_id)
        if certificate is None:
            return "its certificate is not registered"
        if certificate.status != "ACTIVE":
            return f"its certificate is {certificate.status}"
        if self._thing is None and store.thing(self.client_id) is not None:
            return f"its certificate is not attached to the thing {self.client_id}, whose name is its client id"
        return ""

    def publish(self, topic: str, retain: bool) -> str:
        """Why it may not publish to a topic."""
        if topic.startswith("$"):
            request = reserved_topics.request(topic)
            if request is None:
                return f"{topic} is a reserved topic that clients cannot publish to"
            self._refresh()
            if request.thing is None and self._certificate_id is None:
                return f"{topic} is only for clients with a certificate"
            if request.thing is not None and request.thing not in self._attached:
                return f"it does not act for the thing {request.thing}"
        return self._ask("iot:Publish", "topic", topic) or (
            self._ask("iot:RetainPublish", "topic", topic) if retain else ""
        )

    def subscribe(self, name: str) -> str:
        """Why it may not subscribe to a topic filter."""
        if not reserved_topics.can_subscribe(name):
            return f"{name} is for reserved topics that clients cannot receive from"
        shared = topics.shared(name) or name
        if self._certificate_id is None and shared.startswith("$"):
            self._refresh()
            own = self._thing is not None and shared.startswith(f"$aws/things/{self._thing}/")
            return "" if own else f"without TLS this client may only use topics of the thing {self.client_id}"
        return self._ask("iot:Subscribe", "topicfilter", name)

    def call(self, operation: str, thing: str) -> str:
        """Why it may not call an operation of the Jobs data plane over HTTPS."""
        if reason := self._status():
            return reason
        self._refresh()
        if thing not in self._attached:
            return f"it does not act for the thing {thing}"
        return self._ask(f"iotjobsdata:{operation}", "thing", thing)

    def receive(self, topic: str) -> str:
        """Why it may not receive a message on a topic."""
        return self._ask("iot:Receive", "topic", topic)

    def _ask(self, action: str, kind: str, name: str) -> str:
        if self._certificate_id is None:
            return ""
        self._refresh()
        reason = self._known.get((action, name))
        if reason is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            values = self._values | self._connecting if action == "iot:Connect" else self._values
            decision = policy_evaluation.evaluate(self._documents, action, self._arn(kind, name), values)
            reason = self._known[action, name] = decision.reason
        return reason

    def _arn(self, kind: str, name: str) -> str:
        return self._engine.arn(kind, name)

    def _refresh(self) -> None:
        """Read the registry's data about it again if they changed."""
        if self._version == self._engine.rights_version:
            return
        self._version = self._engine.rights_version
        self._known.clear()
        store = self._engine.store
        if self._certificate_id is None:
            self._attached = {self.client_id} if _is_thing_name(self.client_id) else set()
        else:
            self._attached = set(store.things_of(self._certificate_id))
        self._thing = self.client_id if self.client_id in self._attached else None
        if self._certificate_id is not None:
            thing = None if self._thing is None else store.thing(self._thing)
            about = ({}, None) if thing is None else (thing.attributes, thing.thing_type)
            self._values = self._fixed | policy_values.of_thing(self._thing, *about)
            self._documents = self._engine.policies_for(self._certificate_id, self._thing)


def _is_thing_name(text: str) -> bool:
    try:
        limits.thing_name(text)
    except ApiError:
        return False
    return True


def clients(engine: Engine) -> Callable[[bytes | None, str, str | None], Client]:
    """Returns a function from (certificate as DER or None without TLS, client id, IP address) to Client."""
    return lambda certificate, client_id, address: Client(engine, certificate, client_id, address)
