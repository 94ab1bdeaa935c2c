"""The reports of a run: report.md for people, report.xml (JUnit) for machines."""

import html
import xml.etree.ElementTree as ElementTree
from collections import Counter
from importlib.metadata import version
from pathlib import Path

from ujobs_tools.host.terminal import plain
from ujobs_tools.qualify.case import FAILED, LEAST_HEAP, PASSED, RECEIVED, SENT, SKIPPED, STREAM, Outcome
from ujobs_tools.qualify.state import State

HEADER = "| board | MicroPython | ujobs | cloud | result | least free heap | MQTT bytes per job | file by stream |"
"""Header of the table in docs/boards.md."""
_ALIGNMENT = "|---|---|---|---|---|---:|---:|---:|"


def write(state: State, cloud: str) -> tuple[Path, Path]:
    """Write both reports to the run's folder; returns their paths. cloud: description of the cloud. Raises OSError."""
    outcomes = list(state.outcomes.values())
    markdown, junit = state.folder / "report.md", state.folder / "report.xml"
    markdown.write_text(_markdown(state, outcomes, cloud), encoding="utf-8")
    ElementTree.ElementTree(_junit(outcomes, cloud)).write(junit, "utf-8", xml_declaration=True)
    return markdown, junit


def row(state: State, cloud: str) -> str:
    """Return the row of this run for the table in docs/boards.md, with the columns of HEADER."""
    counts = Counter(outcome.result for outcome in state.outcomes.values())
    heaps = [one.figures[LEAST_HEAP] for one in state.outcomes.values() if LEAST_HEAP in one.figures]
    sent, received, stream = (
        _figure(state, *wanted) for wanted in (("cost.wire", SENT), ("cost.wire", RECEIVED), ("updates.stream", STREAM))
    )
    cells = (
        state.facts.get("machine", "?"), state.facts.get("version", "?"), version("ujobs-tools"), cloud,
        f"{counts[PASSED]} passed, {counts[FAILED]} failed, {counts[SKIPPED]} skipped",
        f"{min(heaps) / 1024:.0f} KB" if heaps else "", f"{sent + received:.0f}" if sent else "",
        f"{stream:.0f} KB/s" if stream else "",
    )
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _figure(state: State, case: str, name: str) -> float:
    outcome = state.outcomes.get(case)
    return outcome.figures.get(name, 0.0) if outcome else 0.0


def _markdown(state: State, outcomes: list[Outcome], cloud: str) -> str:
    counts = Counter(outcome.result for outcome in outcomes)
    lines = [
        "# Qualification of a board", "",
        f"ujobs {version('ujobs-tools')}, {cloud}, seed {state.seed}: {counts[PASSED]} cases passed, "
        f"{counts[FAILED]} failed, {counts[SKIPPED]} skipped.", "",
        "| fact | |", "|---|---|",
        *(f"| {_cell(name.replace('_', ' '))} | {_cell(value)} |" for name, value in state.facts.items()), "",
        "| case | result | expected | seen | seconds |", "|---|---|---|---|---:|",
    ]
    for one in outcomes:
        lines.append(
            f"| {one.name} | {one.result} | {_cell(one.expected)} | {_cell(one.seen)} | {one.seconds:.1f} |"
        )
    figures = [(one.name, name, value) for one in outcomes for name, value in one.figures.items()]
    if figures:
        lines += ["", "| case | figure | |", "|---|---|---:|"]
        lines += [f"| {case} | {_cell(name)} | {_number(value)} |" for case, name, value in figures]
    for one in outcomes:
        if one.console:
            lines += ["", f"The console at the end of {one.name}:", "", *(f"    {plain(line)}" for line in one.console)]
    lines += ["", "The row for docs/boards.md:", "", HEADER, _ALIGNMENT, row(state, cloud), ""]
    return "\n".join(lines)


def _junit(outcomes: list[Outcome], cloud: str) -> ElementTree.Element:
    counts = Counter(outcome.result for outcome in outcomes)
    suite = ElementTree.Element("testsuite", {
        "name": "ujobs qualify", "tests": str(len(outcomes)), "failures": str(counts[FAILED]),
        "skipped": str(counts[SKIPPED]), "errors": "0", "time": f"{sum(one.seconds for one in outcomes):.3f}",
        "hostname": cloud,
    })
    for one in outcomes:
        group, _, name = one.name.partition(".")
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": f"qualify.{group}", "name": name, "time": f"{one.seconds:.3f}"}
        )
        if one.figures:
            properties = ElementTree.SubElement(case, "properties")
            for figure, value in one.figures.items():
                ElementTree.SubElement(properties, "property", {"name": figure, "value": str(value)})
        seen = plain(one.seen)
        if one.result == FAILED:
            message = f"expected: {one.expected}; seen: {seen}"
            ElementTree.SubElement(case, "failure", {"message": message}).text = "\n".join(map(plain, one.console))
        elif one.result == SKIPPED:
            ElementTree.SubElement(case, "skipped", {"message": seen})
        else:
            ElementTree.SubElement(case, "system-out").text = f"expected: {one.expected}\nseen: {seen}"
    return suite


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"


def _cell(value: object) -> str:
    # The text comes from a board, so escape table syntax and HTML.
    return html.escape(plain(str(value)), quote=False).replace("|", "\\|").replace("\n", " ")
