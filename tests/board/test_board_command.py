"""`ujobs board`: the images that it builds, its error messages, and the source of umqtt."""

import json
import subprocess
from pathlib import Path

import pytest

from board_process import COMMAND, StartBoard, make_image
from ujobs_tools.board import files as board_files
from ujobs_tools.board import umqtt
from ujobs_tools.board.files import make_board_files
from ujobs_tools.board.image import build_image, read_files
from ujobs_tools.board.interpreter import InterpreterError, compile_module, find_micropython
from ujobs_tools.board.settings import UsageError, make_settings


def refused(*arguments: str) -> str:
    """Return the message of a command that ends with exit code 2."""
    result = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=120)
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.fixture
def small_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the files for boards from a small repository with the layout of this one."""
    root = tmp_path / "repository"
    for name, text in {
        "boot.py": "",
        "main.py": "print('hello')\n",
        "lib/ujobs/__init__.py": "",
        "lib/ujobs/handlers/reboot.py": "async def run(job):\n    assert job\n",
        "firmware/wifi.py": "x = 1\n",
        "firmware/manifest.py": "package('ujobs')\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.setattr(board_files, "ROOT", root)
    monkeypatch.setattr(board_files, "LIBRARY", root / "lib" / "ujobs")
    monkeypatch.setattr(board_files, "FIRMWARE", root / "firmware")


@pytest.mark.usefixtures("small_repository")
def test_board_files(tmp_path: Path) -> None:
    thing = tmp_path / "thing"
    thing.mkdir()
    for part in ("ca", "cert", "key"):
        (thing / f"{part}.der").write_bytes(part.encode())
    app = tmp_path / "app"
    (app / "data").mkdir(parents=True)
    (app / "app.py").write_text("1")
    (app / "data" / "x.bin").write_bytes(b"\0")
    files = make_board_files({"thing": "t", "ca": "/tls/ca.der"}, thing, app)
    assert set(files) == {
        "boot.py",
        "main.py",
        "lib/ujobs/__init__.mpy",
        "lib/ujobs/handlers/reboot.mpy",
        "lib/firmware/wifi.mpy",
        "lib/umqtt/simple.mpy",
        "settings.json",
        "tls/ca.der",
        "cert/cert.der",
        "cert/key.der",
        "app/app.py",
        "app/data/x.bin",
    }
    assert files["lib/ujobs/__init__.mpy"].startswith(b"M\x06")
    assert files["tls/ca.der"] == b"ca"
    assert json.loads(files["settings.json"]) == {"thing": "t", "ca": "/tls/ca.der"}


@pytest.mark.usefixtures("small_repository")
def test_asserts_stay_in_umqtt_only() -> None:
    files = make_board_files({}, None, None)
    assert b"AssertionError" not in files["lib/ujobs/handlers/reboot.mpy"]
    source = b"def f(x):\n    assert x\n"
    assert len(compile_module(source, "f.py", 0)) > len(compile_module(source, "f.py", 2))


def test_a_module_that_does_not_compile_is_named() -> None:
    with pytest.raises(InterpreterError, match=r"ujobs/agent\.py does not compile: (?s:.*)SyntaxError"):
        compile_module(b"def (:\n", "ujobs/agent.py", 2)


def test_compiler_errors_are_one_line_without_the_temporary_file() -> None:
    with pytest.raises(InterpreterError) as caught:
        compile_module(b"x = 1\ndef (:\n", "app.py", 0)
    assert str(caught.value) == "app.py does not compile: line 2: SyntaxError: invalid syntax"


def test_settings_come_from_file_options_and_assignments(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"thing": "old", "host": "a", "wifi": {"ssid": "s", "password": "p"}}')
    made = make_settings(
        path, {"thing": "new", "port": None}, ["wifi.password=a=b-and-c", "watchdog=null", "claim.template=x"]
    )
    assert made == {
        "thing": "new",
        "host": "a",
        "wifi": {"ssid": "s", "password": "a=b-and-c"},
        "watchdog": None,
        "claim": {"template": "x"},
    }


def test_names_and_passwords_stay_text(tmp_path: Path) -> None:
    given = ["wifi.password=12345678", "wifi.ssid=007", "thing=42", "host=10", "app=true", "port=1", "ntp=null",
        'signing_key="/a"', "claim.template=t", "claim.parameters.SerialNumber=0815", "claim.parameters.Line=5"]
    made = make_settings(None, {}, given)
    several = ["host.0=10", "host.1=b", "wifi.0.ssid=1", "wifi.1.ssid=2", "wifi.1.password=12345678", "thing=t"]
    lists = make_settings(None, {}, several)
    assert lists["host"] == ["10", "b"]
    assert [lists["wifi"][0]["ssid"], lists["wifi"][1]] == ["1", {"ssid": "2", "password": "12345678"}]
    assert make_settings(None, {}, ['host=["a", "b"]', "thing=t"])["host"] == ["a", "b"]
    for wrong in ("wifi.2.ssid=a", "host.1=b"):
        with pytest.raises(UsageError, match="the list does not have this position"):
            make_settings(None, {"thing": "t"}, [wrong])
    assert made["wifi"] == {"ssid": "007", "password": "12345678"}
    assert made["signing_key"] == "/a"
    assert made["claim"] == {"template": "t", "parameters": {"SerialNumber": "0815", "Line": "5"}}
    assert (made["thing"], made["host"], made["app"], made["port"], made["ntp"]) == ("42", "10", "true", 1, None)


def test_the_password_comes_to_the_network_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    for wifi, given, password in (
        ('{"ssid": "s"}', "long-and-secret", "long-and-secret"), ('{"ssid": "s"}', None, None),
        ('{"ssid": "s", "password": "of the file"}', "long-and-secret", "of the file"),
    ):
        path.write_text(f'{{"thing": "t", "host": "a", "wifi": {wifi}}}')
        made = make_settings(path, {}, [], given)
        assert made["wifi"].get("password") == password
    path.write_text('{"thing": "t", "host": "a", "wifi": null}')
    assert make_settings(path, {}, [], "long-and-secret")["wifi"] is None


def test_the_settings_are_checked_once_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[dict[str, object]] = []
    monkeypatch.setattr("ujobs_tools.board.settings.check_settings", checked.append)
    path = tmp_path / "settings.json"
    path.write_text('{"thing": "t", "host": "a", "wifi": {"ssid": "s"}}')
    assert checked == [make_settings(path, {"port": 1}, ["watchdog=null"], "long-and-secret")]


def test_settings_default_to_the_example(tmp_path: Path) -> None:
    made = make_settings(None, {"thing": "t", "host": "localhost", "port": 1}, [])
    assert made["cert"] == "/cert/cert.der"
    assert (made["thing"], made["host"], made["port"]) == ("t", "localhost", 1)
    with pytest.raises(UsageError, match="needs the thing"):
        make_settings(None, {"host": "localhost"}, [])
    with pytest.raises(UsageError, match="must be KEY=VALUE"):
        make_settings(None, {}, ["nonsense"])


def test_options_change_the_settings_on_an_image_that_exists(tmp_path: Path, start_board: StartBoard) -> None:
    image = tmp_path / "board.img"
    build_image(image, {"main.py": b"print(1)", "settings.json": b'{"thing": "t", "host": "a", "port": 1}'})
    board = start_board(image, "--port", "8884", "--set", "wifi.ssid=lab", "--set", "handlers=[]")
    board.wait_for("board: the program ended")
    changed = {"thing": "t", "host": "a", "port": 8884, "wifi": {"ssid": "lab"}, "handlers": []}
    assert json.loads(read_files(image)["/settings.json"]) == changed
    assert board.lines[0] == f"board: settings on {image} changed"


def test_a_board_that_does_not_start_its_work_ends_with_exit_code_1(tmp_path: Path) -> None:
    image = make_image(tmp_path, "print('not started: setting host is missing')")
    assert subprocess.run([*COMMAND, str(image)], capture_output=True, timeout=120).returncode == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("echo micropython 1 23", "is micropython 1.23: the virtual board needs MicroPython 1.24 or later"),
        ("echo cpython 3 12", "is cpython 3.12"),
        ("exit 1", "is not a MicroPython interpreter"),
    ],
)
def test_a_micropython_that_is_named_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, message: str
) -> None:
    program = tmp_path / "micropython"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    monkeypatch.setenv("UJOBS_MICROPYTHON", str(program))
    with pytest.raises(InterpreterError, match=message):
        find_micropython()
    program.write_text("#!/bin/sh\necho micropython 1 24\n")
    program.rename(tmp_path / "newer")
    monkeypatch.setenv("UJOBS_MICROPYTHON", str(tmp_path / "newer"))
    assert find_micropython() == tmp_path / "newer"


def test_without_micropython_the_message_says_where_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UJOBS_MICROPYTHON", str(tmp_path / "none"))
    with pytest.raises(InterpreterError, match="is not a program: the virtual board needs MicroPython"):
        find_micropython()
    monkeypatch.delenv("UJOBS_MICROPYTHON")
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InterpreterError, match="MicroPython is not installed"):
        find_micropython()


def test_error_messages_say_what_to_do(tmp_path: Path) -> None:
    image = make_image(tmp_path, "")
    assert "leave out --app, or add --fresh" in refused(str(image), "--app", str(tmp_path))
    assert "has no settings.json" in refused(str(image), "--host", "localhost")
    assert "must be a size such as 160k" in refused(str(image), "--heap", "lots")
    assert "--heap 9999m is over 256m" in refused(str(image), "--heap", "9999m")
    assert f"{image}: File exists" in refused(str(image), "--serial", str(image))
    assert "needs the thing" in refused(str(tmp_path / "new.img"))
    new = str(tmp_path / "new.img")
    settings = tmp_path / "settings.json"
    for content, message in (
        (b"[1]", "settings.json must be a JSON object"),
        (b'{"thing": "x",}', "settings.json is not JSON: "),
        (b"\xff", "settings.json is not a text file"),
        (b"[" * 100_000, "settings.json is not JSON: "),
        (b'{"thing": "x", "host": "a", "watchdog": 0}', "settings.json: setting watchdog must be a number"),
    ):
        settings.write_bytes(content)
        assert message in refused(new, "--settings", str(settings))
    assert f"ujobs board: {tmp_path / 'none.json'}: No such file" in refused(
        new, "--settings", str(tmp_path / "none.json")
    )
    options = (new, "--thing", "t", "--host", "localhost")
    assert "no application in" in refused(*options, "--app", str(tmp_path))
    assert "settings.json is not an application" in refused(*options, "--app", str(settings))
    assert f"{tmp_path / 'ca.der'}: No such file" in refused(*options, "--thing-dir", str(tmp_path))
    assert "65535" in refused(*options, "--port", "70000")
    assert not Path(new).exists()
    build_image(image, {"settings.json": b'{"thing": "t", "host": "a"}'})
    assert "setting host must be a host name alone" in refused(str(image), "--host", "https://b.example")
    assert json.loads(read_files(image)["/settings.json"])["host"] == "a"
    broken = tmp_path / "broken.img"
    broken.write_bytes(b"\0" * 4097)
    assert "is not a flash image" in refused(str(broken))


def test_the_board_refuses_flash_without_a_file_system(tmp_path: Path) -> None:
    image = tmp_path / "empty.img"
    image.write_bytes(b"\xff" * 65536)
    result = subprocess.run([*COMMAND, str(image)], capture_output=True, text=True, timeout=120)
    assert result.returncode == 2
    assert "board: the image does not contain a littlefs file system" in result.stdout


def test_umqtt_is_found_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(folder: Path) -> Path:
        (folder / "umqtt").mkdir(parents=True)
        (folder / "umqtt" / "simple.py").write_text("")
        return folder

    monkeypatch.setattr(umqtt, "ROOT", tmp_path)
    monkeypatch.setattr(umqtt, "SHIMS", tmp_path / "tests" / "shims")
    monkeypatch.delenv("UMQTT_PATH", raising=False)
    with pytest.raises(FileNotFoundError, match="no umqtt"):
        umqtt.find()
    double = install(tmp_path / "tests" / "shims")
    assert umqtt.find() == (double, "the test double of umqtt.simple (tests/shims)")
    real = install(tmp_path / "build" / "umqtt")
    assert umqtt.find()[0] == real
    named = install(tmp_path / "elsewhere")
    monkeypatch.setenv("UMQTT_PATH", str(named))
    assert umqtt.find() == (named, f"the real umqtt.simple (UMQTT_PATH={named})")
    monkeypatch.setenv("UMQTT_PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="UMQTT_PATH"):
        umqtt.find()


def test_fresh_rebuilds_the_image(tmp_path: Path, start_board: StartBoard) -> None:
    image = make_image(tmp_path, "print('old')\n")
    board = start_board(image, "--fresh", "--thing", "t", "--host", "localhost", "--port", "1")
    board.wait_for("board: start, PWRON_RESET")
    assert "umqtt.simple" in board.lines[0]
    assert "/settings.json" in read_files(image)


@pytest.mark.parametrize(
    ("options", "name"), [((), None), (("--set", "app=mine"), "mine"), (("--app",), "app"), (("--settings",), "own")]
)
def test_the_installed_application_is_started(
    tmp_path: Path, start_board: StartBoard, options: tuple[str, ...], name: str | None
) -> None:
    values = {"--app": tmp_path / "app.py", "--settings": tmp_path / "settings.json"}
    values["--app"].write_text("def setup(agent): pass\n")
    values["--settings"].write_text(json.dumps({"app": "own"}))
    image = tmp_path / "folder" / "flash.img"  # the folder is created
    given = [*options, *(str(values[option]) for option in options if option in values)]
    board = start_board(image, *given, "--thing", "t", "--host", "localhost")
    board.wait_for("board: start, PWRON_RESET")
    assert board.lines[0].endswith("; it has no certificates: --thing-dir was not given")
    assert json.loads(read_files(image)["/settings.json"])["app"] == name
