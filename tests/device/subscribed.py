"""A cloud whose broker sends messages to the subscribers of their topics only."""

from cloud import PREFIX, Cloud


def matches(wanted, topic):
    wanted, topic = wanted.split(b"/"), topic.split(b"/")
    return len(wanted) == len(topic) and all([one in (b"+", level) for one, level in zip(wanted, topic)])


class Subscribed(Cloud):
    """delivered: the ends of the topics of all messages sent to the board."""

    def __init__(self):
        super().__init__()
        self._send = self.broker.send
        self.broker.send = self._filtered
        self.delivered = []

    def is_subscribed(self, topic):
        return any([matches(wanted, topic) for wanted in self.broker.filters])

    def _filtered(self, topic, payload, qos=0):
        if self.is_subscribed(topic):
            self.delivered.append(topic[len(PREFIX) :])
            self._send(topic, payload, qos)
