"""The faults of `make mutants` are valid Python, and none is in code that does not run."""

import ast
import tomllib

from ujobs_lab import REPOSITORY
from ujobs_lab.mutants.__main__ import choose
from ujobs_lab.mutants.mutations import mutated, mutations

SOURCE = b'''"""A docstring with 1 number."""
_TYPING = const(0)
if _TYPING:
    from typing import Any


def connect(host: "str | None" = None, most: int = 5):
    """Another."""
    if not host or len(host) > 253:
        raise ValueError("host")
    stream = open_connection(host, 8883, server_hostname=host)
    log("connected")
    stream.count += most
    return stream
'''


def test_each_fault_is_valid_and_changes_the_text() -> None:
    found = mutations(SOURCE)
    for one in found:
        text = mutated(SOURCE, one)
        assert text != SOURCE
        ast.parse(text)
        assert SOURCE[: one.start].count(b"\n") + 1 <= one.line + 1


def test_the_faults_of_a_function() -> None:
    whats = [one.what for one in mutations(SOURCE)]
    for what in (
        "5 is one more", "condition negated", "not left out", "or is and", "> is >=", "253 is one more",
        "raise left out", "server_hostname= left out", "8883 is one more", "assignment left out", "returns None",
    ):
        assert what in whats, what
    lines = {one.line for one in mutations(SOURCE)}
    assert not lines & {1, 2, 3, 8, 12}, "docstrings, the console and what only type checkers read are left alone"


def test_each_harmless_fault_is_one_that_can_still_be_made() -> None:
    for fault in tomllib.loads((REPOSITORY / "tools/ujobs_lab/mutants/harmless.toml").read_text())["fault"]:
        source = (REPOSITORY / fault["module"]).read_bytes()
        lines = source.decode().splitlines()
        made = [(lines[one.line - 1].strip(), one.what) for one in mutations(source)]
        assert made.count((fault["line"], fault["what"])) >= fault.get("at", 1), fault


def test_one_of_several_places_in_a_line_can_be_harmless() -> None:
    line = "return (0, 1, 0) if r else _double(x, y, z)"
    module = "lib/ujobs/verify.py"
    lines = (REPOSITORY / module).read_text().splitlines()
    chosen = [one.what for _, one in choose(10**6, 1, module) if lines[one.line - 1].strip() == line]
    assert chosen.count("0 is one more") == 1, "the third number says that it is the neutral element"
