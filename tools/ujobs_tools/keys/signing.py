"""Signs files and job documents for boards that accept only signed files (the setting `signing_key`).

lib/ujobs/verify.py checks the signatures: RSA with 2048 to 3072 bits (PKCS#1 v1.5, or PSS with 32 bytes of salt) or
ECDSA on P-256, over SHA-256. Keys that boards do not support are refused here."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from ujobs_tools.host.files import write_new

KeyKind = Literal["ec", "rsa-2048", "rsa-3072"]
SCHEME_PSS = "sig-sha256-rsa-pss"
_RSA_BITS = range(2048, 3072 + 1, 8)
_RSA_EXPONENTS = (3, 65537)
_SALT = 32  # bytes
MAX_VERSION = 64  # characters


@dataclass(frozen=True)
class Signer:
    """Signs with one key.

    key: from `load_key` or `new_key`. pss: sign with PSS, not PKCS#1 v1.5. Raises ValueError for PSS with an EC key.
    """

    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    pss: bool = False

    def __post_init__(self) -> None:
        if self.pss and not isinstance(self.key, rsa.RSAPrivateKey):
            raise ValueError("PSS needs an RSA key; this is an EC key")

    def members(self, digest: bytes) -> dict[str, str]:
        """Return the members of a job document for a signature: `signature` in base64, and `scheme` for PSS, which
        boards cannot recognise from the key. digest: SHA-256 of the file, 32 bytes. Raises ValueError for another
        length."""
        algorithm = Prehashed(hashes.SHA256())
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            signature = self.key.sign(digest, ec.ECDSA(algorithm))
        elif self.pss:
            signature = self.key.sign(digest, padding.PSS(padding.MGF1(hashes.SHA256()), _SALT), algorithm)
        else:
            signature = self.key.sign(digest, padding.PKCS1v15(), algorithm)
        made = {"signature": base64.b64encode(signature).decode("ascii")}
        return made | ({"scheme": SCHEME_PSS} if self.pss else {})

    def sign_document(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the document of an `app` or `firmware` job with its signature.

        The signature covers operation, version, `downgrade`, and SHA-256 and path of every file; lib/ujobs/sources.py
        checks it. Raises ValueError if the document lacks one of them.
        """
        if document.get("operation") not in ("app", "firmware") or not document.get("version"):
            raise ValueError("only documents of app and firmware jobs with a version can be signed")
        version = str(document["version"])
        if len(version) > MAX_VERSION:
            raise ValueError(f"version is over {MAX_VERSION} characters")
        text = f"{document['operation']}\n{version}\n{'downgrade' if document.get('downgrade') is True else ''}"
        for file in document.get("files", []) if document["operation"] == "app" else [document]:
            if not isinstance(file, dict) or not isinstance(file.get("sha256"), str):
                raise ValueError("every file needs a sha256")
            text += f"\n{file['sha256'].lower()} {file.get('path', '')}"
        return document | self.members(hashlib.sha256(text.encode()).digest())

    def describe(self, file: Path) -> dict[str, Any]:
        """Return size, SHA-256 and signature of a file, as members of a job document. Raises OSError."""
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").digest()
            return {"size": stream.tell(), "sha256": digest.hex(), **self.members(digest)}

    def public_der(self) -> bytes:
        """Return the public key in the format of the setting `signing_key`: SubjectPublicKeyInfo, DER."""
        return self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )


def load_key(path: Path) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    """Read a private key from a PEM file. Raises OSError; ValueError if boards do not support the key."""
    content = path.read_bytes()
    try:
        key = serialization.load_pem_private_key(content, None)
    except TypeError as error:
        raise ValueError(f"{path} is encrypted; remove the passphrase: openssl pkey -in {path} -out FILE") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{path} is not a private key in PEM") from error
    if isinstance(key, ec.EllipticCurvePrivateKey):
        if not isinstance(key.curve, ec.SECP256R1):
            raise ValueError(f"{path}: boards support EC keys on P-256 only; this one is on {key.curve.name}")
    elif isinstance(key, rsa.RSAPrivateKey):
        exponent = key.public_key().public_numbers().e
        if key.key_size not in _RSA_BITS or exponent not in _RSA_EXPONENTS:
            raise ValueError(
                f"{path}: boards support RSA keys of 2048 to 3072 bits, a multiple of 8, with the exponent 3 or 65537; "
                f"this one has {key.key_size} bits and the exponent {exponent}"
            )
    else:
        raise ValueError(f"{path}: boards support only RSA and EC keys; this is another kind")
    return key


def new_key(kind: KeyKind, path: Path) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    """Create a private key and write it to a PEM file that only its owner can read.

    path: must not exist. Raises OSError.
    """
    if kind == "ec":
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = rsa.generate_private_key(65537, int(kind.removeprefix("rsa-")))
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_new(path, pem, 0o600)
    return key
