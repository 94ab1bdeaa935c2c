"""The stream service of AWS IoT in memory."""

from cbor_writer import encode
from ujobs.streams import BLOCK, decode

PREFIX = b"$aws/things/kiln-7/streams/app-2/"
CONTENT = bytes((n * 7 + n // 256) & 255 for n in range(40 * BLOCK + 100))


class Service:
    """Answers get/cbor as AWS does. lose: number of blocks that get lost at first. lasts: number of blocks after which
    all others get lost. answer(request): may return a dict,
    which is sent to rejected/cbor instead of blocks."""

    def __init__(self, broker, content=CONTENT, prefix=PREFIX):
        self.broker = broker
        self.prefix = prefix
        self.content = content
        self.requests = []
        self.lose = 0
        self.lasts = 1 << 30
        self.copies = 1
        self.backwards = False
        self.answer = lambda request: None
        self.sent = 0
        self.under_way = []  # requested blocks that are not yet written, at each request
        self.written = 0
        broker.on_publish = self.published

    def published(self, topic, payload):
        if topic != self.prefix + b"get/cbor":
            return
        request = decode(memoryview(payload))
        request["b"] = bytes(request["b"])
        assert len(request["b"]) == 4
        assert bytes(payload).endswith(request["b"]), "nothing follows the last field"
        self.requests.append(request)
        self.under_way.append(sum([request["n"] for request in self.requests]) - self.written)
        refusal = self.answer(request)
        if refusal:
            return self.broker.send(self.prefix + b"rejected/cbor", encode(refusal))
        size = request["l"]
        bits = request["b"]
        wanted = [
            request["o"] + bit for bit in range(len(bits) * 8)
            if bits[bit // 8] >> bit % 8 & 1 and (request["o"] + bit) * size < len(self.content)
        ][: min(request["n"], 131072 // size)]
        for index in reversed(wanted) if self.backwards else wanted:
            self.sent += 1
            if not self.lose < self.sent <= self.lasts:
                continue
            for _ in range(self.copies):
                self.broker.send(self.prefix + b"data/cbor", self.block(request, index))

    def block(self, request, index):
        piece = self.content[index * request["l"] : (index + 1) * request["l"]]
        return encode({"c": request["c"], "f": request["f"], "l": len(piece), "i": index, "p": piece})


def serve_stream(broker, name, content=CONTENT):
    """Add a service for this stream of the board "thing" to a broker that already answers requests about jobs. Returns
    the service."""
    jobs = broker.on_publish
    service = Service(broker, content, b"$aws/things/thing/streams/" + name + b"/")

    def published(topic, payload):
        (service.published if topic.startswith(service.prefix) else jobs)(topic, payload)

    broker.on_publish = published
    return service
