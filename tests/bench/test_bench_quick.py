"""The results of `make bench QUICK=1` are marked, and docs/performance.md does not accept them."""

import inspect
import json
from pathlib import Path

import pytest
import typer

from ujobs_lab.bench import __main__ as bench
from ujobs_lab.bench import docs, sections


def test_a_quick_run_is_marked_and_refused_for_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures, page = tmp_path / "bench.json", tmp_path / "page.md"
    bench.main(["wear"], quick=True, json_file=figures)
    assert "A quick run" in capsys.readouterr().out
    found = json.loads(figures.read_text())
    assert found["quick"] is True
    assert found["wear"]["jobs"] == sections.QUICK["wear"]["jobs"]
    page.write_text("<!-- figures: wear -->\nold\n<!-- end -->\n")
    with pytest.raises(typer.BadParameter, match="quick run"):
        docs.main(figures, page)
    assert "old" in page.read_text()


def test_the_arguments_of_a_quick_run_exist_and_differ_from_the_defaults() -> None:
    for name, fewer in sections.QUICK.items():
        usual = inspect.signature(sections.SECTIONS[name].measure).parameters
        assert all(value != usual[key].default for key, value in fewer.items()), name
