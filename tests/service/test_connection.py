"""Connections: TLS in memory, packets in pieces, and fairness between clients."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from broker_service import BrokerService, send_in_one_go
from mqtt_wire import TIMEOUT, WireClient, connect_packet, packet, publish_packet

from ujobs_tools.host.processes import wait_until
from ujobs_tools.keys.pki import Authority
from ujobs_tools.service import broker as broker_module
from ujobs_tools.service import connection as connection_module

PINGREQ = b"\xc0\x00"


class SecureService:
    """A second port of the broker, with TLS."""

    def __init__(self, service: BrokerService, folder: Path) -> None:
        authority = Authority(folder / "pki")
        issued = authority.issue("kiln")
        (folder / "kiln.pem").write_bytes(issued.certificate_pem + issued.private_key_pem)
        self.ca_pem = authority.ca_pem.decode()
        self._certificate = folder / "kiln.pem"
        listening = service.broker.listen("127.0.0.1", 0, authority.server_context())
        self.port = asyncio.run_coroutine_threadsafe(listening, service._loop).result(TIMEOUT)

    def context(self, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.ca_pem)
        context.maximum_version = newest
        context.load_cert_chain(self._certificate)
        return context

    def client(self, client_id: str = "kiln", newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> WireClient:
        client = WireClient(self.port, self.context(newest))
        assert client.connect(client_id) == (0, 0)
        return client


@pytest.fixture
def secure(service: BrokerService, tmp_path: Path) -> SecureService:
    return SecureService(service, tmp_path)


@pytest.mark.parametrize(("asked", "chosen"), [(["x-amzn-mqtt-ca"], "x-amzn-mqtt-ca"), (["mqtt"], None)])
def test_clients_may_ask_for_the_protocol_of_port_443(
    secure: SecureService, asked: list[str], chosen: str | None
) -> None:
    context = secure.context()
    context.set_alpn_protocols(asked)
    plain = socket.create_connection(("127.0.0.1", secure.port))
    with context.wrap_socket(plain, server_hostname="localhost") as client:
        assert client.selected_alpn_protocol() == chosen


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_large_messages_pass_through_tls_in_both_directions(secure: SecureService, newest: ssl.TLSVersion) -> None:
    with secure.client(newest=newest) as client:
        client.subscribe("a")
        sent = [bytes([number]) * 128 * 1024 for number in range(3)]
        for payload in sent:
            client.send(publish_packet("a", payload))
        assert [client.message().payload for _ in sent] == sent
        client.ping()


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_sides_send_close_notify(
    service: BrokerService, secure: SecureService, newest: ssl.TLSVersion
) -> None:
    with service.client("watcher") as watcher:
        watcher.subscribe("a", "will")
        for farewell in (b"\xe0\x00", b""):
            with socket.create_connection(("127.0.0.1", secure.port), TIMEOUT) as plain:
                client = secure.context(newest).wrap_socket(plain, server_hostname="localhost")
                client.sendall(connect_packet("kiln", will=("will", b"gone", 1, False)))
                assert client.recv(4) == b"\x20\x02\x00\x00"
                client.sendall(publish_packet("a") * 200 + farewell)
                client.unwrap()  # fails unless the broker sends close_notify, too
            for _ in range(200):
                assert watcher.message().topic == "a"
        assert watcher.message().payload == b"gone", "only the second ended without DISCONNECT"
        watcher.ping()


@pytest.mark.parametrize("with_tls", [False, True])
def test_packets_may_come_byte_by_byte_and_all_in_one(
    service: BrokerService, secure: SecureService, with_tls: bool
) -> None:
    stream = publish_packet("$aws/a", b"x" * 200) + PINGREQ + publish_packet("$aws/b", b"y")
    connect: Callable[[], WireClient] = secure.client if with_tls else lambda: service.client("kiln")
    with connect() as client:
        for number in range(len(stream)):
            client.send(stream[number : number + 1])
        client.send(stream)
        expected = ["$aws/a/accepted", "ping", "$aws/b/accepted"] * 2
        assert [_told(*client.packet()) for _ in expected] == expected


def _told(first: int, body: bytes) -> str:
    return "ping" if first == 0xD0 else body[2 : 2 + int.from_bytes(body[:2], "big")].decode()


@pytest.mark.parametrize(
    ("sent", "why"),
    [(b"GET / HTTP/1.1\r\n\r\n", "HTTP_REQUEST"), (connect_packet("kiln"), "WRONG_VERSION_NUMBER")],
    ids=["HTTP", "MQTT without TLS"],
)
def test_connections_without_tls_are_closed_and_logged(
    secure: SecureService, caplog: pytest.LogCaptureFixture, sent: bytes, why: str
) -> None:
    with WireClient(secure.port) as client:
        client.send(sent)
        client.wait_closed()
    assert f"connection closed: TLS: {why}" in caplog.text


def test_a_client_without_certificate_gets_an_alert(secure: SecureService, caplog: pytest.LogCaptureFixture) -> None:
    context = ssl.create_default_context(cadata=secure.ca_pem)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="ALERT_HANDSHAKE_FAILURE"):
        WireClient(secure.port, context)
    # The alert is sent before the service notes why.
    line = "connection closed: TLS: PEER_DID_NOT_RETURN_A_CERTIFICATE"
    wait_until(lambda: line in caplog.text, line, TIMEOUT)


def test_an_unfinished_handshake_is_closed(secure: SecureService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "PATIENCE", 0.1)
    with WireClient(secure.port) as mute, WireClient(secure.port) as half:
        half.send(b"\x16\x03\x01\x01\x00")
        mute.wait_closed()
        half.wait_closed()


def test_connections_count_from_before_their_handshake(
    service: BrokerService, secure: SecureService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(broker_module, "MAX_CONNECTIONS", 2)
    with service.client("kiln") as kiln, WireClient(secure.port), WireClient(secure.port) as third:
        third.wait_closed()
        kiln.ping()
    assert "connection closed: more than 2 connections" in caplog.text


def test_many_messages_of_one_client_do_not_delay_others(service: BrokerService) -> None:
    with service.client("flood") as flood, service.client("kiln") as kiln:
        send_in_one_go(service, (flood, publish_packet("$aws/flood") * 2000), (kiln, publish_packet("$aws/kiln")))
        assert kiln.message().topic == "$aws/kiln/accepted"
        flood.send(PINGREQ)
        for _ in range(2000):
            flood.message()
        flood.ping()
        turn = [topic for _, topic, _ in service.published].index("$aws/kiln")
    assert turn < 200


def test_queued_packets_of_a_superseded_connection_are_discarded(
    service: BrokerService, caplog: pytest.LogCaptureFixture
) -> None:
    with service.client("kiln") as flood, WireClient(service.port) as newcomer:
        send_in_one_go(service, (flood, publish_packet("$aws/flood") * 2000), (newcomer, connect_packet("kiln")))
        assert newcomer.packet() == (0x20, b"\x00\x00")
        assert flood.is_closed()
        newcomer.ping()
    assert len(service.published) < 200
    [warning] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.startswith("kiln connected again")


def test_what_is_written_in_one_turn_arrives_in_order(service: BrokerService, secure: SecureService) -> None:
    with secure.client() as kiln:
        kiln.subscribe("a", qos=0)
        sizes = [1, 70_000, 2, 3, 100_000, 4]
        service.run(lambda broker: [broker.publish("a", bytes(size)) for size in sizes])
        assert [len(kiln.message().payload) for _ in sizes] == sizes


def test_a_failure_of_the_service_is_logged_once(service: BrokerService, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with service.client("kiln") as kiln:
        kiln.send(publish_packet("$aws/a", b"bug") + packet(0xC0))
        assert kiln.is_closed()
    assert [record.getMessage() for record in caplog.records] == ["kiln closed: the broker failed"]
