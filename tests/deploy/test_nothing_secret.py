"""No file that git tracks, or would add, contains a private key; git ignores the files that provisioning writes."""

import re
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key

from ujobs_lab import REPOSITORY
from ujobs_tools.keys.pki import Authority


def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True)


@pytest.fixture(scope="module")
def files() -> list[Path]:
    """Return all files that are tracked, or would be after `git add`."""
    result = git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if result.returncode:
        pytest.skip("not in a git checkout")
    return [path for name in result.stdout.decode().split("\0") if name and (path := REPOSITORY / name).is_file()]


def holds_private_key(content: bytes) -> bool:
    """Return whether the content is a private key as DER, or contains one as PEM."""
    if re.search(rb"PRIVATE KEY-----\r?\n[A-Za-z0-9+/]{40}", content):
        return True
    try:
        load_der_private_key(content, None)
    except (ValueError, TypeError):
        return False
    return True


def test_no_file_holds_a_private_key(files: list[Path]) -> None:
    assert len(files) > 100
    assert [str(path) for path in files if holds_private_key(path.read_bytes())] == []


@pytest.mark.parametrize("suffix", ["pem", "der"])
def test_a_private_key_would_be_found(tmp_path: Path, suffix: str) -> None:
    issued = Authority(tmp_path).issue("kiln-7")
    assert holds_private_key(issued.private_key_pem if suffix == "pem" else issued.private_key_der)
    assert not holds_private_key(issued.certificate_pem if suffix == "pem" else issued.certificate_der)


@pytest.mark.parametrize("name", ["things/kiln-7/key.der", "things/kiln-7/key.pem", "settings.json", "out/key.der"])
def test_git_ignores_the_files_of_provisioning(name: str, files: list[Path]) -> None:
    assert git("check-ignore", "--quiet", name).returncode == 0
