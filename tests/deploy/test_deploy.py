"""`ujobs deploy` and `ujobs wipe` with real mpremote on a virtual board: changed files, unchanged files, errors."""

import contextlib
import signal
import time
from pathlib import Path

import pytest
import serial
import typer
from mpremote.transport_serial import SerialTransport
from typer.testing import CliRunner

from mpremote_board import MpremoteBoard, Start
from ujobs_tools.board.files import make_bare_files, make_program_files
from ujobs_tools.board.image import read_files
from ujobs_tools.commands import deploy, flash
from ujobs_tools.deploy import install
from ujobs_tools.deploy import remote as remote_module
from ujobs_tools.deploy.contents import check_version
from ujobs_tools.deploy.ports import BoardError
from ujobs_tools.deploy.remote import Remote
from ujobs_tools.keys.pki import Authority

SETTINGS = b'{"thing": "t", "host": "127.0.0.1", "port": 1, "app": "app"}'
APP = b"import name\n\ndef setup(agent):\n    print('application', name.NAME)\n"

app = typer.Typer()
app.command()(deploy.deploy)
app.command()(flash.wipe)


@pytest.fixture(scope="module")
def program() -> dict[str, bytes]:
    """The files that `ujobs deploy` sends to every board."""
    return make_program_files()


@pytest.fixture(scope="module")
def bare() -> dict[str, bytes]:
    """The files of an ESP32 with plain MicroPython."""
    return make_bare_files()


@pytest.fixture(scope="module")
def at_work(
    program: dict[str, bytes], bare: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """A complete board without a service to connect to; its application prints that it is the old one."""
    authority = Authority(tmp_path_factory.mktemp("pki"))
    issued = authority.issue("t")
    certificates = {
        "cert/ca.der": authority.ca_der, "cert/cert.der": issued.certificate_der, "cert/key.der": issued.private_key_der
    }
    application = {"app/app.py": APP, "app/name.py": b"NAME = 'old'\n"}
    return program | bare | application | certificates | {"settings.json": SETTINGS}


@pytest.fixture
def application(tmp_path: Path) -> Path:
    """An application that prints that it is the new one."""
    folder = tmp_path / "new"
    (folder / "data").mkdir(parents=True)
    (folder / "app.py").write_bytes(APP)
    (folder / "name.py").write_text("assert __debug__\nNAME = 'new'\n")
    (folder / "data" / "table.bin").write_bytes(bytes(range(256)) * 40)
    return folder


def run(*arguments: str | Path, answer: str | None = None) -> tuple[int, str]:
    """Return exit code and output of `ujobs ...`."""
    result = CliRunner().invoke(app, list(map(str, arguments)), input=answer)
    return result.exit_code, result.output


def deployed(board: MpremoteBoard, *arguments: str | Path) -> str:
    code, output = run("deploy", "--port", str(board.port), *arguments)
    assert code == 0, output
    return output


def refused(board: MpremoteBoard, *arguments: str | Path, code: int = 1) -> str:
    ended, output = run("deploy", "--port", str(board.port), *arguments)
    assert ended == code, output
    assert len(output.strip().splitlines()) == 1, output
    return output


def on_image(folder: Path) -> dict[str, bytes]:
    """Return the files on flash, without the counter of failed boots."""
    files = {path.lstrip("/"): content for path, content in read_files(folder / "flash.img").items()}
    files.pop("starts.count", None)
    return files


def test_a_bare_board_gets_everything_and_then_nothing(
    start: Start, program: dict[str, bytes], bare: dict[str, bytes], tmp_path: Path
) -> None:
    board = start(bare)
    assert f"{len(program)} files written" in deployed(board)
    board.board.wait_for("not started: /settings.json")
    assert on_image(tmp_path) == program | bare
    assert "nothing to do" in deployed(board)
    assert on_image(tmp_path) == program | bare


def test_only_changed_files_are_written_and_foreign_files_are_removed(
    start: Start, at_work: dict[str, bytes], tmp_path: Path
) -> None:
    there = at_work | {
        "lib/ujobs/link.mpy": b"old", "lib/ujobs/gone.mpy": b"x", "lib/ujobs/agent.py": b"x", "main.py.new": b"x",
        "lib/mine.py": b"x", "data/mine": b"x",
    }
    board = start(there)
    assert f"1 file written, {len(at_work['lib/ujobs/link.mpy'])} bytes" in deployed(board)
    assert on_image(tmp_path) == at_work | {"lib/mine.py": b"x", "data/mine": b"x"}


def test_a_dry_run_says_it_and_changes_nothing(
    start: Start, at_work: dict[str, bytes], application: Path, tmp_path: Path
) -> None:
    there = at_work | {"lib/ujobs/link.mpy": b"old", "lib/ujobs/agent.py": b"x"}
    board = start(there)
    said = deployed(board, "--dry-run", "--app", application)
    assert f"write   /lib/ujobs/link.mpy  {len(at_work['lib/ujobs/link.mpy'])} bytes\n" in said
    assert "remove  /lib/ujobs/agent.py\n" in said
    assert "start   the application in /app-b\n" in said
    board.board.wait_for("board: start, HARD_RESET")
    assert {name: data for name, data in on_image(tmp_path).items() if name in there} == there


def test_applications_take_turns_in_two_folders(
    start: Start, at_work: dict[str, bytes], application: Path, tmp_path: Path
) -> None:
    board = start(at_work)
    board.board.wait_for("application old")
    assert "the application is now in /app-b" in deployed(board, "--app", application)
    board.board.wait_for("application new")
    after = on_image(tmp_path)
    assert after["app/name.py"] == at_work["app/name.py"]
    assert {name for name in after if name.startswith("app-b/")} == {
        "app-b/app.mpy", "app-b/name.mpy", "app-b/data/table.bin",
    }
    (application / "name.py").write_text("NAME = 'newer'\n")
    said = deployed(board, "--app", application, "--dry-run")
    assert "copy    /app-b/data/table.bin to /app/data/table.bin\n" in said
    assert said.count("write ") == 1
    assert "the application is now in /app" in deployed(board, "--app", application)
    board.board.wait_for("application newer")
    assert {name for name in on_image(tmp_path) if name.startswith("app/")} == {
        "app/app.mpy", "app/name.mpy", "app/data/table.bin",
    }


def test_an_application_can_be_one_file_with_native_code(
    start: Start, at_work: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "blink.py"
    path.write_text("import micropython\n@micropython.native\ndef setup(agent):\n    print('native')\n")
    board = start(at_work)
    deployed(board, "--app", path)
    board.board.wait_for("native")


def test_a_trial_gives_way(start: Start, at_work: dict[str, bytes], application: Path, tmp_path: Path) -> None:
    tried = {"trial": b"0 app /app-b", "app-b/app.py": APP, "app-b/name.py": b"NAME = 'tried'\n"}
    tried["app-b.version"] = b"9.0"
    board = start(at_work | tried)
    board.board.wait_for("application tried")
    deployed(board, "--app", application)
    board.board.wait_for("application new")
    # The version number of an update job does not apply to an application deployed by cable.
    assert not {"trial", "app-b.version"} & on_image(tmp_path).keys()


def test_settings_in_their_trial_give_way_to_the_previous_ones(
    start: Start, at_work: dict[str, bytes], application: Path, tmp_path: Path
) -> None:
    tried = {"trial": b"0 settings /app", "settings.old": SETTINGS, "settings.json": b'{"thing": "tried"}'}
    board = start(at_work | tried)
    deployed(board, "--app", application)
    board.board.wait_for("application new")
    files = on_image(tmp_path)
    assert files["settings.json"] == SETTINGS
    assert "trial" not in files


def test_the_watchdog_is_fed(start: Start, at_work: dict[str, bytes], tmp_path: Path) -> None:
    app_file = tmp_path / "app.py"
    app_file.write_text("NAME = " + repr(bytes(range(256)) * 8) + "\ndef setup(agent):\n    print('application new')\n")
    watched = SETTINGS.replace(b"}", b', "watchdog": 3}')
    board = start(at_work | {"settings.json": watched})
    board.board.wait_for("application old")
    remote = Remote(str(board.port))
    plan = install.plan_for(remote, app_file, {})
    pieces = []

    def slowly(path: str, size: int) -> None:
        pieces.append(size)
        time.sleep(1.2)  # together longer than the watchdog's timeout

    install.carry_out(remote, plan, slowly)
    assert len(pieces) >= 3
    remote.reset()
    board.board.wait_for("application new")
    assert not any("WDT_RESET" in line for line in board.board.lines)


FOREIGN = b"""
import machine, time
dog = machine.WDT(timeout=1500)
print("foreign program")
while True:
    dog.feed()
    time.sleep_ms(100)
"""


def test_the_watchdog_of_a_foreign_program_is_fed(
    start: Start, at_work: dict[str, bytes], application: Path
) -> None:
    board = start(at_work | {"main.py": FOREIGN})
    board.board.wait_for("foreign program")
    remote = Remote(str(board.port))
    plan = install.plan_for(remote, application, {})
    pauses = [0.6] * 3  # together longer than the watchdog's timeout
    install.carry_out(remote, plan, lambda path, size: time.sleep(pauses.pop() if pauses else 0))
    assert not pauses
    remote.reset()
    board.board.wait_for("application new")
    assert not any("WDT_RESET" in line for line in board.board.lines)


def test_a_question_may_take_longer_than_the_watchdog(
    start: Start, bare: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    board = start(bare)
    monkeypatch.setattr(remote_module, "FEED_PERIOD", 0.2)
    remote = Remote(str(board.port))
    remote.run("import machine\n_dog = machine.WDT(timeout=1000)")
    with remote.held():
        time.sleep(1.5)
    remote.remove(["/missing"])
    remote.reset()


@pytest.mark.parametrize("after", [1, 5000, 10**9])
def test_a_board_unplugged_half_way_starts_with_its_old_files(
    start: Start, at_work: dict[str, bytes], application: Path, after: int
) -> None:
    board = start(at_work | {"lib/ujobs/link.mpy": at_work["lib/ujobs/link.mpy"] + b"\0"})
    remote = Remote(str(board.port))
    plan = install.plan_for(remote, application, {})
    assert "/lib/ujobs/link.mpy" in plan.write
    gone = 0

    def power_cut(path: str, size: int) -> None:
        nonlocal gone
        gone += size
        if gone >= min(after, plan.size()):
            board.board.signal(signal.SIGKILL)

    with pytest.raises(BoardError, match="stopped answering"):
        install.carry_out(remote, plan, power_cut)
    remote.close()
    again = start()
    again.board.wait_for("application old")
    deployed(again, "--app", application)
    again.board.wait_for("application new")


def test_ctrl_c_restarts_the_board_at_any_point(
    start: Start, at_work: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    board = start(at_work)
    monkeypatch.setattr("ujobs_tools.deploy.remote._GRACE", 0.2)

    def interrupted_in(method: str, sent: bytes) -> None:
        original = getattr(SerialTransport, method)

        def interrupt(transport: SerialTransport, *_: object, **__: object) -> None:
            setattr(SerialTransport, method, original)
            transport.serial.write(sent)
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(SerialTransport, method, interrupt)
            assert run("deploy", "--port", str(board.port)) == (130, "")

    interrupted_in("enter_raw_repl", b"\r\x03\r\x01")
    board.board.wait_for("board: start, HARD_RESET")
    interrupted_in("raw_paste_write", b"print(")  # the board waits for the rest
    board.board.wait_for("board: start, HARD_RESET", 2)
    board.board.wait_for("application old", 3)


@pytest.mark.parametrize("delay", [0.0, 0.005, 0.02])
def test_power_cut_while_names_are_given(
    start: Start, at_work: dict[str, bytes], application: Path, monkeypatch: pytest.MonkeyPatch, delay: float
) -> None:
    board = start(at_work)
    remote = Remote(str(board.port))
    follow = remote._transport.follow

    def cut_when_sent(*arguments: object) -> tuple[bytes, bytes]:
        time.sleep(delay)
        board.board.signal(signal.SIGKILL)
        return follow(1)

    plan = install.plan_for(remote, application, {})
    commit = remote.commit

    def last_step(*arguments: object) -> None:
        monkeypatch.setattr(remote._transport, "follow", cut_when_sent)
        commit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(remote, "commit", last_step)
    with contextlib.suppress(BoardError):  # the reply may have arrived before
        install.carry_out(remote, plan, lambda path, size: None)
    remote.close()
    again = start()
    # The application is the old one or the new one, and complete.
    again.board.wait_for("application ")
    deployed(again, "--app", application)
    again.board.wait_for("application new")


def test_full_flash_is_reported_before_anything_is_lost(
    start: Start, at_work: dict[str, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "big"
    folder.mkdir()
    (folder / "app.py").write_bytes(b"def setup(agent): pass\n")
    (folder / "big.bin").write_bytes(bytes(200_000))
    board = start(at_work, blocks=80)
    board.board.wait_for("application old")
    said = refused(board, "--app", folder)
    assert "the board's flash is too full: 2" in said
    board.board.wait_for("application old", times=2)
    assert on_image(tmp_path) == at_work


def test_files_are_removed_when_flash_turns_out_to_be_full(
    start: Start, at_work: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "big"
    folder.mkdir()
    (folder / "app.py").write_bytes(b"def setup(agent): pass\n")
    (folder / "big.bin").write_bytes(bytes(200_000))
    board = start(at_work, blocks=80)
    board.board.wait_for("application old")
    monkeypatch.setattr(Remote, "free", lambda self: 10**9)  # as if littlefs needed more space than estimated
    assert "the board's flash is full" in refused(board, "--app", folder)
    board.board.wait_for("application old", times=2)
    assert on_image(tmp_path) == at_work


def test_no_board(tmp_path: Path) -> None:
    code, said = run("deploy", "--port", str(tmp_path / "nowhere"))
    assert code == 1
    assert f"no board at {tmp_path / 'nowhere'}" in said
    code, said = run("deploy")
    assert code == 1
    assert "no board is plugged in" in said


def test_a_busy_port(start: Start, bare: dict[str, bytes]) -> None:
    board = start(bare)
    with serial.Serial(str(board.port), exclusive=True):
        assert "is in use by another program" in refused(board)


def test_an_invalid_port(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("x")
    code, said = run("deploy", "--port", str(path))
    assert code == 1
    assert f"{path} does not open" in said


def test_an_old_micropython(start: Start, bare: dict[str, bytes]) -> None:
    lie = b"""
import sys
class Old:
    path = sys.path
    implementation = ("micropython", (1, 20, 0, ""), "board", 2822)
sys.modules["sys"] = Old()
"""
    board = start(bare | {"boot.py": lie})
    assert "the board runs MicroPython 1.20.0; ujobs needs 1.24 or later" in refused(board)


def test_mpy_of_another_version() -> None:
    check_version((1, 29, 0), 2822)
    with pytest.raises(BoardError, match=r"loads \.mpy version 5; mpy-cross on this computer writes version 6"):
        check_version((1, 29, 0), 5)
    with pytest.raises(BoardError, match=r"does not load \.mpy files"):
        check_version((1, 29, 0), 0)


def test_no_umqtt(start: Start) -> None:
    assert "mip install umqtt.simple" in refused(start({}))


def test_an_invalid_application(start: Start, bare: dict[str, bytes], tmp_path: Path) -> None:
    board = start(bare)
    assert "it needs an app.py" in refused(board, "--app", tmp_path, code=2)
    (tmp_path / "app.py").write_text("def (:\n")
    code, said = run("deploy", "--port", str(board.port), "--app", tmp_path / "app.py")
    assert code == 2
    assert said.endswith("app.py does not compile: line 1: SyntaxError: invalid syntax\n")


def test_wipe_asks_and_leaves_plain_micropython(
    start: Start, at_work: dict[str, bytes], bare: dict[str, bytes], tmp_path: Path
) -> None:
    board = start(at_work | {f"data/{number}": b"x" for number in range(150)})
    before = on_image(tmp_path)
    code, said = run("wipe", "--port", str(board.port), answer="n\n")
    assert code == 1
    assert on_image(tmp_path) == before
    code, said = run("wipe", "--port", str(board.port), "--dry-run")
    assert (code, on_image(tmp_path)) == (0, before)
    assert "remove  /settings.json\n" in said
    code, said = run("wipe", "--port", str(board.port), "--yes")
    assert (code, on_image(tmp_path)) == (0, bare), said
    deployed(board)


@pytest.mark.parametrize(
    ("missing", "more"),
    # The second one is in a trial that no boot can count; the last one's application hides a module.
    [("restore", {}), ("trial", {"trial": b"0 app /app-b"}), ("", {"app/os.py": b"x = 1\n"})],
)
def test_a_board_that_does_not_work_is_mended(
    start: Start, at_work: dict[str, bytes], application: Path, missing: str, more: dict[str, bytes]
) -> None:
    files = at_work | more
    files.pop(f"lib/ujobs/{missing}.mpy", None)
    board = start(files)
    board.board.wait_for("Traceback")
    deployed(board, "--app", application)
    board.board.wait_for("application new")
