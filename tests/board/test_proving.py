"""A version of the application on trial must leave the library all that it uses of MicroPython's modules."""

import ast
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ujobs_lab import REPOSITORY
from ujobs_tools.board import umqtt
from ujobs_tools.board.interpreter import environment, find_micropython

LIBRARY = REPOSITORY / "lib"
# The unix port has no board, so its `machine` has no reset.
MACHINE = "class RTC:\n    pass\ndef reset(): pass\nreset_cause = unique_id = reset\n"
# Prints the modules in the table; then, for each [module, names], why a trial with a file that hides the module and has
# only these names is refused; None if no file can hide the module, "" if the trial goes on.
PROGRAM = """
import json, os, sys
folder = sys.argv[1]
modules = sys.modules
from firmware import proving
proving.trial.current = lambda: proving.trial.APP
values = {}

def refusal(module, names):
    original = __import__(module)
    file = "%s/%s.py" % (folder, module)
    with open(file, "w") as content:
        content.write("import __main__\\nhides = True\\n")
        for name in names:
            values[name] = getattr(original, name)
            content.write("%s = __main__.values[%r]\\n" % (name, name))
    modules.pop(module, None)
    try:
        if not hasattr(__import__(module), "hides"):
            return None
        proving.check({})
        return ""
    except ValueError as error:
        return str(error)
    finally:
        os.remove(file)
        modules[module] = original

print(json.dumps([[module for module, _ in proving.USED]] + [refusal(*use) for use in json.load(sys.stdin)]))
"""


def used() -> Iterator[tuple[str, str]]:
    """Yield each module that the library imports from outside, with each name that it uses of it."""
    for path in LIBRARY.rglob("*.py"):
        imported = set()
        nodes = list(ast.walk(ast.parse(path.read_text())))
        for node in nodes:
            if isinstance(node, ast.Import):
                imported.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield from ((str(node.module), alias.name) for alias in node.names)
        for node in nodes:
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in imported:
                yield node.value.id, node.attr


def test_a_version_on_trial_may_hide_nothing_that_the_library_uses(tmp_path: Path) -> None:
    # Not part of every board, or never hidden by a file.
    others = ("deflate", "esp32", "tls", "typing", "umqtt.simple")
    names: dict[str, set[str]] = {}
    for module, name in used():
        if module not in others:
            names.setdefault(module, set()).add(name)
    tried = [(module, name) for module in sorted(names) for name in (*sorted(names[module]), "")]
    files = [(module, sorted(names[module] - {missing})) for module, missing in tried]
    board, application = tmp_path / "board", tmp_path / "app"
    for folder in (board, application):
        folder.mkdir()
    (board / "machine.py").write_text(MACHINE)
    places = (application, board, umqtt.find()[0], LIBRARY, REPOSITORY)
    command = [find_micropython(), "-c", PROGRAM, application]
    done = subprocess.run(
        command, input=json.dumps(files), capture_output=True, text=True, timeout=120, env=environment(*places)
    )
    assert done.stdout, done.stderr
    table, *results = json.loads(done.stdout)
    hidden = set()
    for (module, missing), said in zip(tried, results, strict=True):
        if said is not None:
            hidden.add(module)
            assert bool(said) == bool(missing), (module, missing, said)
            assert not said or (said.startswith(f"the next update would fail: {module}: ") and missing in said)
    assert hidden == set(table)
