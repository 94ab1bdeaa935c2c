"""boot.py, main.py and settings on an image: the board's messages about errors in them."""

import datetime
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from board_process import BoardProcess, make_image
from ujobs_lab import REPOSITORY
from ujobs_tools.board.files import make_board_files
from ujobs_tools.board.image import build_image

GLUE = {
    f"lib/firmware/{name}": (REPOSITORY / "firmware" / name).read_text()
    for name in ("__init__.py", "wifi.py", "clock.py", "supervision.py", "watchdog.py")
}
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
    wifi = {"ssid": "net", "password": "secret-password"}
    lines = board_says("ujobs: no link", files={"boot.py": boot + refusing}, wifi=wifi)
    assert 1 <= lines.count("Wifi Internal Error") <= 3


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"thing": 5}, "not started: settings: thing must be text, in quotation marks"),
        ({"handlers": ["dance"]}, "not started: no built-in handler is named dance"),
        ({"ca": "/cert/other.der"}, "not started: /cert/other.der: [Errno 2] ENOENT"),
        ({"cert": "/settings.json"}, "not started: /settings.json: not a certificate"),
    ],
)
def test_settings_it_cannot_do_without_end_in_one_line(board_says, settings: dict, line: str) -> None:
    # The certificates stay at their paths; only the settings on the image are changed.
    contents = json.dumps(SETTINGS | settings).encode()
    lines = board_says(line, files={"settings.json": contents})
    assert not any("Traceback" in line for line in lines)


def test_settings_it_can_do_without_get_their_default(board_says) -> None:
    wrong = {"watchdog": "soon", "port": 70000, "keepalive": 5, "update_interval": 0, "trial": 536871, "ntp": "a b"}
    lines = board_says("ujobs: no link", **wrong, colour="red")
    for line in (
        "settings: watchdog must be a number from 1 to 3600; the default is used",
        "settings: port must be a number from 1 to 65535; the default is used",
        "settings: keepalive must be a number from 30 to 1200; the default is used",
        "settings: update_interval must be a number from 1 to 3600; the default is used",
        "settings: trial must be a number from 1 to 3600; the default is used",
        "settings: ntp must be a host name alone: no https://, port or blank; the default is used",
        "settings: there is no setting colour",
    ):
        assert line in lines


WRONG: list[tuple[dict, str]] = [
    ({"signing_key": 5}, "signing_key must be text, in quotation marks"),
    ({"host": None}, "host is missing"),
    ({"thing": "a/b"}, "thing must have no characters but "),
    ({"host": "https://a.example"}, "host must be a host name alone: no https://"),
    ({"host": []}, "host must be text, or a list of 1 to 8"),
    ({"host": ["a.example", "b:1"]}, "host must be a host name alone"),
    ({"host": "a.example:8883"}, "host must be a host name alone"),
    ({"wifi": {"ssid": "net", "password": 12345678}}, "wifi.password must be text, in quotation marks; the default is"),
    ({"wifi": {"ssid": "net", "password": "short"}}, "wifi.password must be 8 to 63 characters; the default is used"),
    ({"wifi": {"ssid": "", "password": "long-enough"}}, "wifi.ssid must be 1 to 32 bytes; the default is used"),
    ({"wifi": {"password": "long-enough"}}, "wifi.ssid must be text, in quotation marks; the default is used"),
    ({"wifi": "net"}, "wifi must be an object; the default is used"),
    ({"wifi": []}, "wifi must be an object, or a list of 1 to 8; the default is used"),
    ({"wifi": [{"ssid": "a"}, {"ssid": ""}]}, "wifi.1.ssid must be 1 to 32 bytes; the default is used"),
    ({"wifi": [{"ssid": "a"}, 5]}, "wifi.1 must be an object; the default is used"),
]


def test_wrong_settings_and_their_members_are_named(board_says) -> None:
    # One boot reads all these files.
    main = b"""
from firmware import settings
for number in range(%d):
    try:
        settings.load("/wrong/%%d" %% number)
    except ValueError as error:
        print(error)
    print("read", number)
""" % len(WRONG)
    files = {f"wrong/{number}": json.dumps(SETTINGS | wrong).encode() for number, (wrong, _) in enumerate(WRONG)}
    lines = board_says("board: the program ended", files=files | {"main.py": main})
    for number, (_, line) in enumerate(WRONG):
        assert lines[lines.index(f"read {number}") - 1].startswith(f"settings: {line}"), lines


def test_the_network_that_is_set_reaches_the_radio(board_says) -> None:
    # The access point accepts one name and one password.
    shown = b"""
import network
def joining(station, ssid, password, real=network.WLAN.connect):
    print("joining", ssid, password)
    real(station, ssid, password)
network.WLAN.connect = joining
"""
    boot = (REPOSITORY / "boot.py").read_bytes()
    wifi = {"ssid": "home", "password": "12345678"}
    lines = board_says("ujobs: no link", files={"boot.py": boot + shown}, wifi=wifi)
    assert "joining home 12345678" in lines


def test_networks_are_joined_in_order_and_the_one_that_worked_first(
    tmp_path: Path, thing_directory: Path, start_board
) -> None:
    shown = b"""
import network
def joining(station, ssid, password, real=network.WLAN.connect):
    print("joining", ssid)
    if ssid == "away":
        raise OSError("Wifi Internal Error")
    real(station, ssid, password)
network.WLAN.connect = joining
"""
    boot = (REPOSITORY / "boot.py").read_bytes()
    wifi = [{"ssid": "away"}, {"ssid": "home", "password": "12345678"}]
    image = tmp_path / "flash.img"
    build_image(
        image, make_board_files(SETTINGS | {"wifi": wifi}, thing_directory, None) | {"boot.py": boot + shown}
    )
    for order in (["joining away", "joining home"], ["joining home"]):
        board = start_board(image, "--wifi-ssid", "home")
        board.wait_for("ujobs: no link")
        board.stop()
        assert [line for line in board.lines if line.startswith("joining")] == order


def test_hosts_take_turns(board_says) -> None:
    lines = board_says("ujobs: no link to 127.0.0.2", host=["127.0.0.1", "127.0.0.2"])
    assert any(line.startswith("ujobs: no link to 127.0.0.1") for line in lines)


@pytest.mark.parametrize("error", ["OSError('Wifi Internal Error')", "RuntimeError('Wifi Unknown Error 0x0101')"])
def test_a_radio_that_fails_to_restart_is_restarted_again(tmp_path: Path, start_board, error: str) -> None:
    main = f"""
import asyncio, network
from firmware import supervision, wifi
failures = 2
def failing(station, value=None, real=network.WLAN.active):
    global failures
    if value and failures:
        failures -= 1
        raise {error}
    return real(station, value)
async def work():
    station = await wifi.connect("home", "long-enough")
    wifi._PATIENCE = 0
    network.WLAN.active = failing
    networks = [("home", "long-enough")]
    task = asyncio.create_task(supervision.keep_running("Wi-Fi", lambda: wifi.keep_connected(networks, print)))
    station.disconnect()
    await asyncio.sleep(60)
asyncio.run(work())
"""
    board = start_board(make_image(tmp_path, main, **GLUE))
    board.wait_for("Wifi", times=2)
    board.wait_for("Wi-Fi: back")


def test_broken_settings_file(board_says) -> None:
    board_says("not started: /settings.json: ", files={"settings.json": b"{"})


def test_an_application_that_fails_does_not_take_the_board_down(board_says) -> None:
    lines = board_says("ujobs: no link", application="def setup(agent):\n    1 // 0\n", app="app")
    assert "app: not started: ZeroDivisionError: divide by zero" in lines


@pytest.mark.parametrize("module", ["random.py", "firmware/__init__.py"])
def test_a_version_in_its_trial_that_hides_modules_of_main_is_rolled_back(board_says, module: str) -> None:
    broken = {"app-b/app.py": b"def setup(agent):\n    pass\n", f"app-b/{module}": b"x = 1\n"}
    board_says("ujobs: no link", files={"trial": b"0 app /app-b"} | broken)


@pytest.mark.parametrize(
    ("module", "content", "missing"),
    [
        ("hashlib.py", b"md5 = 1\n", "sha256"),
        ("random.py", b"from urandom import getrandbits\n", "random"),
    ],
)
def test_a_version_on_trial_that_hides_what_the_next_update_needs_is_taken_back(
    board_says, module: str, content: bytes, missing: str
) -> None:
    files = {"trial": b"0 app /app-b", "app-b/app.py": b"def setup(agent):\n    pass\n", f"app-b/{module}": content}
    lines = board_says("ujobs: no link", files=files, app="app")
    (said,) = [line for line in lines if line.startswith("trial: not started: ")]
    assert missing in said
    assert lines.count("board: start, HARD_RESET") == 1


BOOT_FAILS = b"""
import ujobs.trial
def boot():
    raise OSError(5)
ujobs.trial.boot = boot
"""
OWN_VERSION = b"def setup(agent):\n    print('version', %r, open('/trial').read() if %r else '')\n"


def test_a_board_restarts_after_any_error_that_it_does_not_expect(board_says) -> None:
    # This happens before the agent runs.
    broken = b"def hosts(config):\n    raise RuntimeError('out of luck')\n"
    board_says("RuntimeError: out of luck", 2, files={"lib/firmware/choices.py": broken})


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


def test_boot_py_counts_the_start_before_the_application_runs(board_says) -> None:
    files = {"trial": b"0 app /app-b", "app-b/app.py": OWN_VERSION % (b"new", True)}
    lines = board_says("ujobs: no link", application="1 // 0", files=files, app="app")
    assert "version b'new' 1 app /app-b" in lines


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
    assert lines.count("trial: no proof within 1 s; restarting") == 3
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


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"app": "ap"}, "trial: the application did not start: ImportError"),
        ({"app": "os"}, "trial: the application did not start: AttributeError"),
        ({"signing_key": "/cert/none.der"}, "trial: not started: /cert/none.der: [Errno 2] ENOENT"),
        ({"signing_key": "/cert/key.der"}, "trial: not started: /cert/key.der: "),
        ({"handlers": ["settings", "dance"]}, "trial: not started: no built-in handler is named dance"),
    ],
)
def test_settings_that_cannot_work_end_their_trial_at_once(board_says, settings: dict, reason: str) -> None:
    lines = board_says("ujobs: no link", files=in_trial(**settings))
    assert next(line for line in lines if line.startswith("trial:")).startswith(reason)
    assert lines.count("board: start, HARD_RESET") == 1


def test_a_time_server_in_its_trial_has_to_answer(tmp_path: Path, thing_directory: Path, start_board) -> None:
    # The clock is already right: this must not confirm an invalid time server.
    image = tmp_path / "flash.img"
    files = in_trial(ntp="ntp.example.com", trial=1)
    build_image(image, make_board_files(SETTINGS, thing_directory, None) | files)
    board = start_board(image, "--ntp", "silent")
    board.wait_for("ujobs: no link")
    assert board.lines.count("trial: no proof within 1 s; restarting") == 3
    assert not any("Traceback" in line for line in board.lines)


def test_folders_with_keys_and_journal_are_not_valid_roots(board_says) -> None:
    claim = {"template": "line", "cert": "/secret/claim.der"}
    lines = board_says("not started: /cert/cert.der", roots=["/data", "/cert", "/lib", "/Secret"], claim=claim)
    assert "settings: roots: folder /cert is closed to jobs; it is left out" in lines
    assert "settings: roots: folder /lib is closed to jobs; it is left out" in lines
    assert "settings: roots: folder /Secret holds /secret/claim.der; it is left out" in lines
    assert not any("/data" in line for line in lines)
