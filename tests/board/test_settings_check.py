"""The tools refuse settings with the message of the board's own check, and write them so that the board reads them."""

from pathlib import Path
from typing import Any

import pytest

from board_parts import load
from ujobs_tools.board.files import make_own_files
from ujobs_tools.board.image import build_image
from ujobs_tools.board.settings_check import check_settings
from ujobs_tools.board.supervisor import Board, BoardOptions

LEAST = {"thing": "kiln-7", "host": "a.example"}
WRONG: list[dict[str, Any]] = [
    {"thing": None}, {"thing": "a/b"}, {"host": 5}, {"host": []}, {"host": "https://a"}, {"port": "8883"},
    {"watchdog": float("nan")}, {"watchdog": True}, {"wifi": {}}, {"wifi": [{"ssid": "a"}, {"ssid": "b", "key": "c"}]},
    {"wifi": {"ssid": "a", "password": "short"}}, {"claim": {"template": "a b"}}, {"handlers": ["dance"]},
    {"roots": ["/"]}, {"roots": ["/cert"]}, {"roots": ["/data", "/socket"]}, {"roots": ["/network"]},
    {"signing_key": ""}, {"colour": "red"}, {"cert": "/k9/cert.der", "roots": ["/k9"]},
]
RIGHT: list[dict[str, Any]] = [
    {}, {"thing": None, "claim": {"template": "t"}}, {"wifi": None}, {"roots": ["/data", "/logging", "/queue", "/tmp"]},
    {"wifi": {"ssid": "Café 😀"}},
]


@pytest.mark.parametrize("given", WRONG)
def test_the_tools_refuse_what_the_board_refuses(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".") as here:
        check_settings(LEAST | given)
    if "/network" in given.get("roots", ()):  # CPython, which stands for the board here, has no such module
        assert str(here.value) == "setting roots: folder /network is closed to jobs"
        return
    with pytest.raises(ValueError, match=r".") as board:
        load("firmware.settings").check(LEAST | given)
    assert str(here.value) == str(board.value)


@pytest.mark.parametrize("given", RIGHT)
def test_the_tools_accept_what_the_board_accepts(given: dict[str, Any]) -> None:
    check_settings(LEAST | given)


def test_the_board_reads_every_character_of_its_settings(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """MicroPython does not join the surrogate pairs of escaped characters."""
    image = tmp_path / "flash.img"
    program = b"import json\nprint(json.load(open('settings.json'))['wifi']['ssid'].encode())"
    build_image(image, make_own_files({"wifi": {"ssid": "😀"}}, None, None) | {"main.py": program})
    Board(image, BoardOptions()).run()
    assert str("😀".encode()) in capfd.readouterr().out
