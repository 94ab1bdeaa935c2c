"""Test double of `umqtt.simple`, written from its public behaviour; ESP32 firmware includes the real one.

Runs on MicroPython and CPython. It has the weaknesses of the real one: it waits for acknowledgements without a timeout,
makes the socket blocking after the first byte of every packet, discards PINGRESP silently, never wraps the packet id,
and checks the broker's replies with `assert`. Set UMQTT_PATH to test with the real one.
"""

import socket


class MQTTException(Exception):
    pass


def _length(size):
    encoded = bytearray()
    while True:
        size, low = size >> 7, size & 127
        encoded.append(low | (128 if size else 0))
        if not size:
            return encoded


class MQTTClient:
    def __init__(
        self, client_id, server, port=0, user=None, password=None, keepalive=0, ssl=None, ssl_params=None
    ):
        self.client_id = client_id
        self.server = server
        self.port = port or (8883 if ssl else 1883)
        self.user = user
        self.pswd = password
        self.keepalive = keepalive
        self.ssl = ssl
        self.ssl_params = ssl_params
        self.sock = None
        self.pid = 0
        self.cb = None
        self.lw_topic = self.lw_msg = None
        self.lw_qos = 0
        self.lw_retain = False

    def _send_str(self, text):
        self.sock.write(len(text).to_bytes(2, "big"))
        self.sock.write(text)

    def set_callback(self, f):
        self.cb = f

    def set_last_will(self, topic, msg, retain=False, qos=0):
        assert topic and 0 <= qos <= 2
        self.lw_topic, self.lw_msg, self.lw_retain, self.lw_qos = topic, msg, retain, qos

    def connect(self, clean_session=True, timeout=None):
        self.sock = socket.socket()
        self.sock.settimeout(timeout)
        self.sock.connect(socket.getaddrinfo(self.server, self.port)[0][-1])
        if self.ssl:
            self.sock = self.ssl.wrap_socket(self.sock, server_hostname=self.server)
        flags = 2 if clean_session else 0
        size = 12 + len(self.client_id)
        if self.lw_topic:
            flags |= 4 | self.lw_qos << 3 | self.lw_retain << 5
            size += 4 + len(self.lw_topic) + len(self.lw_msg)
        if self.user:
            flags |= 0xC0
            size += 4 + len(self.user) + len(self.pswd)
        self.sock.write(b"\x10" + bytes(_length(size)))
        self.sock.write(b"\0\x04MQTT\x04" + bytes((flags,)) + self.keepalive.to_bytes(2, "big"))
        self._send_str(self.client_id)
        if self.lw_topic:
            self._send_str(self.lw_topic)
            self._send_str(self.lw_msg)
        if self.user:
            self._send_str(self.user)
            self._send_str(self.pswd)
        answer = self.sock.read(4)
        assert answer[0] == 0x20 and answer[1] == 2
        if answer[3]:
            raise MQTTException(answer[3])
        return answer[2] & 1

    def disconnect(self):
        self.sock.write(b"\xe0\0")
        self.sock.close()

    def ping(self):
        self.sock.write(b"\xc0\0")

    def publish(self, topic, msg, retain=False, qos=0):
        size = 2 + len(topic) + len(msg) + (2 if qos else 0)
        assert size < 2097152
        header = bytes((0x30 | qos << 1 | retain,)) + bytes(_length(size)) + b"\0"
        self.sock.write(header, len(header) - 1)
        self._send_str(topic)
        if qos:
            self.pid += 1
            packet_id = self.pid
            self.sock.write(packet_id.to_bytes(2, "big"))
        self.sock.write(msg)
        assert qos < 2
        while qos:
            if self.wait_msg() == 0x40:
                assert self.sock.read(1) == b"\x02"
                if int.from_bytes(self.sock.read(2), "big") == packet_id:
                    return

    def _request(self, kind, acknowledgement, topic, rest):
        self.pid += 1
        packet_id = self.pid
        self.sock.write(bytes((kind,)) + bytes(_length(4 + len(topic) + len(rest))))
        self.sock.write(packet_id.to_bytes(2, "big"))
        self._send_str(topic)
        if rest:
            self.sock.write(rest)
        while self.wait_msg() != acknowledgement:
            pass
        answer = self.sock.read(3 + len(rest))
        assert int.from_bytes(answer[1:3], "big") == packet_id
        if rest and answer[3] == 0x80:
            raise MQTTException(answer[3])

    def subscribe(self, topic, qos=0):
        assert self.cb is not None, "Subscribe callback is not set"
        self._request(0x82, 0x90, topic, bytes((qos,)))

    def unsubscribe(self, topic):
        self._request(0xA2, 0xB0, topic, b"")

    def wait_msg(self):
        first = self.sock.read(1)
        self.sock.setblocking(True)
        if first is None:
            return None
        if first == b"":
            raise OSError(-1)
        kind = first[0]
        if kind == 0xD0:
            assert self.sock.read(1) == b"\0"
            return None
        if kind & 0xF0 != 0x30:
            return kind
        size = shift = 0
        while True:
            byte = self.sock.read(1)[0]
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        length = int.from_bytes(self.sock.read(2), "big")
        topic = self.sock.read(length)
        size -= length + 2
        packet_id = b""
        if kind & 6:
            packet_id = self.sock.read(2)
            size -= 2
        self.cb(topic, self.sock.read(size))
        assert kind & 6 < 4
        if packet_id:
            self.sock.write(b"\x40\x02" + packet_id)
        return kind

    def check_msg(self):
        self.sock.setblocking(False)
        return self.wait_msg()
