"""The CA of the local service: keeps its own and the server's certificate in a folder, and issues device certificates.

Keys are EC P-256 with SHA-256, which microcontrollers support, unless RSA is requested."""

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ujobs_tools.host.files import write_whole

_READABLE = 0o644  # by all users
HOSTS = ("localhost", "127.0.0.1")
_AUTHORITY_NAME = "ujobs local certificate authority"
_YEARS = 20
# A board's clock may be a little behind the host's.
_SLACK = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key, as PEM and as DER; the key in the traditional format that mbedTLS reads."""

    certificate_pem: bytes
    private_key_pem: bytes
    certificate_der: bytes
    private_key_der: bytes


class Authority:
    """A CA with its files in a folder.

    directory: folder for ca.pem, ca.key, server.pem and server.key; missing files are created, and only the owner can
    read the keys. names: names and addresses of the server besides HOSTS; if its certificate lacks one, a new
    certificate is created. Raises OSError if the folder cannot be used, ValueError if a file in it is damaged.
    """

    def __init__(self, directory: Path, names: Sequence[str] = ()) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.ca_path = directory / "ca.pem"
        self._server_path = directory / "server.pem"
        self._server_key_path = directory / "server.key"
        key_path = directory / "ca.key"
        if not self.ca_path.exists():
            made = _make(_AUTHORITY_NAME, None)
            write_whole(key_path, made.private_key_pem, 0o600)
            write_whole(self.ca_path, made.certificate_pem, _READABLE)
        self.ca_pem = self.ca_path.read_bytes()
        try:
            self._certificate = x509.load_pem_x509_certificate(self.ca_pem)
            self._key = _load_key(key_path.read_bytes())
        except ValueError as error:
            raise ValueError(f"{self.ca_path} or {key_path.name} next to it is damaged: {error}") from error
        if self._certificate.public_key() != self._key.public_key():
            raise ValueError(f"{self.ca_path} and {key_path.name} next to it do not belong together")
        if not self._server_path.exists() or not set(names) <= self._server_names():
            made = self.issue("localhost", hosts=(*HOSTS, *names))
            write_whole(self._server_key_path, made.private_key_pem, 0o600)
            write_whole(self._server_path, made.certificate_pem, _READABLE)

    def _server_names(self) -> set[str]:
        try:
            certificate = x509.load_pem_x509_certificate(self._server_path.read_bytes())
            found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (ValueError, x509.ExtensionNotFound) as error:
            raise ValueError(f"{self._server_path} is damaged: {error}") from error
        return {*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))}

    @property
    def ca_der(self) -> bytes:
        """The CA certificate as DER."""
        return self._certificate.public_bytes(serialization.Encoding.DER)

    def issue(
        self,
        common_name: str,
        hosts: Sequence[str] = (),
        not_before: datetime.datetime | None = None,
        not_after: datetime.datetime | None = None,
    ) -> Issued:
        """Issue a certificate with a new key.

        common_name: 1 to 64 characters (X.520). hosts: DNS names and IP addresses of a server; empty for a device.
        not_before, not_after: with time zone; default: from yesterday for twenty years.
        """
        return _make(common_name, (self._certificate, self._key), hosts, not_before, not_after)

    def issue_rsa(self, common_name: str) -> Issued:
        """Issue a device certificate with a new RSA key of 2048 bits, like the keys that AWS generates. This takes up
        to a second."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return _make(common_name, (self._certificate, self._key), key=key)

    def sign(self, request_pem: bytes) -> bytes:
        """Issue a device certificate (PEM), valid for twenty years, for a certificate signing request (PEM).

        Raises ValueError if the request is invalid, is not signed with its key, or has a key that is neither EC nor
        RSA.
        """
        request = x509.load_pem_x509_csr(request_pem)
        key = request.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey) or not request.is_signature_valid:
            raise ValueError("the request must have an EC or RSA key, and be signed with it")
        builder = _builder(request.subject, key, self._certificate.subject, self._key, authority=False)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return builder.add_extension(usage, critical=False).sign(self._key, hashes.SHA256()).public_bytes(
            serialization.Encoding.PEM
        )

    def server_context(self, issued: Issued | None = None) -> ssl.SSLContext:
        """Return the TLS context (1.2 or later) of a server that verifies client certificates with this CA.

        issued: server certificate to use; None for the one in the folder. Raises ValueError if that one is damaged.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if issued is None:
            try:
                context.load_cert_chain(self._server_path, self._server_key_path)
            except ssl.SSLError as error:
                name = self._server_key_path.name
                raise ValueError(f"{self._server_path} or {name} next to it is damaged: {error.reason}") from error
        else:
            path = self._server_path.with_name("other-server.pem")
            write_whole(path, issued.certificate_pem + issued.private_key_pem, 0o600)
            context.load_cert_chain(path)
            path.unlink()
        context.load_verify_locations(cadata=self.ca_pem.decode("ascii"))
        context.verify_mode = ssl.CERT_REQUIRED
        return context


def _make(
    name: str,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
    hosts: Sequence[str] = (),
    not_before: datetime.datetime | None = None,
    not_after: datetime.datetime | None = None,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
) -> Issued:
    made = ec.generate_private_key(ec.SECP256R1())
    key = key or made
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer_name, issuer_key = (issuer[0].subject, issuer[1]) if issuer else (subject, made)
    builder = _builder(subject, key.public_key(), issuer_name, issuer_key, issuer is None, not_before, not_after)
    if issuer is not None:
        usage = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if hosts:
        names = [_general_name(host) for host in hosts]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(issuer_key, hashes.SHA256())
    pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
    traditional, plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    return Issued(
        certificate.public_bytes(pem),
        key.private_bytes(pem, traditional, plain),
        certificate.public_bytes(der),
        key.private_bytes(der, traditional, plain),
    )


def _builder(
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    issuer_name: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    authority: bool,
    not_before: datetime.datetime | None = None,
    not_after: datetime.datetime | None = None,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    # Strict verifiers (Python 3.13's default) require both key identifiers and the key usage.
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before or now - _SLACK)
        .not_valid_after(not_after or now + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .add_extension(_key_usage(authority), critical=True)
    )


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("ca.key is not an EC key")
    return key
