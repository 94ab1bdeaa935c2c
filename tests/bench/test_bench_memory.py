"""The sections about memory, with few jobs."""

import re
import shutil
import subprocess

import pytest

from installed import require
from ujobs_lab.bench import heap, heap_steps, on_unix, ram, romfs
from ujobs_tools.board.interpreter import find_micropython


def test_the_heap_with_32_bit_words() -> None:
    installed = shutil.which("node") and ram.PACKAGES.exists()
    require(installed, "the 32-bit MicroPython", "`make clients` installs it, with Node.js and npm")
    found = ram.measure(jobs=200)  # long enough for the link's timer
    for size in (1024, 8192):
        ours, theirs = ({step["name"]: step for step in found[f"{who} {size}"]} for who in ("ujobs", "by hand"))
        assert ours["connected"]["live"] > theirs["connected"]["live"] > theirs["umqtt.simple"]["live"]
        # The document is in the heap during the handler, and is freed afterwards.
        held = ours["in a handler"]["live"] - ours["connected"]["live"]
        assert held > size * 0.8
        assert ours["first jobs"]["peak"] > ours["connected"]["live"] + held
    assert ram.budgets(found)["growth_bytes"] == 0
    idle, of_jobs = ram.sheets(found)
    assert idle.rows[-1][0] == "all beyond umqtt.simple"
    assert all(len(row) == len(of_jobs.columns) for row in of_jobs.rows)


def test_the_heap_with_the_library_in_rom() -> None:
    found = romfs.measure()
    files, rom, theirs = (heap_steps.by_name(found[way]) for way in ("ujobs from files", "ujobs in ROM", "by hand"))
    assert files.keys() == rom.keys() > theirs.keys()
    (sheet,) = romfs.sheets(found)
    left = {row[0]: [int(cell.replace(",", "")) for cell in row[1:] if cell] for row in sheet.rows if row}
    # Most of a module is bytecode and names; the objects that it creates are in the heap in both cases.
    for module in ("ujobs.link", "ujobs.agent"):
        from_files, from_rom = left[module]
        assert from_files > from_rom > 0, module
    in_files, in_rom, by_hand = left["all beyond umqtt.simple"]
    assert in_files > in_rom > by_hand > 0
    assert romfs.budgets(found) == {"idle_bytes": in_rom - by_hand}
    # The image is larger than the heap that the library uses.
    assert rom["connected"]["live"] > files["connected"]["live"], "the image is in memory, but not counted"


def test_the_table_of_names_has_the_size_that_the_interpreter_says() -> None:
    program = "import micropython\nfor n in range(320):\n exec('name_%d = n' % n)\n micropython.qstr_info()"
    done = subprocess.run([find_micropython(), "-c", program], capture_output=True, text=True, check=True)
    found = re.findall(r"n_qstr=(\d+), n_str_data_bytes=(\d+), n_total_bytes=(\d+)", done.stdout)
    assert len(found) == 320
    for names, data, total in found:
        assert romfs.table_bytes(int(names)) == int(total) - int(data)


def test_bisection_finds_the_smallest_sufficient_heap() -> None:
    tried = []

    def suffices(kilobytes: int) -> bool:
        tried.append(kilobytes)
        return kilobytes >= 97

    assert heap.bisect(suffices, 1) == 97
    assert len(tried) < 12
    assert 97 <= heap.bisect(suffices, 8) < 97 + 8
    with pytest.raises(on_unix.ProgramFailed):
        heap.bisect(lambda kilobytes: False, 1)
