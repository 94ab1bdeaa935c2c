"""The same board runs the same scenarios with `ujobs serve` and with MiniStack: everything that can be observed is the
same, except for MiniStack's known gaps."""

from importlib.metadata import version
from pathlib import Path

import pytest
from comparison import MISSING, Comparison, Difference, compare
from ministack_gaps import GAPS, closed, table
from scenarios import SCENARIOS

PAGE = Path(__file__).parents[2] / "docs" / "ministack.md"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(comparison: Comparison, scenario: str) -> None:
    unexplained = comparison.differences(scenario)
    for gap in GAPS:
        if gap.seen is not None and scenario in gap.seen.scenarios:
            others = [difference for difference in unexplained if not gap.seen.explains(difference)]
            assert len(others) < len(unexplained), closed(gap.name)
            unexplained = others
    assert not unexplained, "\n".join(map(str, unexplained))


def test_every_difference_is_found() -> None:
    serve = {"same": [1, {"a": 2}], "longer": [1, 2], "other": {"a": 1}, "only": {}}
    ministack = {"same": [1, {"a": 2}], "longer": [1], "other": {"a": "1"}, "extra": 0}
    assert list(compare("any", (), serve, ministack)) == [
        Difference("any", "longer/1", 2, MISSING),
        Difference("any", "other/a", 1, "1"),
        Difference("any", "only", {}, MISSING),
        Difference("any", "extra", MISSING, 0),
    ]


def test_the_documentation_has_every_scenario_and_gap() -> None:
    page = PAGE.read_text()
    listed = page.partition("The scenarios: ")[2].partition(".")[0].replace("\n", " ")
    assert listed.split(", ") == [name.replace("_", " ") for name in SCENARIOS]
    assert table() in page, table()
    assert f"MiniStack {version('ministack')}," in page
