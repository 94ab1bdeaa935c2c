"""Flash images: building, reading, changing, and errors."""

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from board_process import StartBoard, make_image
from ujobs_tools.board.fakes_cache import FAKES
from ujobs_tools.board.image import BLOCK_SIZE, ImageError, build_image, read_files, write_file
from ujobs_tools.board.interpreter import compile_module, find_micropython

names = st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=3).map("/".join)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.dictionaries(names, st.binary(max_size=9000), max_size=5))
def test_files_of_a_built_image_are_read_back(tmp_path: Path, files: dict[str, bytes]) -> None:
    # A path cannot be both a file and a folder.
    files = {name: data for name, data in files.items() if not any(n.startswith(name + "/") for n in files)}
    image = tmp_path / "flash.img"
    build_image(image, files, blocks=64)
    assert image.stat().st_size == 64 * BLOCK_SIZE
    assert read_files(image) == {"/" + name: data for name, data in files.items()}


def test_a_file_is_added_and_replaced(tmp_path: Path) -> None:
    image = tmp_path / "flash.img"
    build_image(image, {"main.py": b"1", "/lib/a.py": b"2"}, blocks=32)
    write_file(image, "/main.py", b"x" * 5000)
    write_file(image, "app/app.py", b"3")
    assert read_files(image) == {"/main.py": b"x" * 5000, "/lib/a.py": b"2", "/app/app.py": b"3"}


def test_an_image_whose_path_is_over_255_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("a" * 150) / ("b" * 150)
    folder.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    image = folder / "flash.img"
    build_image(image, {"main.mpy": compile_module(b"name = 'over 255 bytes'", "main.py", 2)}, blocks=16)
    write_file(image, "/a.txt", b"1")
    assert set(read_files(image)) == {"/main.mpy", "/a.txt"}


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    image = tmp_path / "flash.img"
    with pytest.raises(ImageError, match=f"^{image}: the files do not fit into 65536 bytes"):
        build_image(image, {"big": b"x" * 100_000}, blocks=16)
    assert list(tmp_path.iterdir()) == []
    build_image(image, {"main.py": b"old"}, blocks=16)
    with pytest.raises(ImageError, match="the files do not fit"):
        write_file(image, "main.py", b"x" * 100_000)
    assert read_files(image) == {"/main.py": b"old"}


@pytest.mark.parametrize("content", [b"\xff" * 65536, b"\0" * 65536, b""])
def test_invalid_images_are_refused(tmp_path: Path, content: bytes) -> None:
    image = tmp_path / "flash.img"
    image.write_bytes(content)
    with pytest.raises(ImageError, match="does not contain a valid littlefs file system"):
        read_files(image)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.img: No such file"):
        read_files(tmp_path / "none.img")


def test_a_running_board_holds_its_image(tmp_path: Path, start_board: StartBoard) -> None:
    image = make_image(tmp_path, "print('up')\nwhile True:\n    pass\n")
    start_board(image).wait_for("up")
    with pytest.raises(BlockingIOError, match="in use by a running board"):
        write_file(image, "main.py", b"")
    assert "/main.py" in read_files(image)


def test_programming_only_clears_bits(tmp_path: Path) -> None:
    flash = tmp_path / "flash.img"
    flash.write_bytes(b"\xff" * 8192)
    script = f"""
import sys
sys.path.insert(0, {str(FAKES)!r})
from blockdevice import BlockDevice
device = BlockDevice(open({str(flash)!r}, "r+b"), 2)
device.writeblocks(1, b"\\x0f" * 300, 10)
device.writeblocks(1, b"\\xf1" * 300, 10)
back = bytearray(300)
device.readblocks(1, back, 10)
print(back == b"\\x01" * 300)
device.ioctl(6, 1)
device.readblocks(1, back, 10)
print(back == b"\\xff" * 300, device.ioctl(4, 0), device.ioctl(5, 0))
device.writeblocks(0, b"\\x55" * 8192)
"""
    output = subprocess.run([find_micropython(), "-c", script], capture_output=True, text=True, check=True)
    assert output.stdout.split() == ["True", "True", "2", "4096"]
    assert flash.read_bytes() == b"\x55" * 8192


def test_only_the_owner_can_read_an_image(tmp_path: Path) -> None:
    image = tmp_path / "flash.img"
    image.touch(0o666)
    build_image(image, {"settings.json": b"{}"}, blocks=32)
    assert image.stat().st_mode & 0o777 == 0o600
    write_file(image, "settings.json", b"{}")
    assert image.stat().st_mode & 0o777 == 0o600
