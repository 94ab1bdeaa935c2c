"""The CA's certificates, verified by OpenSSL (Python's ssl) and by mbedTLS (MicroPython's tls)."""

import datetime
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ujobs_tools.board.interpreter import find_micropython
from ujobs_tools.keys.pki import HOSTS, Authority, Issued

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@contextmanager
def tls_server(context: ssl.SSLContext) -> Iterator[int]:
    """Answer one connection with the client's common name; yields the port."""

    def serve() -> None:
        try:
            connection, _ = listener.accept()
            with connection, context.wrap_socket(connection, server_side=True) as secure:
                certificate = secure.getpeercert(binary_form=True)
                assert certificate is not None
                secure.sendall(x509.load_der_x509_certificate(certificate).subject.rfc4514_string()[3:].encode())
        except OSError:
            pass  # The client gets the error.

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def client_context(trusted: Authority, device: Issued | None, folder: Path) -> ssl.SSLContext:
    """Return a client context with OpenSSL's strictest checks."""
    context = ssl.create_default_context(cadata=trusted.ca_pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if device is not None:
        (folder / "device.pem").write_bytes(device.certificate_pem + device.private_key_pem)
        context.load_cert_chain(folder / "device.pem")
    return context


def talk(port: int, context: ssl.SSLContext, host: str = "localhost") -> bytes:
    """Return the server's reply after it has accepted the client."""
    with (
        socket.create_connection(("127.0.0.1", port), 10) as connection,
        context.wrap_socket(connection, server_hostname=host) as secure,
    ):
        return secure.recv(100)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_mutual_tls_with_openssl(authority: Authority, tmp_path: Path, host: str, version: ssl.TLSVersion) -> None:
    context = client_context(authority, authority.issue("kiln-7"), tmp_path)
    context.minimum_version = context.maximum_version = version
    with tls_server(authority.server_context()) as port:
        assert talk(port, context, host) == b"kiln-7"


@pytest.mark.parametrize("other", ["authority of its own", "no certificate", "expired"])
def test_clients_that_the_server_refuses(authority: Authority, tmp_path: Path, other: str) -> None:
    device = {
        "authority of its own": Authority(tmp_path / "other").issue("kiln-7"),
        "no certificate": None,
        "expired": authority.issue("kiln-7", not_before=NOW - 2 * DAY, not_after=NOW - DAY),
    }[other]
    with (
        tls_server(authority.server_context()) as port,
        pytest.raises((ssl.SSLError, ConnectionResetError)),
    ):
        talk(port, client_context(authority, device, tmp_path))


def test_tls_1_1_is_refused(authority: Authority) -> None:
    assert authority.server_context().minimum_version == ssl.TLSVersion.TLSv1_2


def test_the_folder_is_used_again(tmp_path: Path) -> None:
    first = Authority(tmp_path / "pki")
    device = first.issue("kiln-7")
    second = Authority(tmp_path / "pki")
    assert (second.ca_pem, second.ca_der) == (first.ca_pem, first.ca_der)
    with tls_server(second.server_context()) as port:
        assert talk(port, client_context(first, device, tmp_path)) == b"kiln-7"


def test_private_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    Authority(tmp_path)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes.keys() == {"ca.pem", "ca.key", "server.pem", "server.key"}
    assert modes["ca.key"] == modes["server.key"] == 0o600


def test_issued_certificates(authority: Authority) -> None:
    issued = authority.issue("kiln-7")
    certificate = x509.load_der_x509_certificate(issued.certificate_der)
    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(authority.ca_der))
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert certificate.signature_hash_algorithm is not None
    assert certificate.signature_hash_algorithm.name == "sha256"
    assert issued.certificate_pem == ssl.DER_cert_to_PEM_cert(issued.certificate_der).encode()
    assert certificate.subject.rfc4514_string() == "CN=kiln-7"
    assert authority.issue("kiln-7") != issued, "each has a key of its own"
    with pytest.raises(ValueError, match="64"):
        authority.issue("x" * 65)


@pytest.mark.parametrize("name", ["ca.pem", "ca.key", "server.pem", "server.key"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    Authority(tmp_path)
    (tmp_path / name).write_bytes(b"-----BEGIN NOTHING-----\n")
    with pytest.raises(ValueError, match=rf"{tmp_path}.*damaged"):
        Authority(tmp_path).server_context()


def test_keys_that_do_not_belong_to_their_certificates_are_noticed(tmp_path: Path) -> None:
    Authority(tmp_path / "one")
    Authority(tmp_path / "two")
    (tmp_path / "one" / "server.key").write_bytes((tmp_path / "two" / "server.key").read_bytes())
    with pytest.raises(ValueError, match=r"server\.key.*damaged"):
        Authority(tmp_path / "one").server_context()
    (tmp_path / "one" / "ca.key").write_bytes((tmp_path / "two" / "ca.key").read_bytes())
    with pytest.raises(ValueError, match="do not belong together"):
        Authority(tmp_path / "one")


MICROPYTHON_CLIENT = """
import socket, sys, tls
port, host, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
def read(name):
    with open(folder + "/" + name, "rb") as file:
        return file.read()
context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
context.verify_mode = tls.CERT_REQUIRED
context.load_verify_locations(read("ca.der"))
context.load_cert_chain(read("cert.der"), read("key.der"))
plain = socket.socket()
plain.connect(socket.getaddrinfo("127.0.0.1", port)[0][-1])
try:
    print(context.wrap_socket(plain, server_hostname=host).read(6))
except (OSError, ValueError) as error:
    print(repr(error))
"""


def talk_from_micropython(
    folder: Path, server: ssl.SSLContext, trusted: Authority, device: Issued, host: str = "localhost"
) -> str:
    (folder / "ca.der").write_bytes(trusted.ca_der)
    (folder / "cert.der").write_bytes(device.certificate_der)
    (folder / "key.der").write_bytes(device.private_key_der)
    (folder / "client.py").write_text(MICROPYTHON_CLIENT)
    with tls_server(server) as port:
        command = [find_micropython(), folder / "client.py", str(port), host, folder]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.parametrize("host", HOSTS)
def test_mutual_tls_with_micropython(authority: Authority, tmp_path: Path, host: str) -> None:
    device = authority.issue("kiln-7")
    assert talk_from_micropython(tmp_path, authority.server_context(), authority, device, host) == "b'kiln-7'\n"


@pytest.mark.parametrize(
    ("flaw", "error"),
    [
        ("authority", "not correctly signed by the trusted CA"),
        ("host", "does not match with the expected CN"),
        ("expired", "validity has expired"),
        ("early", "validity starts in the future"),
    ],
)
def test_servers_that_micropython_refuses(authority: Authority, tmp_path: Path, flaw: str, error: str) -> None:
    trusted = Authority(tmp_path / "other") if flaw == "authority" else authority
    server = {
        "host": authority.issue("elsewhere", hosts=["elsewhere.example"]),
        "expired": authority.issue("localhost", HOSTS, not_before=NOW - 2 * DAY, not_after=NOW - DAY),
        "early": authority.issue("localhost", HOSTS, not_before=NOW + DAY),
    }.get(flaw)
    device = authority.issue("kiln-7")
    said = talk_from_micropython(tmp_path, authority.server_context(server), trusted, device)
    assert said.startswith("ValueError")
    assert error in said


def test_the_servers_certificate_contains_its_names(tmp_path: Path) -> None:
    first = Authority(tmp_path)
    server = (tmp_path / "server.pem").read_bytes()
    named = Authority(tmp_path, ["192.0.2.7", "jobs.example"])
    assert named.ca_pem == first.ca_pem
    certificate = x509.load_pem_x509_certificate((tmp_path / "server.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "jobs.example"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "192.0.2.7"]
    assert certificate.public_bytes(serialization.Encoding.PEM) != server
    # With the same names the certificate is kept: a restart does not change it.
    server = (tmp_path / "server.pem").read_bytes()
    Authority(tmp_path, ["192.0.2.7"])
    assert (tmp_path / "server.pem").read_bytes() == server
