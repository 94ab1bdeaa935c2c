"""The retained messages: one of each topic."""

import logging
from collections.abc import Callable
from dataclasses import replace

from ujobs_tools.service.packets import Message
from ujobs_tools.service.session_store import SessionStore

MAX_RETAINED = 1000

_log = logging.getLogger(__name__)


class Retained:
    """store: stores those of QoS 1. clock: returns epoch seconds."""

    def __init__(self, store: SessionStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._messages = {message.topic: message for message in store.retained()}

    def keep(self, message: Message) -> None:
        """Keep a message in place of the topic's previous one; without a payload keep none."""
        topic = message.topic
        old = self._messages.get(topic)
        if message.payload and old is None and len(self._messages) >= MAX_RETAINED:
            _log.warning("more than %d retained messages; the one on %s is not kept", MAX_RETAINED, topic)
            return
        if message.payload and message.qos:
            self._store.save_retained(message)
        elif old is not None and old.qos:
            self._store.delete_retained(topic)  # A QoS 0 message is not stored, but it replaces the stored one.
        if message.payload:
            self._messages[topic] = replace(message, retain=True)
        else:
            self._messages.pop(topic, None)

    def of(self, name: str) -> Message | None:
        """The message for a new subscription: AWS sends none if the topic filter has wildcards."""
        message = self._messages.get(name)
        return None if message is None or message.expired(self._clock()) else message
