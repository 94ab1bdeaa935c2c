"""Files are written whole or not at all, and errors name them."""

import errno
from pathlib import Path

import pytest

from full_disk import room_for
from ujobs_tools.board.image import build_image
from ujobs_tools.host.files import write_new, write_whole
from ujobs_tools.keys import credentials, signing
from ujobs_tools.keys.pki import Authority
from ujobs_tools.project import new


def fails_on(path: Path) -> pytest.RaisesExc[OSError]:
    return pytest.RaisesExc(
        OSError, check=lambda error: error.errno == errno.EFBIG and error.filename == str(path)
    )


def test_on_a_full_disk_a_file_keeps_its_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    with fails_on(path), room_for(10):
        write_whole(path, bytes(100))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_on_a_full_disk_no_new_file_is_left(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with fails_on(path), room_for(10):
        write_new(path, bytes(100))
    assert list(tmp_path.iterdir()) == []
    write_new(path, b"new")
    with pytest.raises(FileExistsError):
        write_new(path, b"newer")
    assert path.read_bytes() == b"new"


def test_on_a_full_disk_no_part_of_a_key_is_left(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    issued = authority.issue("kiln")
    parts = authority.ca_pem, issued.certificate_pem, issued.private_key_pem
    with pytest.raises(OSError, match="File too large"), room_for(200):
        credentials.write(tmp_path / "kiln", *parts)
    credentials.check_folder(tmp_path / "kiln")
    credentials.write(tmp_path / "kiln", *parts)
    with fails_on(tmp_path / "signing.pem"), room_for(100):
        signing.new_key("ec", tmp_path / "signing.pem")
    signing.new_key("ec", tmp_path / "signing.pem")


@pytest.mark.parametrize("exists", [False, True])
def test_on_a_full_disk_no_half_project_is_left(exists: bool, tmp_path: Path) -> None:
    folder = tmp_path / "kiln"
    if exists:
        folder.mkdir()
    with pytest.raises(OSError, match="File too large"), room_for(400):
        new.create(folder)
    assert folder.exists() == exists
    assert new.create(folder)


def test_on_a_full_disk_no_half_image_is_left(tmp_path: Path) -> None:
    path = tmp_path / "flash.img"
    with fails_on(path), room_for(10000):
        build_image(path, {})
    assert list(tmp_path.iterdir()) == []
