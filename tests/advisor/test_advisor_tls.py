"""AWS IoT Device Advisor's TLS cases, each named after its id, with boot.py and main.py on the virtual board.

Source: AWS IoT Core Developer Guide, "Device Advisor test cases", page TLS.
"""

from pathlib import Path

from device_under_test import StartDevice
from endpoint import Endpoint
from server_certificates import Certificate, make, server_context

from ujobs_tools.service import packets
from ujobs_tools.service.packets import Message

# AWS IoT Core Developer Guide, "Transport security", policy TLS12_1_2_2022_10, with the numbers IANA gave them.
SUPPORTED = {
    0xC02B: "ECDHE-ECDSA-AES128-GCM-SHA256", 0xC02F: "ECDHE-RSA-AES128-GCM-SHA256",
    0xC023: "ECDHE-ECDSA-AES128-SHA256", 0xC027: "ECDHE-RSA-AES128-SHA256",
    0xC009: "ECDHE-ECDSA-AES128-SHA", 0xC013: "ECDHE-RSA-AES128-SHA",
    0xC02C: "ECDHE-ECDSA-AES256-GCM-SHA384", 0xC030: "ECDHE-RSA-AES256-GCM-SHA384",
    0xC024: "ECDHE-ECDSA-AES256-SHA384", 0xC028: "ECDHE-RSA-AES256-SHA384",
    0xC00A: "ECDHE-ECDSA-AES256-SHA", 0xC014: "ECDHE-RSA-AES256-SHA",
    0x009C: "AES128-GCM-SHA256", 0x003C: "AES128-SHA256", 0x002F: "AES128-SHA",
    0x009D: "AES256-GCM-SHA384", 0x003D: "AES256-SHA256", 0x0035: "AES256-SHA",
}
NOT_A_CIPHER = {0x00FF}  # TLS_EMPTY_RENEGOTIATION_INFO_SCSV
MAXIMUM_FRAGMENT = 16384  # bytes, RFC 5246, 6.2.1


def test_tls_connect(endpoint: Endpoint, start_device: StartDevice) -> None:
    start_device(endpoint)
    endpoint.wait_for(lambda: bool(endpoint.handshakes), "handshake")
    assert endpoint.handshakes == ["ECDHE-RSA-AES256-GCM-SHA384"]


def test_tls_receive_maximum_size_fragments(endpoint: Endpoint, start_device: StartDevice) -> None:
    device = start_device(endpoint)
    endpoint.wait_for_packet(packets.SUBSCRIBE)
    # One packet that fills one TLS record, and one of several records that is over what the board takes in.
    empty = packets.publish(Message("advisor/trigger", b"x" * 16000, qos=1), 1)
    payload = b"x" * (16000 + MAXIMUM_FRAGMENT - len(empty))
    whole = packets.publish(Message("advisor/trigger", payload, qos=1), 1)
    assert len(whole) == MAXIMUM_FRAGMENT
    endpoint.send(whole)
    device.wait_for(f"app: {len(payload)} bytes on advisor/trigger")
    endpoint.send(packets.publish(Message("advisor/trigger", b"x" * 128 * 1024, qos=1), 2))
    endpoint.wait_for_packet(packets.PUBACK, 2)
    assert [packets.read_puback(body) for body in endpoint.bodies(packets.PUBACK)] == [1, 2]
    assert len(endpoint.handshakes) == 1


def test_tls_support_aws_iot_cipher_suites(endpoint: Endpoint, start_device: StartDevice) -> None:
    start_device(endpoint)
    endpoint.wait_for(lambda: bool(endpoint.handshakes), "handshake")
    offered = set(cipher_suites(endpoint.hellos[0])) - NOT_A_CIPHER
    assert {0xC02B, 0xC02F, 0xC02C, 0xC030} <= offered
    assert offered <= set(SUPPORTED), "pass with warnings: suites that AWS IoT does not have"


def cipher_suites(hello: bytes) -> list[int]:
    """What a ClientHello offers; RFC 5246, 7.4.1.2."""
    assert (hello[0], hello[5]) == (22, 1)
    session = 5 + 4 + 2 + 32
    start = session + 1 + hello[session] + 2
    size = int.from_bytes(hello[start - 2 : start], "big")
    return [int.from_bytes(hello[at : at + 2], "big") for at in range(start, start + size, 2)]


def test_tls_large_size_server_cert(tmp_path: Path, authority: Certificate, start_device: StartDevice) -> None:
    # Far more than the 20 % that the case adds to AWS IoT's own chain of about 5 KB.
    names = tuple(f"a-rather-long-host-name-number-{number}.iot.example" for number in range(150))
    first = make("Intermediate 1", authority)
    second = make("Intermediate 2", first)
    chain = make("localhost", second, ("localhost", *names)), second, first
    assert sum(len(certificate.der) for certificate in chain) > 8000
    with Endpoint(server_context(tmp_path, *chain)) as endpoint:
        device = start_device(endpoint)
        device.wait_for("ujobs: connected to localhost")


def test_tls_unsecure_server_cert(tmp_path: Path, start_device: StartDevice) -> None:
    check_refusal(
        make("localhost", make("Root of others"), ("localhost",)), tmp_path, start_device,
        "The certificate is not correctly signed by the trusted CA",
    )


def test_tls_incorrect_subject_name_server_cert(
    tmp_path: Path, authority: Certificate, start_device: StartDevice
) -> None:
    check_refusal(
        make("other.example", authority, ("other.example",)), tmp_path, start_device,
        "The certificate Common Name (CN) does not match with the expected CN",
    )


def test_tls_expired_server_cert(tmp_path: Path, authority: Certificate, start_device: StartDevice) -> None:
    check_refusal(
        make("localhost", authority, ("localhost",), (-9, -1)), tmp_path, start_device,
        "The certificate validity has expired",
    )


def check_refusal(certificate: Certificate, folder: Path, start_device: StartDevice, reason: str) -> None:
    """The board sends a TLS alert, says in one line what is wrong, and tries again; MQTT is never spoken."""
    with Endpoint(server_context(folder, certificate)) as endpoint:
        device = start_device(endpoint)
        device.wait_for(f"ujobs: no link to localhost:{endpoint.port}: ValueError: {reason}. Next try in ", times=2)
        endpoint.wait_for(lambda: len(endpoint.handshakes) >= 2, "two handshakes")
        assert all("ALERT" in handshake for handshake in endpoint.handshakes)
        assert not endpoint.packets
        assert "Traceback" not in device.said()
