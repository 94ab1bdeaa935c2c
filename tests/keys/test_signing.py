"""`ujobs sign`: openssl and the library accept its signatures, and the library accepts openssl's."""

import base64
import hashlib
import itertools
import json
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from typer.testing import CliRunner

from ujobs.verify import ECDSA, RSA, RSA_PSS, check, load_key
from ujobs_tools.cli import app
from ujobs_tools.keys import signing

CONTENT = b"print('hello')\n" * 1000
DIGEST = hashlib.sha256(CONTENT).digest()
KINDS = ["ec", "rsa-2048", "rsa-3072"]
WAYS = [("ec", False), ("rsa-2048", False), ("rsa-2048", True), ("rsa-3072", False), ("rsa-3072", True)]
PSS_OPTIONS = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32", "-sigopt", "rsa_mgf1_md:sha256"]


def sign(*arguments: str | Path) -> tuple[int, str]:
    """Return exit code and output."""
    result = CliRunner().invoke(app, ["sign", *map(str, arguments)])
    return result.exit_code, result.output


def refused(*arguments: str | Path) -> str:
    """Return the single line of output of a command that fails."""
    code, output = sign(*arguments)
    assert code in (1, 2), output
    assert len(output.strip().splitlines()) == 1, output
    return output


def openssl(*arguments: str | Path) -> bytes:
    """Return the output of openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with KIND.pem and KIND.der for each kind of key, and the file to sign."""
    folder = tmp_path_factory.mktemp("keys")
    (folder / "app.py").write_bytes(CONTENT)
    for kind in KINDS:
        code, output = sign("--new-key", kind, "--key", folder / f"{kind}.pem", "--public", folder / f"{kind}.der")
        assert (code, output) == (0, "")
    return folder


def signed(keys: Path, kind: str, pss: bool) -> dict[str, Any]:
    """Return the output of `ujobs sign` for the file."""
    code, output = sign("--key", keys / f"{kind}.pem", keys / "app.py", *(["--pss"] if pss else []))
    assert code == 0, output
    found: dict[str, Any] = json.loads(output)
    return found


@pytest.mark.parametrize(("kind", "pss"), WAYS)
def test_a_board_accepts_signed_files(keys: Path, kind: str, pss: bool) -> None:
    found = signed(keys, kind, pss)
    assert found["path"] == str(keys / "app.py")
    assert (found["size"], found["sha256"]) == (len(CONTENT), DIGEST.hex())
    assert found.get("scheme") == (RSA_PSS if pss else None)
    signature = base64.b64decode(found["signature"])
    key = load_key(str(keys / f"{kind}.der"))
    assert check(key, DIGEST, signature, found.get("scheme"))
    assert not check(key, DIGEST, signature, {None: RSA_PSS, RSA_PSS: RSA}[found.get("scheme")])
    other = load_key(str(keys / f"{'rsa-2048' if kind == 'ec' else 'ec'}.der"))
    assert not check(other, DIGEST, signature, found.get("scheme"))


@pytest.mark.parametrize(("kind", "pss"), WAYS)
def test_openssl_accepts_the_signatures(keys: Path, kind: str, pss: bool, tmp_path: Path) -> None:
    (tmp_path / "signature").write_bytes(base64.b64decode(signed(keys, kind, pss)["signature"]))
    options = ["-keyform", "DER", "-verify", keys / f"{kind}.der", "-signature", tmp_path / "signature"]
    assert b"OK" in openssl("dgst", "-sha256", *(PSS_OPTIONS if pss else []), *options, keys / "app.py")


@pytest.mark.parametrize(("kind", "pss"), WAYS)
def test_a_board_accepts_signatures_of_openssl(keys: Path, kind: str, pss: bool) -> None:
    options = PSS_OPTIONS if pss else []
    signature = openssl("dgst", "-sha256", *options, "-sign", keys / f"{kind}.pem", keys / "app.py")
    assert check(load_key(str(keys / f"{kind}.der")), DIGEST, signature, RSA_PSS if pss else None)


@pytest.mark.parametrize("kind", KINDS)
def test_keys_made_by_openssl(keys: Path, kind: str, tmp_path: Path) -> None:
    option = "ec_paramgen_curve:P-256" if kind == "ec" else f"rsa_keygen_bits:{kind.removeprefix('rsa-')}"
    key, certificate = tmp_path / "signing.pem", tmp_path / "certificate.der"
    openssl("genpkey", "-algorithm", kind[:3].strip("-"), "-pkeyopt", option, "-out", key)
    code, output = sign("--key", key, "--public", tmp_path / "public.der", keys / "app.py")
    assert code == 0
    signature = base64.b64decode(json.loads(output)["signature"])
    openssl("req", "-x509", "-new", "-key", key, "-subj", "/CN=code", "-outform", "DER", "-out", certificate)
    public = openssl("pkey", "-in", key, "-pubout")
    for source in (str(tmp_path / "public.der"), str(certificate), public):
        assert check(load_key(source), DIGEST, signature)
    assert load_key(public)[0] == (ECDSA if kind == "ec" else RSA)


def flips(data: bytes) -> Iterator[bytes]:
    """Yield the data with one bit flipped, for each bit."""
    for at, bit in itertools.product(range(len(data)), range(8)):
        yield data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]


@pytest.mark.parametrize(("kind", "pss"), WAYS[:3])
def test_no_bit_of_signature_digest_or_key_may_be_another(keys: Path, kind: str, pss: bool) -> None:
    found = signed(keys, kind, pss)
    signature, scheme = base64.b64decode(found["signature"]), found.get("scheme")
    source = (keys / f"{kind}.der").read_bytes()
    key = load_key(source)
    assert check(key, DIGEST, signature, scheme)
    assert not any(check(key, DIGEST, changed, scheme) for changed in flips(signature))
    assert not any(check(key, changed, signature, scheme) for changed in flips(DIGEST))
    for changed in flips(source):
        try:
            other = load_key(changed)
        except ValueError:
            continue
        assert not check(other, DIGEST, signature, scheme)


def test_a_document_is_signed_as_boards_check_it(keys: Path, tmp_path: Path) -> None:
    # tests/device/test_versions.py contains documents signed in this way.
    file = {"path": "app.py", "size": len(CONTENT), "sha256": DIGEST.hex().upper(), "url": "https://example.com/app.py"}
    document = {"operation": "app", "version": "1.4.0", "downgrade": True, "files": [file]}
    (tmp_path / "job.json").write_text(json.dumps(document))
    code, output = sign("--key", keys / "ec.pem", "--document", tmp_path / "job.json")
    assert code == 0, output
    made = json.loads(output)
    text = f"app\n1.4.0\ndowngrade\n{DIGEST.hex()} app.py"
    signature = base64.b64decode(made.pop("signature"))
    assert made == document
    assert check(load_key(str(keys / "ec.der")), hashlib.sha256(text.encode()).digest(), signature)


def test_documents_that_cannot_be_signed(keys: Path, tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    for document, message in (
        ({"operation": "files", "version": "1"}, "only documents of app and firmware jobs with a version"),
        ({"operation": "app"}, "only documents of app and firmware jobs with a version"),
        ({"operation": "app", "version": "1", "files": [{"path": "app.py"}]}, "every file needs a sha256"),
        ({"operation": "firmware", "version": "1" * 65, "sha256": "0" * 64}, "version is over 64 characters"),
        ([], "is not a JSON object"),
    ):
        file.write_text(json.dumps(document))
        assert message in refused("--key", keys / "ec.pem", "--document", file)
    file.write_text("{")
    assert f"{file} is not JSON: " in refused("--key", keys / "ec.pem", "--document", file)


def test_several_files_are_a_line_each(keys: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    code, output = sign("--key", keys / "ec.pem", keys / "app.py", tmp_path / "empty")
    assert code == 0
    assert [json.loads(line)["size"] for line in output.splitlines()] == [len(CONTENT), 0]


def test_a_private_key_is_its_owners_and_never_overwritten(keys: Path, tmp_path: Path) -> None:
    before = (keys / "ec.pem").read_bytes()
    assert stat.S_IMODE((keys / "ec.pem").stat().st_mode) == 0o600
    assert "exists" in refused("--new-key", "ec", "--key", keys / "ec.pem")
    assert "exists" in refused("--key", keys / "ec.pem", "--public", keys / "ec.pem")
    assert (keys / "ec.pem").read_bytes() == before
    assert b"PRIVATE" not in (keys / "ec.der").read_bytes()


def written(path: Path, key: Any, passphrase: bytes | None = None) -> Path:
    """A private key in a file whose name does not end as those of keys: the search for leaked secrets opens all that
    do, and cannot open these."""
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    return path


def test_keys_that_boards_would_not_take_are_refused(tmp_path: Path) -> None:
    p256 = ec.generate_private_key(ec.SECP256R1())
    for key, passphrase, message in (
        (ec.generate_private_key(ec.SECP384R1()), None, "P-256 only; this one is on secp384r1"),
        (ec.generate_private_key(ec.SECP256K1()), None, "P-256 only; this one is on secp256k1"),
        (rsa.generate_private_key(65537, 1024), None, "2048 to 3072 bits"),
        (rsa.generate_private_key(65537, 2050), None, "this one has 2050 bits"),
        (ed25519.Ed25519PrivateKey.generate(), None, "another kind"),
        (dsa.generate_private_key(1024), None, "another kind"),
        (p256, b"passphrase", "is encrypted; remove the passphrase: openssl pkey -in"),
    ):
        assert message in refused("--key", written(tmp_path / "signing", key, passphrase), tmp_path / "signing")


def test_files_that_are_not_keys(keys: Path, tmp_path: Path) -> None:
    public = signing.load_key(keys / "ec.pem").public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    text = (keys / "ec.pem").read_text()
    for content in (b"", b"text", public, text.replace("M", "N", 1).encode(), text[:60].encode()):
        (tmp_path / "signing").write_bytes(content)
        assert "is not a private key in PEM" in refused("--key", tmp_path / "signing", keys / "app.py")
    assert "is not a private key in PEM" in refused("--key", keys / "ec.der", keys / "app.py")
    assert "No such file" in refused("--key", tmp_path / "missing", keys / "app.py")


def test_arguments_that_will_not_do(keys: Path, tmp_path: Path) -> None:
    assert "give files to sign" in refused("--key", keys / "ec.pem")
    assert "PSS needs an RSA key" in refused("--key", keys / "ec.pem", "--pss", keys / "app.py")
    assert "No such file" in refused("--key", keys / "ec.pem", tmp_path / "missing")
    assert sign("--key", keys / "ec.pem")[0] == 2
    assert sign("--key", keys / "ec.pem", "--new-key", "dsa")[0] == 2
    assert sign(keys / "app.py")[0] == 2
