"""The output and logs of this test run contain no private key, password or presigned URL. This test runs last.

tests/helpers/output_watch.py searches the output.
"""

import base64
from pathlib import Path

import pytest

import output_watch
from output_watch import key_pieces, secrets_in
from ujobs_tools.keys.pki import Authority


def test_nothing_that_was_printed_has_a_secret_in_it(request: pytest.FixtureRequest) -> None:
    assert request.config.stash[output_watch.FOUND] == []
    print(f"{sum(request.config.stash[output_watch.SEEN])} characters")


def test_no_log_has_a_secret_in_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    keys = list(key_pieces(folder))
    logs = {file: file.read_text(errors="replace") for file in folder.rglob("*.log")}
    found = {str(file): places for file, text in logs.items() if (places := secrets_in(text, keys))}
    assert found == {}
    print(f"{len(logs)} logs, {sum(map(len, logs.values()))} characters, {len(keys) // 5} private keys")


@pytest.mark.parametrize(
    "line",
    [
        "GET https://bucket/key?X-Amz-Algorithm=x&X-Amz-Signature=0f",
        "-----BEGIN EC PRIVATE KEY-----",
        "settings: {'wifi': {'ssid': 'barn', 'password': 'new-secret'}}",
    ],
)
def test_a_secret_would_be_found(line: str) -> None:
    assert secrets_in(f"ujobs: {line}\n")
    assert not secrets_in("ujobs: job a (1) starts, attempt 1\n")


@pytest.mark.parametrize("form", ["pem", "der"])
def test_a_private_key_would_be_found(tmp_path: Path, form: str) -> None:
    issued = Authority(tmp_path / "authority").issue("kiln")
    (tmp_path / f"key.{form}").write_bytes(getattr(issued, f"private_key_{form}"))
    keys = list(key_pieces(tmp_path))
    for shown in (issued.private_key_der.hex(), str(issued.private_key_der), issued.private_key_pem.decode()):
        assert secrets_in(f"key: {shown.replace('PRIVATE KEY', '')}", keys)
    assert secrets_in(base64.b64encode(b"." + issued.private_key_der).decode(), keys)
    assert not secrets_in(issued.certificate_pem.decode(), keys)
