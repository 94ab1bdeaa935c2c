"""Searches for secrets in the output of a test run: in the output that pytest captures, and in log files of boards and
services. tests/security/test_no_secrets_in_output.py fails if there are any.

A pytest plugin, loaded by tests/conftest.py.
"""

import base64
import contextlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

FOUND = pytest.StashKey[list[str]]()
SEEN = pytest.StashKey[list[int]]()
"""Characters looked through so far."""

_LAST = "test_no_secrets_in_output.py"
# Patterns for private keys and presigned URLs, and the passwords that tests use.
_PATTERN = re.compile(
    r"PRIVATE KEY-----|X-Amz-(?:Signature|Credential|Security-Token)=|(?:secret|old|new)-(?:secret|password)"
)
_CONTEXT = 60  # characters shown around


def secrets_in(text: str, keys: Iterable[str] = ()) -> list[str]:
    """Return the places in a text that contain a secret. keys: pieces of private keys, see key_pieces()."""
    places = [match.start() for match in _PATTERN.finditer(text)]
    places += [text.index(piece) for piece in keys if piece in text]
    return [text[max(place - _CONTEXT, 0) : place + _CONTEXT] for place in places]


def key_pieces(folder: Path) -> Iterator[str]:
    """Return pieces of all private keys below a folder (*.pem, *.key, *.der), in all formats in which they could be
    printed."""
    for file in (file for suffix in ("pem", "key", "der") for file in folder.rglob(f"*.{suffix}")):
        content = file.read_bytes()
        for key in _keys(content):
            numbers = key.private_numbers()
            value = numbers.private_value if isinstance(numbers, ec.EllipticCurvePrivateNumbers) else numbers.d
            secret = value.to_bytes((value.bit_length() + 7) // 8, "big")[:24]
            yield secret.hex()
            yield repr(secret[:12])[2:-1]
            # The key can begin at any of three positions in longer base64.
            yield from (base64.b64encode(secret[start : start + 18]).decode() for start in range(3))


def _keys(content: bytes) -> Iterator[ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]:
    blocks = re.findall(b"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", content, re.DOTALL)
    found = [serialization.load_pem_private_key(block, None) for block in blocks]
    if b"-----BEGIN" not in content:
        with contextlib.suppress(ValueError):  # a certificate
            found.append(serialization.load_der_private_key(content, None))
    for key in found:
        assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
        yield key


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FOUND] = []
    config.stash[SEEN] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name == _LAST)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    for name, text in report.sections:
        item.config.stash[SEEN].append(len(text))
        item.config.stash[FOUND] += [f"{item.nodeid}, {name}: …{place}…" for place in secrets_in(text)]
    return report
