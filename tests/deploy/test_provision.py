"""`ujobs provision` with real mpremote: from a bare virtual board to a thing that is connected to `ujobs serve`."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key
from typer.testing import CliRunner

import clouds
from mpremote_board import Start
from ujobs_tools.board.files import make_bare_files
from ujobs_tools.board.image import read_files
from ujobs_tools.commands import deploy

APP = "def setup(agent):\n    print('application here')\n"

app = typer.Typer()
app.command()(deploy.provision)


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[clouds.Cloud]:
    """`ujobs serve`."""
    with clouds.ujobs_serve(tmp_path_factory.mktemp("serve")) as found:
        yield found


@pytest.fixture(scope="module")
def bare() -> dict[str, bytes]:
    """The files of an ESP32 with plain MicroPython."""
    return make_bare_files()


def provision(*arguments: str | Path) -> tuple[int, str]:
    """Return exit code and output of `ujobs provision ...`."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    return result.exit_code, result.output


def things(cloud: clouds.Cloud) -> set[str]:
    return {thing["thingName"] for thing in cloud.iot().list_things()["things"]}


def test_a_bare_board_becomes_a_thing_and_a_second_board_replaces_it(
    start: Start, bare: dict[str, bytes], serve: clouds.Cloud, tmp_path: Path
) -> None:
    application = tmp_path / "app.py"
    application.write_text(APP)
    folder = tmp_path / "things" / "kiln-1"
    board = start(bare, "--wifi-ssid", "barn", "--wifi-password", "long-and-secret")
    arguments = (
        "kiln-1", "--port", str(board.port), "--out", folder, "--endpoint-url", serve.endpoint_url,
        "--app", application, "--wifi-ssid", "barn", "--wifi-password", "long-and-secret",
    )
    code, said = provision(*arguments)
    assert code == 0, said
    assert "ujobs: connected to localhost\n" in said
    assert said.endswith("kiln-1 has connected to localhost\n")
    assert "long-and-secret" not in said
    board.board.wait_for("application here")
    key = (folder / "key.der").read_bytes()
    assert read_files(tmp_path / "flash.img")["/cert/key.der"] == key
    assert isinstance(load_der_private_key(key, None), ec.EllipticCurvePrivateKey)
    assert stat.S_IMODE((folder / "key.der").stat().st_mode) == 0o600
    board.board.stop()

    again = start(bare, "--wifi-ssid", "barn", "--wifi-password", "long-and-secret")
    code, said = provision(*arguments[:2], str(again.port), *arguments[3:])
    assert code == 0, said
    assert read_files(tmp_path / "flash.img")["/cert/key.der"] == key


def test_nothing_is_created_without_a_board(serve: clouds.Cloud, tmp_path: Path) -> None:
    before = things(serve)
    code, said = provision("kiln-2", "--app", tmp_path, "--out", tmp_path / "out", "--endpoint-url", serve.endpoint_url)
    assert code == 2
    assert f"no application in {tmp_path}" in said
    code, said = provision(
        "kiln-2", "--port", tmp_path / "nowhere", "--out", tmp_path / "out", "--endpoint-url", serve.endpoint_url
    )
    assert code == 1
    assert "no board at" in said
    (tmp_path / "settings.json").write_text('{"wifi": {"ssid": "barn"}}')
    own = ("--settings", str(tmp_path / "settings.json"))
    for options, message in (
        ((*own, "--wifi-password", "short"), "setting wifi.password must be 8 to 63 characters"),
        (("--set", "nonsense"), "must be KEY=VALUE"),
        (("--set", "signing_key="), "setting signing_key must be 1 to 4096 bytes"),
        (("--set", "wathdog=5"), "there is no setting wathdog"),
        (("--wifi-ssid", "barn", "--wifi-password", "short"), "setting wifi.password must be 8 to 63 characters"),
    ):
        code, said = provision("kiln-2", *options, "--endpoint-url", serve.endpoint_url)
        assert code == 2
        assert message in said
        assert "short" not in said
    assert things(serve) == before
    assert not (tmp_path / "out").exists()


def test_a_key_of_another_thing_is_named(
    start: Start, bare: dict[str, bytes], serve: clouds.Cloud, tmp_path: Path
) -> None:
    (tmp_path / "key.der").write_bytes(b"")
    board = start(bare)
    code, said = provision(
        "no-such-thing", "--port", board.port, "--out", tmp_path, "--endpoint-url", serve.endpoint_url
    )
    assert code == 1
    assert f"{tmp_path} has a key, but the thing no-such-thing does not exist" in said


def test_a_board_that_does_not_connect_is_reported(
    start: Start, bare: dict[str, bytes], serve: clouds.Cloud, tmp_path: Path
) -> None:
    board = start(bare)
    code, said = provision(
        "kiln-3", "--port", board.port, "--out", tmp_path / "out", "--endpoint-url", serve.endpoint_url,
        "--mqtt-port", "1", "--patience", "2",
    )
    assert code == 1
    assert "without --wifi-ssid, the board uses a wired network\n" in said
    assert "settings: " not in said
    assert "ujobs: no link to localhost" in said
    assert "the board has all its files, but did not connect in time" in said


def test_a_board_that_does_not_start_is_reported_at_once(
    start: Start, bare: dict[str, bytes], serve: clouds.Cloud, tmp_path: Path
) -> None:
    board = start(bare)
    code, said = provision(
        "kiln-4", "--port", board.port, "--out", tmp_path / "out", "--endpoint-url", serve.endpoint_url,
        "--set", "key=/cert/ca.der",
    )
    assert code == 1
    assert "not started: " in said
    assert "the board has all its files, but does not start" in said
