"""`ujobs flash` without an ESP32: checks of images, the esptool command, a missing board."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ujobs_tools.commands import flash

app = typer.Typer()
app.command()(flash.flash)


def image(path: Path, chip: int, offset: int, partitions: bool = True) -> Path:
    """Return a file with the header and partition table of an image. offset: address of the chip's boot loader."""
    content = bytearray(0x9000)
    content[0] = 0xE9
    content[12:14] = chip.to_bytes(2, "little")
    if partitions:
        content[0x8000 - offset : 0x8002 - offset] = b"\xaa\x50"
    path.write_bytes(content)
    return path


def run(*arguments: str | Path) -> tuple[int, str]:
    """Return exit code and output of `ujobs flash ...`."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("chip", "offset", "name"), [(0, 0x1000, "esp32"), (2, 0x1000, "esp32s2"), (5, 0, "esp32c3"), (9, 0, "esp32s3")]
)
def test_the_command_fits_the_image(tmp_path: Path, chip: int, offset: int, name: str) -> None:
    firmware = image(tmp_path / "firmware.bin", chip, offset)
    code, said = run(firmware, "--port", "/dev/ttyX", "--dry-run")
    assert code == 0, said
    assert said.splitlines() == [
        f"firmware.bin: {0x9000} bytes for an {name}, at {offset:#x}",
        f"{sys.executable} -m esptool --chip {name} --port /dev/ttyX --baud 460800"
        f" write-flash --erase-all {offset:#x} {firmware}",
    ]


def test_esptool_knows_the_options(tmp_path: Path) -> None:
    firmware = image(tmp_path / "firmware.bin", 0, 0x1000)
    command = run(firmware, "--port", str(tmp_path / "nowhere"), "--dry-run")[1].splitlines()[1].split()
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode != 0
    assert "nowhere" in result.stdout + result.stderr  # esptool tried to open the port


def test_files_that_are_no_first_installation(tmp_path: Path) -> None:
    other = tmp_path / "other.bin"
    other.write_bytes(b"UF2\n" * 100)
    assert "is not an image for an ESP32" in run(other)[1]
    assert "has no partition table" in run(image(tmp_path / "update.bin", 0, 0x1000, partitions=False))[1]
    assert "unknown chip, number 99" in run(image(tmp_path / "strange.bin", 99, 0))[1]
    assert run(other)[0] == 2


def test_no_board(tmp_path: Path) -> None:
    firmware = image(tmp_path / "firmware.bin", 0, 0x1000)
    code, said = run(firmware, "--port", tmp_path / "nowhere")
    assert code == 1
    assert "no board at" in said
