"""The broker's state in the database: retained messages, and the subscriptions and unacknowledged QoS 1 messages of
persistent sessions; no rules."""

from ujobs_tools.service.database import Database
from ujobs_tools.service.packets import Message


class SessionStore(Database):
    """The broker's tables. Messages are of QoS 1; a session's are sent and given back in the order they were added."""

    def save_retained(self, message: Message) -> None:
        """Keep a message in place of its topic's last one."""
        self._execute("INSERT OR REPLACE INTO retained_messages VALUES (?, ?)", message.topic, message.payload)

    def delete_retained(self, topic: str) -> None:
        self._execute("DELETE FROM retained_messages WHERE topic = ?", topic)

    def retained(self) -> list[Message]:
        return [Message(*row, qos=1, retain=True) for row in self._all("SELECT topic, payload FROM retained_messages")]

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
        """(client id, expires_at) as save_session was given them."""
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
        """Have a message wait for a session's client."""
        self._insert(
            "session_messages", client_id=client_id, topic=message.topic, payload=message.payload,
            retain=message.retain,
        )

    def save_sent(self, client_id: str, packet_id: int) -> None:
        """The first of a session's messages that was not sent yet goes out with this packet identifier."""
        self._execute(
            "UPDATE session_messages SET packet_id = ? WHERE sequence = (SELECT sequence FROM session_messages "
            "WHERE client_id = ? AND packet_id IS NULL ORDER BY sequence LIMIT 1)",
            packet_id, client_id,
        )

    def delete_message(self, client_id: str, packet_id: int) -> None:
        """The client has acknowledged a message."""
        self._execute("DELETE FROM session_messages WHERE client_id = ? AND packet_id = ?", client_id, packet_id)

    def messages(self, client_id: str) -> list[tuple[int | None, Message]]:
        """A session's messages with their packet identifiers, None for those that were not sent yet."""
        rows = self._all("SELECT * FROM session_messages WHERE client_id = ? ORDER BY sequence", client_id)
        return [(row["packet_id"], Message(row["topic"], row["payload"], 1, bool(row["retain"]))) for row in rows]
