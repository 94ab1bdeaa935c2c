"""docs/performance.md: `make bench-docs` replaces its tables, and the page has one for every section."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from ujobs_lab import REPOSITORY
from ujobs_lab.bench import docs, sections
from ujobs_lab.bench.sections import SECTIONS
from ujobs_lab.bench.sheet import Sheet, as_markdown

SIZES = {"source": 30, "O2": 20, "O3": 10}
FLASH = {
    "modules": {"agent.py": SIZES}, "core": SIZES, "all": SIZES, "others": {"by hand": SIZES},
    "client": "the test double", "parts": {"agent.py": {"names": 12, "bytecode": 8}},
}


def test_the_page_has_a_place_for_every_section_and_its_command() -> None:
    page = docs.PAGE.read_text()
    assert sorted(re.findall(r"<!-- figures: (\w+) -->", page)) == sorted([*SECTIONS, "limits"])
    for name in SECTIONS:
        assert ("make size" if name == "flash" else f"make bench ONLY={name}") in page


def test_tables_are_replaced_and_the_rest_of_the_page_is_kept() -> None:
    page = "before\n<!-- figures: flash -->\nold\n<!-- end -->\nbetween\n<!-- figures: wear -->\nkept\n<!-- end -->\n"
    filled = docs.fill(page, {"flash": FLASH})
    assert "old" not in filled
    assert "| core | 30 | 20 | 10 |" in filled
    assert "agent.py" not in filled, "the rows of single modules are for the terminal only"
    assert "kept" in filled, "tables of sections without results stay"
    assert docs.fill(filled, {"flash": FLASH}) == filled
    with pytest.raises(KeyError):
        docs.fill("<!-- figures: unheard -->\n<!-- end -->", {})


def test_limits_that_are_not_reached_are_in_one_table() -> None:
    old = "| flash erases for a job with a short result | at most 0.5 | 9 | NOT KEPT |"
    page = f"<!-- figures: limits -->\n{old}\n<!-- end -->\n<!-- figures: flash -->\n<!-- end -->\n"
    large = FLASH | {"all": SIZES | {"O2": 10**6}}
    filled = docs.fill(page, {"flash": large})
    assert "| bytes of all of lib/ujobs as .mpy at -O2 | at most" in filled
    assert "of the core" not in filled, "it is within its limit, so it is not listed"
    assert old in filled, "tables of sections without results stay"
    assert filled.count("umqtt.simple is the test double.") == 1
    assert docs.fill(filled, {}) == filled
    assert ".mpy of all" not in docs.fill(filled, {"flash": FLASH})


def test_every_comparison_names_the_umqtt_simple_it_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMQTT_PATH", str(REPOSITORY / "tests" / "shims"))
    measured = sections.measure("romfs")
    said = "umqtt.simple is the real umqtt.simple (UMQTT_PATH="
    first, *others = sections.sheets("romfs", measured)
    assert said in first.note
    assert not any(said in sheet.note for sheet in others)


def test_a_table_in_markdown() -> None:
    sheet = Sheet("Title", ("", "a", "b"), [("one", "1", "2"), (), ("x|y", "3")], "A note.")
    assert as_markdown(sheet).splitlines() == [
        "**Title**", "", "|  | a | b |", "|---|---:|---:|", "| one | 1 | 2 |", "| x\\|y | 3 |  |", "", "A note.",
    ]
    assert as_markdown(replace(sheet, on_page=("one",))).splitlines()[4:6] == ["| one | 1 | 2 |", ""]


def test_the_same_figures_give_the_same_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="only `make bench-docs` installs it")
    from ujobs_lab.bench import plots

    held = {"umqtt.simple": 0, "ujobs.link": 4096, "connected": 9000}
    steps = [{"name": name, "live": live} for name, live in held.items()]
    figures = {f"{who} 1024": steps for who in ("ujobs", "by hand")}
    paths = [tmp_path / name for name in ("one.svg", "two.svg")]
    for path in paths:
        plots.draw_heap(figures, path)
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert first.rstrip().endswith(b"</svg>")
