"""The documentation is correct about settings, commands, files and the API."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from documented import DOCS, firmware_module, relative, table_rows

from ujobs.handlers import _MINUTES
from ujobs_lab import REPOSITORY
from ujobs_lab.pages import api_reference
from ujobs_tools.cli import app

PAGES = [
    *sorted(REPOSITORY.glob("*.md")),
    *sorted(path for name in ("docs", "examples", "firmware") for path in (REPOSITORY / name).rglob("*.md")),
]
KNOWN = firmware_module("settings")._KNOWN
# By type of a setting: the error message for a value of another type, and such a value.
REFUSED = {
    "text": ("must be text", 5), "integer": ("must be a number", 1.5), "number": ("must be a number", "1"),
    "object": ("must be an object", "x"), "list of text": ("must be a list of texts", "x"),
    "true or false": ("must be true or false", 1),
}


def test_every_setting_is_documented_with_its_type_and_default() -> None:
    rows = [row for row in table_rows((DOCS / "settings.md").read_text()) if row[0] != "key"]
    assert {row[0].strip("`") for row in rows} == KNOWN.keys()
    for key, kind, _, default, text in rows:
        check, value, nullable = KNOWN[key.strip("`")]
        refusal, wrong = REFUSED[kind]
        assert check(wrong).startswith(refusal), key
        required = default == "required"
        assert required or default == f"`{json.dumps(value)}`", key
        assert nullable == (default == "`null`"), key
        assert text


def test_every_handler_has_a_page_and_is_listed() -> None:
    documents = (DOCS / "job-documents.md").read_text()
    for name in _MINUTES:
        assert f"](handlers/{name}.md)" in documents
        assert (DOCS / "handlers" / f"{name}.md").is_file()
    handlers = next(row for row in table_rows((DOCS / "settings.md").read_text()) if row[0] == "`handlers`")
    assert handlers[2].split(", ") == sorted(_MINUTES)


def commands(page: Path) -> list[str]:
    """The commands of a page that run `ujobs`, with their continuation lines."""
    text = page.read_text().replace("\\\n", " ")
    return re.findall(r"^    (?:\.venv/bin/)?(ujobs .+)$", text, re.MULTILINE)


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=relative)
def test_commands_exist_with_their_options(page: Path) -> None:
    for line in commands(page):
        words = shlex.split(line, comments=True)[1:]
        command: Any = typer.main.get_command(app)
        while hasattr(command, "commands"):
            name = words.pop(0)
            assert name in command.commands, line
            command = command.commands[name]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known, line


def test_commands_are_found_with_their_continuation_lines(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("text ujobs\n\n    .venv/bin/ujobs job create x \\\n        --thing t\n    ujobs serve &\n")
    assert [line.split() for line in commands(page)] == [
        ["ujobs", "job", "create", "x", "--thing", "t"], ["ujobs", "serve", "&"],
    ]


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_link_targets_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not target.startswith("https://"):
            name, _, anchor = target.partition("#")
            linked = (page.parent / name).resolve() if name else page
            assert linked.is_relative_to(REPOSITORY), target
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_files_modules_and_targets_exist(page: Path) -> None:
    text = page.read_text()
    for path in re.findall(r"(?<![\w/.$-])(?:tests|tools|firmware|examples)/[\w./-]*\w", text):
        assert (REPOSITORY / path).exists(), path
    for module in re.findall(r"python -m (ujobs_\w+(?:\.\w+)*)", text):
        file = REPOSITORY / "tools" / module.replace(".", "/")
        assert file.with_suffix(".py").exists() or (file / "__main__.py").exists(), module
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^    )make ([a-z][a-z-]*)", text, re.MULTILINE)) <= targets


def test_the_index_links_to_every_page() -> None:
    index = {(DOCS / name).resolve() for name in re.findall(r"\]\(([^)#\s]+)\)", (DOCS / "README.md").read_text())}
    assert set(DOCS.glob("*.md")) - {DOCS / "README.md"} <= index


def test_the_api_page_is_up_to_date() -> None:
    assert (DOCS / "api.md").read_text() == api_reference.render(), "run `make api`"
    page = (DOCS / "api.md").read_text()
    for name in ("class Agent, a kind of Requests", "Agent.run", "class Job", "Job.save", "tls_context"):
        assert name + "\n" in page
    assert "protocol.Any" not in page


def test_the_api_page_has_every_name_that_ujobs_exports() -> None:
    assert set(api_reference.short_names()) <= {name for names in api_reference.USED.values() for name in names}


def test_the_api_page_has_what_the_pages_say_about_job() -> None:
    page = (DOCS / "api.md").read_text()
    text = "".join(path.read_text() for path in [REPOSITORY / "README.md", *DOCS.rglob("*.md")])
    named = set(re.findall(r"`(?:await )?job\.([a-z_]+)\(", text)) | set(re.findall(r"as ([a-z]+)\(\) does", page))
    assert {"save", "note", "check_in", "noted"} <= named
    # testing.md has a `job` of the cloud, which waits.
    assert [name for name in named - {"wait"} if f"#### Job.{name}\n" not in page] == []


def test_every_test_that_a_promise_names_exists() -> None:
    promises = (DOCS / "reliability.md").read_text().partition("## How it is tested")[0]
    rows = [row for row in table_rows(promises) if row[0].isdigit()]
    assert [int(row[0]) for row in rows] == list(range(1, len(rows) + 1))
    sources = "\n".join(path.read_text() for path in (REPOSITORY / "tests").rglob("test_*.py"))
    written = set(re.findall(r"^(?:async )?def (test_\w+)", sources, re.MULTILINE))
    for _, promise, tests in rows:
        named = set(re.findall(r"`(test_\w+)`", tests))
        assert named, promise
        assert named <= written, f"{promise}: {named - written}"
