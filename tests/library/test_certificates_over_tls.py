"""Certificate chains, keys of all types, and server names, over real TLS on both interpreters.

The shim of `tls` and the unix port's mbedTLS must behave alike.
"""

import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from both_interpreters import Attempt, on_both
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

# Returns what the server sent, or the error.
PROGRAM = """
import asyncio
from ujobs.certificates import tls_context
from ujobs.download import download

async def attempt(url, *files):
    found = bytearray()
    def begin(offset, total, etag):
        pass
    def write(offset, piece):
        found.extend(piece)
    try:
        await download(url, begin, write, context=tls_context(*files))
        return found.decode()
    except (OSError, ValueError) as error:
        return " ".join(str(error).split())
"""
CONTENT = b"content"

INTERPRETERS = on_both(PROGRAM)


class Issued:
    """A certificate with its key. issuer: None: a root."""

    def __init__(self, name: str, issuer: "Issued | None" = None, key: Any = None, authority: bool = False):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
            .sign((issuer or self).key, hashes.SHA256())
        )

    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def private(self, encoding: Encoding, form: PrivateFormat) -> bytes:
        return self.key.private_bytes(encoding, form, NoEncryption())


class Pki:
    """Certificate and key files: a root, an intermediate CA, a device certificate of that CA, and servers of the
    root."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.root = Issued("root", authority=True)
        self.issuer = Issued("issuer", self.root, authority=True)
        self.other = Issued("other", authority=True)
        self.server = Issued("localhost", self.root)

    def file(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    @contextlib.contextmanager
    def serve(self, issued: Issued | None = None, clients: bool = False) -> Iterator[str]:
        """A web server; yields its URL. clients: whether it requires client certificates that chain to the root."""
        issued = issued or self.server
        private = issued.private(Encoding.PEM, PrivateFormat.PKCS8)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file("server.pem", issued.pem() + private))
        if clients:
            context.maximum_version = ssl.TLSVersion.TLSv1_2  # refuse clients in the handshake, not at the first read
            context.load_verify_locations(self.file("root.pem", self.root.pem()))
            context.verify_mode = ssl.CERT_REQUIRED
        with socket.create_server(("127.0.0.1", 0)) as listening:
            thread = threading.Thread(target=self._answer, args=(listening, context))
            thread.start()
            try:
                yield f"https://localhost:{listening.getsockname()[1]}/file"
            finally:
                listening.shutdown(socket.SHUT_RDWR)
                thread.join()

    def _answer(self, listening: socket.socket, context: ssl.SSLContext) -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            with plain, contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
                connection.settimeout(10)
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(CONTENT), CONTENT))
                connection.recv(1)


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


@INTERPRETERS
def test_the_chain_in_cert_is_sent(pki: Pki, attempt: Attempt) -> None:
    ca = pki.file("ca.pem", pki.other.pem() + pki.root.pem())
    with pki.serve(clients=True) as url:
        for key in (ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)):
            device = Issued("kiln-7", pki.issuer, key)
            chain = pki.file("cert.pem", device.pem() + pki.issuer.pem())
            for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
                for encoding in (Encoding.PEM, Encoding.DER):
                    private = pki.file("key", device.private(encoding, form))
                    assert attempt(url, ca, chain, private) == CONTENT.decode()
            alone = pki.file("cert.der", device.der())
            assert attempt(url, ca, alone, private) != CONTENT.decode()


@INTERPRETERS
def test_a_key_that_does_not_belong_to_the_certificate_is_named(pki: Pki, attempt: Attempt) -> None:
    ca = pki.file("ca.pem", pki.root.pem())
    for key, other in (
        (ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())),
        (rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)),
    ):
        cert = pki.file("cert.der", Issued("kiln-7", pki.root, key).der())
        for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
            private = pki.file("key.der", Issued("kiln-7", pki.root, other).private(Encoding.DER, form))
            said = attempt("https://localhost/", ca, cert, private)
            assert said == f"{private}: it does not belong to the certificate"


@INTERPRETERS
def test_the_name_of_a_download_server_is_checked(pki: Pki, attempt: Attempt) -> None:
    ca = pki.file("ca.pem", pki.root.pem())
    with pki.serve(Issued("files.example", pki.root)) as url:
        said = attempt(url, ca)
        assert said == "url: The certificate Common Name (CN) does not match with the expected CN"


@INTERPRETERS
def test_a_download_server_of_another_ca_is_refused(pki: Pki, attempt: Attempt) -> None:
    with pki.serve() as url:
        assert attempt(url, pki.file("ca.pem", pki.root.pem())) == CONTENT.decode()
        said = attempt(url, pki.file("ca.pem", pki.other.pem()))
        assert said == "url: The certificate is not correctly signed by the trusted CA"
