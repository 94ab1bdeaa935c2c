"""boot.py, main.py and the settings of a real image: what a board says when something is wrong with them."""

import datetime
import json
from pathlib import Path

import pytest
from board_process import BoardProcess
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

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
    """Builds an image, runs it, and waits for a line; returns all lines so far."""

    def run(
        expected: str, application: str | None = None, files: dict[str, bytes] | None = None, **settings
    ) -> list[str]:
        source = None
        if application is not None:
            source = tmp_path / "app.py"
            source.write_text(application)
        contents = make_board_files(SETTINGS | settings, thing_directory, source)
        image = tmp_path / "flash.img"
        build_image(image, contents | (files or {}))
        board: BoardProcess = start_board(image)
        board.wait_for(expected)
        return board.lines

    return run


def test_a_board_without_server_says_so_and_goes_on_trying(board_says) -> None:
    lines = board_says("ujobs: no link to 127.0.0.1: OSError: [Errno 111] ECONNREFUSED. Next try in")
    assert not any("Traceback" in line for line in lines)


def test_wifi_and_clock_come_before_the_link(board_says) -> None:
    board_says("ujobs: no link", wifi={"ssid": "net", "password": "secret-password"}, ntp="pool.ntp.org", watchdog=30)


def test_a_radio_that_refuses_at_once_is_asked_once_a_second(board_says) -> None:
    refusing = b"""
import network, time
def refuse(station, ssid, password, real=network.WLAN.connect, start=time.ticks_ms()):
    if time.ticks_ms() - start > 1500:
        return real(station, ssid, password)
    raise OSError("Wifi Internal Error")
network.WLAN.connect = refuse
"""
    boot = (REPOSITORY / "boot.py").read_bytes()
    lines = board_says("ujobs: no link", files={"boot.py": boot + refusing}, wifi={"ssid": "net", "password": "secret"})
    assert 1 <= lines.count("Wifi Internal Error") <= 3


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"thing": 5}, "not started: settings: thing has the wrong type"),
        ({"signing_key": 5}, "not started: settings: signing_key has the wrong type"),
        ({"host": None}, "not started: settings: host is missing"),
        ({"thing": "a/b"}, "not started: thingName must be 1 to 128 characters"),
        ({"keepalive": 5000}, "not started: keepalive must be 1 to 1200 seconds"),
        ({"handlers": ["dance"]}, "not started: no built-in handler is named dance"),
        ({"ca": "/cert/other.der"}, "not started: /cert/other.der: [Errno 2] ENOENT"),
        ({"cert": "/settings.json"}, "not started: /settings.json: not a certificate"),
    ],
)
def test_settings_it_cannot_do_without_end_in_one_line(board_says, settings: dict, line: str) -> None:
    # The image's certificates stay where they are; only the settings on it say otherwise.
    contents = json.dumps(SETTINGS | settings).encode()
    lines = board_says(line, files={"settings.json": contents})
    assert not any("Traceback" in line for line in lines)


def test_settings_it_can_do_without_get_their_default(board_says) -> None:
    lines = board_says("ujobs: no link", watchdog="soon", colour="red")
    assert "settings: watchdog has the wrong type and is left out" in lines
    assert "settings: there is no setting colour" in lines


def test_broken_settings_file(board_says) -> None:
    board_says("not started: /settings.json: ", files={"settings.json": b"{"})


def test_an_application_that_fails_does_not_take_the_board_down(board_says) -> None:
    lines = board_says("ujobs: no link", application="def setup(agent):\n    1 // 0\n", app="app")
    assert "app: not started" in lines
    assert any("ZeroDivisionError" in line for line in lines)


@pytest.mark.parametrize("module", ["random.py", "firmware/__init__.py"])
def test_a_version_on_trial_that_hides_what_main_needs_is_taken_back(board_says, module: str) -> None:
    broken = {"app-b/app.py": b"def setup(agent):\n    pass\n", f"app-b/{module}": b"x = 1\n"}
    board_says("ujobs: no link", files={"trial": b"0 app /app-b"} | broken)
