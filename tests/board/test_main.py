"""boot.py and main.py on an image: messages, and boots that fail. tests/device has the rules of each part."""

import datetime
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from board_process import BoardProcess
from ujobs_lab import REPOSITORY
from ujobs_tools.board.files import make_board_files
from ujobs_tools.board.image import build_image

SETTINGS = {"thing": "kiln-7", "host": "127.0.0.1", "port": 1}


@pytest.fixture(scope="module")
def thing_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate that serves as device certificate and as CA."""
    folder = tmp_path_factory.mktemp("thing")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kiln-7")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    (folder / "ca.der").write_bytes(certificate)
    (folder / "cert.der").write_bytes(certificate)
    (folder / "key.der").write_bytes(
        key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return folder


@pytest.fixture
def board_says(tmp_path: Path, thing_directory: Path, start_board):
    """Build an image, run it, and wait for one or more lines; return all lines so far."""

    def run(
        expected: str, times: int = 1, application: str | None = None, files: dict[str, bytes] | None = None, **settings
    ) -> list[str]:
        source = None
        if application is not None:
            source = tmp_path / "app.py"
            source.write_text(application)
        contents = make_board_files(SETTINGS | settings, thing_directory, source)
        image = tmp_path / "flash.img"
        build_image(image, contents | (files or {}))
        board: BoardProcess = start_board(image)
        board.wait_for(expected, times)
        return board.lines

    return run


def test_a_board_without_server_says_so_and_retries(board_says) -> None:
    lines = board_says("ujobs: no link to 127.0.0.1:1: OSError: [Errno 111] ECONNREFUSED. Next try in")
    assert not any("Traceback" in line for line in lines)


def test_wifi_and_clock_come_before_the_link(board_says) -> None:
    board_says("ujobs: no link", wifi={"ssid": "net", "password": "secret-password"}, ntp="pool.ntp.org", watchdog=30)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"thing": 5}, "not started: settings: thing must be text, in quotation marks"),
        ({"ca": "/cert/other.der"}, "not started: /cert/other.der: [Errno 2] ENOENT"),
        ({"cert": "/settings.json"}, "not started: /settings.json: not a certificate"),
    ],
)
def test_settings_it_cannot_do_without_end_in_one_line(board_says, settings: dict, line: str) -> None:
    # The certificates stay at their paths; only the settings on the image are changed.
    contents = json.dumps(SETTINGS | settings).encode()
    lines = board_says(line, files={"settings.json": contents})
    assert not any("Traceback" in line for line in lines)


OWN_VERSION = b"def setup(agent):\n    print('version', %r, open('/trial').read() if %r else '')\n"


@pytest.mark.parametrize(("module", "content"), [("os", b"x =\n"), ("os", b"x = 1\n"), ("random", b"x = 1\n")])
def test_a_version_in_its_trial_that_hides_a_module_is_rolled_back(board_says, module: str, content: bytes) -> None:
    # On a real board files hide machine and time, too; on this one no file can.
    files = {
        "trial": b"0 app /app-b", "app-b/app.py": OWN_VERSION % (b"new", False), f"app-b/{module}.py": content,
        "app/app.py": OWN_VERSION % (b"old", False),
    }
    lines = board_says("version b'old'", files=files, app="app")
    assert "version b'new' " not in lines


def test_an_application_hides_no_part_of_the_firmware(board_says) -> None:
    files = {"app/app.py": OWN_VERSION % (b"new", False), "app/firmware/__init__.py": b"x = 1\n", "app/wifi.py": b"x ="}
    board_says("version b'new'", files=files, app="app")


BOOT_FAILS = b"""
import ujobs.trial
def boot():
    raise OSError(5)
ujobs.trial.boot = boot
"""


def test_a_board_restarts_when_its_memory_does_not_even_hold_the_traceback(board_says) -> None:
    application = """
def setup(agent):
    from firmware import health

    def keep(*arguments):
        raise MemoryError("no room")

    async def run():
        raise MemoryError("in the agent")

    health.keep = keep
    agent.run = run
"""
    board_says("MemoryError: in the agent", 2, application, app="app")


def test_a_boot_that_cannot_read_the_trial_starts_the_confirmed_version_and_keeps_the_trial(board_says) -> None:
    # This boot was not counted, so it must neither confirm nor end the trial.
    boot = BOOT_FAILS + (REPOSITORY / "boot.py").read_bytes()
    files = {
        "boot.py": boot, "trial": b"0 app /app-b", "app-b/app.py": b"1 // 0",
        "app/app.py": OWN_VERSION % (b"old", True),
    }
    lines = board_says("ujobs: no link", files=files, app="app", trial=1)
    assert "boot: [Errno 5] EIO" in lines
    assert "version b'old' 0 app /app-b" in lines
    assert not any(line.startswith(("trial:", "Traceback")) for line in lines)


@pytest.mark.parametrize("what", ["app", "settings"])
def test_a_version_that_never_connects_is_rolled_back_after_three_boots(board_says, what: str) -> None:
    new = {"app-b/app.py": OWN_VERSION % (b"new", True)} if what == "app" else {}
    trial = {"trial": b"0 app /app-b"} if what == "app" else in_trial(app="app", trial=1)
    files = trial | new | {"app/app.py": OWN_VERSION % (b"old", False)}
    # The confirmed version continues without a link, without a time limit.
    lines = board_says("ujobs: no link to", 4, files=files, app="app", trial=1)
    assert sum(line.startswith("trial: no proof within 1 s: no connection: OSError") for line in lines) == 3
    assert any(line.startswith("trial: not confirmed in 3 boots: no connection: OSError") for line in lines)
    last = max(number for number, line in enumerate(lines) if line.startswith("trial:"))
    assert any(line.startswith("ujobs: no link") for line in lines[last:])
    if what == "app":
        assert [line for line in lines if line.startswith("version")] == [
            f"version b'new' {start} app /app-b" for start in (1, 2, 3)
        ] + ["version b'old' "]


def in_trial(**settings) -> dict[str, bytes]:
    """Return the files of a board whose next boot is a trial of these settings; the previous settings worked."""
    after = json.dumps(SETTINGS | settings).encode()
    return {"trial": b"0 settings /app", "settings.old": json.dumps(SETTINGS).encode(), "settings.json": after}
