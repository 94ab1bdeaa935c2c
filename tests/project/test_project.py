"""`ujobs new`, ujobs.toml and `ujobs run`: a new project works without changes."""

import json
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ujobs_tools.demo.live import LiveProject, NotStarted
from ujobs_tools.host.processes import ujobs, wait_until
from ujobs_tools.project import ujobs_toml
from ujobs_tools.project.new import CannotCreate, create

PATIENCE = 120.0  # seconds
FAILING = '''
def test_fails(service, board):
    job = service.job("burn")
    job.wait()


def test_expected(service, board):
    service.job("burn").wait()
    board.expect_traceback("too hot")


def test_says_why(service, board):
    service.job("blink", times=1).wait()
    assert False


def test_alone(run_job):
    assert run_job("burn").status == "SUCCEEDED"
'''
BURNING = '''

def burn(job):
    raise OSError("too hot")


def setup(agent):
    agent.on("blink")(blink)
    agent.on("burn")(burn)
'''
PLAIN = '''
import gc
import time


def setup(agent):
    agent.on("bake", step_timeout=1)(bake)


def bake(job):
    gc.threshold(gc.mem_alloc() + 20000)
    for done in range(90):
        time.sleep(1)
        job.tick(done, 90)
    return {"free": gc.mem_free() > 0}
'''
PLAIN_TEST = '''
def test_bake(run_job):
    result = run_job("bake")
    assert result.status == "SUCCEEDED", result.details
    assert result.details == {"free": "true", "progress": "90/90"}
'''


@pytest.fixture
def kiln(tmp_path: Path) -> Path:
    folder = tmp_path / "kiln"
    create(folder)
    return folder


def test_invalid_project_names(tmp_path: Path) -> None:
    for name in ("7kiln", "kiln.7", "ki ln", "k" * 65):
        with pytest.raises(CannotCreate):
            create(tmp_path / name)


def test_a_folder_with_files_is_not_changed(kiln: Path) -> None:
    (kiln / "app" / "app.py").write_text("mine")
    with pytest.raises(CannotCreate, match="not empty"):
        create(kiln)
    assert (kiln / "app" / "app.py").read_text() == "mine"


def test_keys_are_kept_out_of_git(kiln: Path) -> None:
    subprocess.run(["git", "init", "-q", kiln], check=True)
    for name in ("keys/kiln/key.pem", "key.der", "settings.local.json"):
        result = subprocess.run(["git", "-C", kiln, "check-ignore", "-q", name])
        assert result.returncode == 0, name
    assert "password" not in (kiln / "settings.json").read_text()


def test_found_from_the_folder_or_above(kiln: Path) -> None:
    found = ujobs_toml.find(kiln / "app")
    assert found is not None
    assert (found.folder, found.thing, found.app) == (kiln, "kiln", kiln / "app")
    (kiln / ujobs_toml.NAME).write_bytes(b"\xef\xbb\xbfthing = 'a'\r\n")  # by an editor on Windows
    found = ujobs_toml.find(kiln)
    assert found is not None
    assert found.thing == "a"


@pytest.mark.parametrize(
    ("text", "said"),
    [("thing = 7", "thing"), ("thng = 'x'", "thng"), ("leave_out = 'x'", "leave_out"), ("thing = ", "ujobs.toml"),
     ("thing = '\udcff'", "ujobs.toml is not a text file")],
)
def test_mistakes_in_the_file(kiln: Path, text: str, said: str) -> None:
    (kiln / ujobs_toml.NAME).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ujobs_toml.ProjectError, match=said):
        ujobs_toml.find(kiln)


def test_left_out_of_deploys(kiln: Path) -> None:
    """leave_out and .ujobsignore have the same syntax, and .ujobsignore has the last word."""
    from ujobs_tools.board.files import application_files

    app = kiln / "app"
    for name in ("notes.md", "README.md", "data/a.csv", "data/raw/b.csv", "data/keep.csv", "raw/c.csv"):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_text(name)
    assert list(application_files(app)) == ["app.py", *(f"{name}.csv" for name in ("data/a", "data/keep")),
        "data/raw/b.csv", "raw/c.csv"]
    (kiln / ujobs_toml.NAME).write_text('leave_out = ["*.md", "/raw/", "data/*", "!data/keep.csv"]\n')
    assert list(application_files(app)) == ["app.py", "data/keep.csv"]
    (app / ".ujobsignore").write_bytes(b"\xef\xbb\xbf!README.md\r\n*.csv\r\n")
    assert list(application_files(app)) == ["README.md", "app.py"]
    for wrong, said in ((b"*.py", r"excludes app\.py"), (b"!", "Invalid git pattern"), (b"\xff", "not a text file")):
        (app / ".ujobsignore").write_bytes(wrong)
        with pytest.raises(ValueError, match=said):
            application_files(app)


class Live:
    """`ujobs run` in this process, at any free port. lines: its output."""

    def __init__(self, project: LiveProject, lines: list[str]) -> None:
        self.project = project
        self.lines = lines
        self.url = lines[0].split()[1]

    def expect(self, *texts: str) -> None:
        """Wait for lines with these texts, in this order; the next call searches only later lines."""
        for text in texts:
            wait_until(lambda text=text: any(text in line for line in self.lines), text, PATIENCE)
            del self.lines[: next(at for at, line in enumerate(self.lines) if text in line) + 1]

    def starts_on_page(self) -> int:
        """Return the number of boots, according to the console on the live page."""
        with urllib.request.urlopen(f"{self.url}/_ujobs/page/events?view=thing&thing=kiln", timeout=PATIENCE) as stream:
            state = next(json.loads(line[6:]) for line in stream if line.startswith(b"data: ") and b"console" in line)
        return sum(line["text"] == "board: start, PWRON_RESET" for line in state["console"])


@pytest.fixture
def live(kiln: Path) -> Iterator[Live]:
    (kiln / ujobs_toml.NAME).write_text('thing = "kiln"\napp = "app"\nsettings = "settings.json"\n')
    found = ujobs_toml.find(kiln)
    assert found is not None
    lines: list[str] = []
    with LiveProject(found, lines.append) as running:
        yield Live(running, lines)


def test_run_reloads_changed_files(kiln: Path, live: Live) -> None:
    assert not live.project.look()
    app = kiln / "app" / "app.py"
    app.write_text(app.read_text() + BURNING)
    assert live.project.look()
    command = ujobs("job", "create", "hot", "--document", '{"operation": "burn"}', "--endpoint-url", live.url)
    subprocess.run(command, cwd=kiln, check=True, capture_output=True)
    done = subprocess.run(ujobs("job", "watch", "hot", "--endpoint-url", live.url), capture_output=True, text=True)
    assert "FAILED" in done.stdout


def test_run_replaces_what_a_job_installed(kiln: Path, live: Live, tmp_path: Path) -> None:
    app = kiln / "app" / "app.py"
    second = tmp_path / "second"
    second.mkdir()

    def publish(version: int, name: str) -> None:
        (second / "app.py").write_text(f"def setup(agent):\n    print('version {version} runs')\n")
        command = ujobs("publish-app", str(second), "--version", str(version), "--name", name, "--thing", "kiln")
        subprocess.run([*command, "--endpoint-url", live.url], cwd=kiln, check=True, capture_output=True)

    publish(2, "installed")
    live.expect("version 2 runs", "job installed: SUCCEEDED")
    app.write_text(app.read_text() + "\nprint('edited')\n")
    assert live.project.look()
    live.expect("edited", "ujobs: connected")
    (kiln / "settings.json").write_text((kiln / "settings.json").read_text().replace("{", '{"confirm": true,', 1))
    assert live.project.look()
    publish(3, "unconfirmed")
    live.expect("version 3 runs", "ujobs: connected")
    app.write_text(app.read_text().replace("edited", "edited again"))
    assert live.project.look()
    live.expect("edited again", "job unconfirmed: FAILED, OSError: rolled back: replaced by ujobs run")


def test_run_continues_with_the_last_valid_files(kiln: Path, live: Live) -> None:
    app = kiln / "app" / "app.py"
    app.rename(kiln / "app.py")
    assert not live.project.look()
    live.expect("it needs an app.py")
    (kiln / "app.py").rename(app)
    settings = kiln / "settings.json"
    sound = settings.read_text()
    settings.write_text(sound.replace(":", "", 1))
    assert not live.project.look()
    live.expect(f"--- not used, the board continues unchanged: {settings} is not JSON: ")
    settings.unlink()
    assert not live.project.look()
    live.expect(f"--- not used, the board continues unchanged: {settings}: No such file or directory ---")
    settings.write_text(sound)
    assert live.project.look()
    live.expect("ujobs: connected")
    (kiln / "app" / "big.bin").write_bytes(bytes(3_000_000))
    assert live.project.look()
    live.expect("--- not used, the board starts unchanged: ", "ujobs: connected")


def test_a_port_in_use_is_named_with_its_entry(kiln: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        url = f"http://127.0.0.1:{other.getsockname()[1]}"
        (kiln / ujobs_toml.NAME).write_text(f'thing = "kiln"\napp = "app"\nendpoint_url = "{url}"\n')
        found = ujobs_toml.find(kiln)
        assert found is not None
        with pytest.raises(NotStarted, match=f"{url} is in use.* endpoint_url of ujobs.toml"):
            LiveProject(found, lambda line: None).__enter__()


def test_a_missing_application_is_said_first(kiln: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        url = f"http://127.0.0.1:{other.getsockname()[1]}"  # in use: the service could not start
        (kiln / ujobs_toml.NAME).write_text(f'thing = "kiln"\napp = "app"\nendpoint_url = "{url}"\n')
        (kiln / "app" / "app.py").unlink()
        refused = subprocess.run(ujobs("run"), cwd=kiln, capture_output=True, text=True)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("ujobs run: no application in ")


def test_the_board_is_on_the_live_page(live: Live) -> None:
    live.expect(f"live page:  {live.url}/#/things/kiln", "board: start, PWRON_RESET", "ujobs: connected")
    assert live.starts_on_page() == 1
    body = urllib.request.Request(
        f"{live.url}/_ujobs/page/cut-power", b'{"thing": "kiln"}', {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(body, timeout=PATIENCE).close()
    assert live.project.look()
    live.expect("power cut", "board: start, PWRON_RESET", "ujobs: connected")
    assert live.starts_on_page() == 2


def test_options_win_over_the_file(kiln: Path) -> None:
    path = kiln / ujobs_toml.NAME
    path.write_text(path.read_text().replace("8765", "1"))
    command = ujobs("job", "create", "x", "--document", '{"operation": "blink"}', "--endpoint-url", "http://127.0.0.1:2")
    refused = subprocess.run(command, cwd=kiln, capture_output=True, text=True)
    assert "127.0.0.1:2:" in refused.stderr


def test_the_application_to_publish_is_that_of_the_project(kiln: Path) -> None:
    command = ujobs("publish-app", "--version", "2", "--name", "app-2", "--dry-run")
    listed = subprocess.run(command, cwd=kiln, capture_output=True, text=True)
    assert listed.stdout.startswith("publish  app.py "), listed.stderr
    refused = subprocess.run(command, cwd=kiln.parent, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "Missing argument" in refused.stderr


def test_run_outside_of_a_project(tmp_path: Path) -> None:
    refused = subprocess.run(ujobs("run"), cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "ujobs new" in refused.stderr


def run_pytest(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pytest", "-p", "ujobs_tools.testing.plugin", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=110)


def test_the_report_of_a_failure(kiln: Path) -> None:
    app = kiln / "app" / "app.py"
    app.write_text(app.read_text() + BURNING)
    (kiln / "tests" / "test_app.py").write_text(FAILING)
    # Run pytest outside the project: the plugin finds it by the path of the tests.
    result = run_pytest(kiln.parent, "kiln")
    assert "4 failed, 1 passed" in result.stdout, result.stdout
    assert result.stdout.count("the last job of run_job") == 2
    said: Any = result.stdout
    for text in (
        "unexpected traceback on the board's console", "OSError: too hot", "ujobs: connected to localhost",
        '-> jobs/start-next {"stepTimeoutInMinutes"', "<- accepted", "2  IN_PROGRESS",
        "FAILED  reason: OSError: too hot\nujobs: job job (1) starts",
    ):
        assert text in said
    # On a loaded machine there may be a progress update in between.
    assert re.search(r"\d  SUCCEEDED  ", said)
    assert json.loads((kiln / "settings.json").read_text())["thing"] == "kiln"


def test_a_plain_handler_alone(kiln: Path) -> None:
    # In a process of its own: here, tests/conftest.py has made asyncio and gc like MicroPython's.
    (kiln / "app" / "app.py").write_text(PLAIN)
    (kiln / "tests" / "test_app.py").write_text(PLAIN_TEST)
    result = run_pytest(kiln)
    assert "2 passed" in result.stdout, result.stdout
