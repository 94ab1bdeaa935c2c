"""The parts of .mpy files add up, and each byte is in the right part."""

import pytest

from ujobs_lab.bench import on_unix
from ujobs_lab.bench.mpy_parts import Parts, parts
from ujobs_tools.board.interpreter import compile_module


def compiled(text: str, optimise: int = 2) -> Parts:
    content = compile_module(text.encode(), "m.py", optimise)
    found = parts(content)
    assert found.total() == len(content)
    return found


@pytest.mark.parametrize("optimise", [0, 2, 3])
def test_the_parts_of_every_module_add_up(optimise: int) -> None:
    for path in sorted(on_unix.LIBRARY.rglob("*.py")):
        content = compile_module(path.read_bytes(), path.name, optimise)
        found = parts(content)
        assert found.total() == len(content), path
        assert min(vars(found).values()) >= 0, path


def test_each_part_counts_its_own_bytes() -> None:
    before = compiled("def f(a):\n    return a\n")
    # One more letter in a name is one more byte, however often the name is used.
    longer = compiled("def f(ab):\n    return ab\n")
    assert (longer.names - before.names, longer.bytecode - before.bytecode) == (1, 0)
    # A long str is a constant: its type, two bytes of length, its characters and a zero byte.
    assert compiled("x = '" + "y" * 300 + "'\n").objects == 1 + 2 + 300 + 1
    # A tuple: its type, its length, two small integers as text, None, and bytes with a zero byte.
    assert compiled("x = (1, 22, None, b'abc')\n").objects == 2 + 3 + 4 + 1 + (2 + 3 + 1)
    assert compiled("x = 1 << 70\n").objects == 1 + 1 + len(str(1 << 70))
    # More arguments than fit into two bits, some of them keyword-only, and the cells of a closure.
    head = "def f(a, b, c, d, e, g, h, *, i, j, k=1):\n"
    many = compiled(head + "    def inner():\n        return a, k\n    return inner\n")
    assert many.prelude > before.prelude + 9


def test_without_line_numbers_only_the_lines_part_is_smaller() -> None:
    text = "def f(a):\n    b = a\n\n    return b\n\n\nf(1)\n"
    with_lines, without = compiled(text, 2), compiled(text, 3)
    assert without.lines == 0 < with_lines.lines
    assert (without.bytecode, without.objects) == (with_lines.bytecode, with_lines.objects)


def test_incomplete_and_native_files_are_refused() -> None:
    content = compile_module(b"def f(a):\n    return a + 1\n", "m.py", 2)
    for cut in range(len(content)):
        with pytest.raises(ValueError, match=r"mpy file|longer"):
            parts(content[:cut])
    with pytest.raises(ValueError, match="its parts"):
        parts(content + b"\0")
    native = b"@micropython.native\ndef f(a):\n    return a\n"
    with pytest.raises(ValueError, match="bytecode only"):
        parts(compile_module(native, "m.py", 2, "xtensawin"))
