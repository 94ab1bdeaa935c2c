"""Where the compiled fakes are kept if the user can write neither to the installation nor to a cache."""

import os
import tempfile
from pathlib import Path

import pytest

from ujobs_tools.board import fakes_cache


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a user whose home is read-only."""
    monkeypatch.setattr(fakes_cache, "FAKES", Path("/proc/fakes"))
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"ujobs-fakes-{os.getuid()}"


def test_a_read_only_home_needs_no_cache(own_folder: Path) -> None:
    for _ in range(2):
        assert fakes_cache.compiled_fakes() == own_folder
    assert own_folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("planted", ["open to all", "link"])
def test_a_folder_that_others_can_write_to_is_refused(own_folder: Path, tmp_path: Path, planted: str) -> None:
    if planted == "link":
        (tmp_path / "elsewhere").mkdir(0o700)
        own_folder.symlink_to(tmp_path / "elsewhere")
    else:
        own_folder.mkdir()
        own_folder.chmod(0o777)
    with pytest.raises(PermissionError, match="others can write here") as caught:
        fakes_cache.compiled_fakes()
    assert caught.value.filename == str(own_folder)
