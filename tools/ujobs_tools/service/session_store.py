"""The broker's state in the database: retained messages, and the subscriptions and unacknowledged QoS 1 messages of
persistent sessions; no rules."""

import sqlite3

from ujobs_tools.service.database import Database
from ujobs_tools.service.packets import Message


class SessionStore(Database):
    """The broker's tables. Stored messages have QoS 1; a session's messages stay in the order of their arrival."""

    def save_retained(self, message: Message) -> None:
        """Store a message in place of the topic's previous one."""
        self._execute(
            "INSERT OR REPLACE INTO retained_messages VALUES (?, ?, ?, ?)",
            message.topic, message.payload, message.properties, message.expires_at,
        )

    def delete_retained(self, topic: str) -> None:
        self._execute("DELETE FROM retained_messages WHERE topic = ?", topic)

    def retained(self) -> list[Message]:
        return [_message(row, retain=True) for row in self._all("SELECT * FROM retained_messages")]

    def save_session(self, client_id: str, expires_at: float | None) -> None:
        """Add or change a session. expires_at: in epoch seconds; None while its client is connected."""
        self._execute(
            "INSERT INTO sessions VALUES (?, ?) ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at",
            client_id, expires_at,
        )

    def delete_session(self, client_id: str) -> None:
        """Delete a session with its subscriptions and messages."""
        self._execute("DELETE FROM sessions WHERE client_id = ?", client_id)

    def sessions(self) -> list[tuple[str, float | None]]:
        """(client id, expires_at) of each session, as in save_session."""
        return [tuple(row) for row in self._all("SELECT client_id, expires_at FROM sessions")]

    def save_subscription(self, client_id: str, name: str, qos: int) -> None:
        self._execute("INSERT OR REPLACE INTO subscriptions VALUES (?, ?, ?)", client_id, name, qos)

    def delete_subscription(self, client_id: str, name: str) -> None:
        self._execute("DELETE FROM subscriptions WHERE client_id = ? AND filter = ?", client_id, name)

    def subscriptions(self, client_id: str) -> dict[str, int]:
        """QoS by filter."""
        rows = self._all("SELECT filter, qos FROM subscriptions WHERE client_id = ?", client_id)
        return {row["filter"]: row["qos"] for row in rows}

    def add_message(self, client_id: str, message: Message) -> None:
        """Add a message that waits for a session's client."""
        self._insert(
            "session_messages", client_id=client_id, topic=message.topic, payload=message.payload,
            retain=message.retain, properties=message.properties, expires_at=message.expires_at,
        )

    def save_sent(self, client_id: str, packet_id: int) -> None:
        """Give the first unsent message of a session this packet identifier."""
        self._execute(
            "UPDATE session_messages SET packet_id = ? WHERE sequence = (SELECT sequence FROM session_messages "
            "WHERE client_id = ? AND packet_id IS NULL ORDER BY sequence LIMIT 1)",
            packet_id, client_id,
        )

    def delete_message(self, client_id: str, packet_id: int) -> None:
        """Delete a message that the client has acknowledged."""
        self._execute("DELETE FROM session_messages WHERE client_id = ? AND packet_id = ?", client_id, packet_id)

    def messages(self, client_id: str) -> list[tuple[int | None, Message]]:
        """A session's messages with their packet identifiers; None for unsent ones."""
        rows = self._all("SELECT * FROM session_messages WHERE client_id = ? ORDER BY sequence", client_id)
        return [(row["packet_id"], _message(row, bool(row["retain"]))) for row in rows]


def _message(row: sqlite3.Row, retain: bool) -> Message:
    return Message(row["topic"], row["payload"], 1, retain, row["properties"], row["expires_at"])
