"""The library loads on every port of MicroPython, and the settings files of the boards are valid."""

import ast
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from documented import firmware_module

from ujobs import handlers
from ujobs_lab import REPOSITORY

settings = firmware_module("settings")

LIBRARY = sorted((REPOSITORY / "lib" / "ujobs").rglob("*.py"))
BOARDS = sorted((REPOSITORY / "firmware" / "boards").glob("*.json"))
# Modules that every port with a network has.
EVERYWHERE = {
    "asyncio", "binascii", "errno", "gc", "hashlib", "micropython", "os", "random", "struct", "sys", "time", "tls",
    "ujson", "umqtt",
}
ON_A_BOARD = {"deflate", "esp32", "machine"}  # may be imported inside functions only


def imports(tree: ast.AST, at_load: bool) -> set[str]:
    """The imported packages: at_load: when the module is loaded; otherwise: later, in its functions."""
    later = within(tree, lambda node: isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    never = within(tree, lambda node: isinstance(node, ast.If) and ast.unparse(node.test) == "_TYPING")
    found = set()
    for node in ast.walk(tree):
        if node in never or (node in later) == at_load:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).partition(".")[0])
    return found


def within(tree: ast.AST, wanted: Callable[[ast.AST], bool]) -> set[ast.AST]:
    """All nodes inside the wanted ones."""
    return {inner for node in ast.walk(tree) if wanted(node) for inner in ast.walk(node)}


@pytest.mark.parametrize("module", LIBRARY, ids=lambda path: path.name)
def test_the_library_loads_without_modules_of_a_single_port(module: Path) -> None:
    tree = ast.parse(module.read_text())
    assert imports(tree, at_load=True) <= EVERYWHERE
    assert imports(tree, at_load=False) <= EVERYWHERE | ON_A_BOARD


def test_imports_in_nested_blocks_are_found() -> None:
    tree = ast.parse("try:\n    from machine import Pin\nexcept ImportError:\n    pass\ndef f():\n    import esp32.x\n")
    assert imports(tree, at_load=True) == {"machine"}
    assert imports(tree, at_load=False) == {"esp32"}


@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.stem)
def test_the_settings_of_a_board_are_valid(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(board.read_text())
    settings.check(found)
    assert found.items() <= settings.load(str(board)).items()
    assert capsys.readouterr().out == ""
    assert set(found["handlers"]) <= set(handlers._MINUTES)
    guide = (board.parent / "README.md").read_text()
    assert f"[{board.stem}]({board.name})" in guide
    assert str(found["receive_limit"]) in guide


def test_the_example_settings_are_valid_for_a_settings_job() -> None:
    found = json.loads((BOARDS[0].parents[1] / "settings.example.json").read_text())
    assert None in found.values()
    settings.check(found)
    with pytest.raises(ValueError, match="thing"):
        settings.check(found | {"thing": None})


def test_there_are_settings_for_every_board() -> None:
    assert {board.stem for board in BOARDS} == {"esp32", "esp32-c3", "esp32-s3"}
