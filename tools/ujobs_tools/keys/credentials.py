"""The files that a board needs to connect: ca, cert and key, each as .pem and .der."""

import contextlib
import datetime
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from ujobs_tools.host.files import write_new, write_whole

_ENCODINGS = ("pem", Encoding.PEM), ("der", Encoding.DER)


def check_folder(folder: Path) -> None:
    """Raises FileExistsError if the folder already has a key, another OSError if it is not a folder or not writable."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    for name in ("key.pem", "key.der"):
        if (folder / name).exists():
            raise FileExistsError(f"{folder / name} exists, and keys are never overwritten: choose another folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} is not writable")


def key_and_request() -> tuple[str, str]:
    """Create an EC P-256 key and a certificate signing request for it, both as PEM.

    The request does not contain the thing name: the cloud stores which thing a certificate is attached to.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "AWS IoT Certificate")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return key_pem.decode("ascii"), request.public_bytes(Encoding.PEM).decode("ascii")


def write(folder: Path, authority: bytes, certificate_pem: bytes, key_pem: bytes) -> None:
    """Write the six files; only their owner can read the keys.

    authority: CA certificate, PEM or DER. key_pem: private key, not encrypted. Keys are written in the traditional
    format, PKCS#1 or SEC 1, which every TLS library for microcontrollers can read. Raises OSError, also if there is
    a key already; no new key is left then. Raises ValueError if an argument is not a certificate or key.
    """
    key = load_pem_private_key(key_pem, None)
    certificates = {"ca": one_certificate(authority), "cert": one_certificate(certificate_pem)}
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, encoding in _ENCODINGS:
        for name, certificate in certificates.items():
            write_whole(folder / f"{name}.{suffix}", certificate.public_bytes(encoding))
    with contextlib.ExitStack() as undo:
        # The keys come last: they say that the folder is in use, and that all other files are there.
        for suffix, encoding in _ENCODINGS:
            content = key.private_bytes(encoding, PrivateFormat.TraditionalOpenSSL, NoEncryption())
            write_new(folder / f"key.{suffix}", content, 0o600)
            undo.callback((folder / f"key.{suffix}").unlink)
        undo.pop_all()


def one_certificate(content: bytes) -> x509.Certificate:
    """Parse a certificate, PEM or DER. Raises ValueError if there is none, or more than one."""
    try:
        if b"-----BEGIN" not in content:
            return x509.load_der_x509_certificate(content)
        found = x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise ValueError("no certificate in PEM or DER") from error
    if len(found) != 1:
        raise ValueError(f"{len(found)} certificates; boards need exactly one")
    return found[0]


def check_authority(certificate: x509.Certificate) -> None:
    """Raises ValueError if the certificate has expired, or cannot issue certificates, such as a device's."""
    if certificate.not_valid_after_utc < datetime.datetime.now(datetime.UTC):
        raise ValueError(f"it expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return  # X.509 version 1 has none, and some private CAs still use it
    if not constraints.ca:
        raise ValueError("it is not the certificate of a CA")
