"""Paths that try to leave the folder that jobs may write, in every path member of a job document, are refused."""

from collections.abc import Iterator
from typing import Any

import pytest
from documents import CONTENT, DATA, ESCAPES, at, handed_in
from fuzzed_board import FuzzedBoard, folder_for_boards

from web import File

FOUND = File(CONTENT)
INSIDE_THE_APPLICATION = [
    "../settings.json", "/settings.json", "lib/../../settings.json", "..", ".", "", "/", "x/", "a\0b", "a\nb", "a//b",
    "./a", "a/.", "\\..\\settings.json", "n" * 300, "../app/app.py",
]


@pytest.fixture
def board() -> Iterator[FuzzedBoard]:
    with folder_for_boards() as make:
        yield make(FOUND)


def document(member: str, path: str) -> dict[str, Any]:
    """A job that is valid except for its path."""
    if member == "fetch":
        return {"operation": "files", "fetch": [handed_in(path)]}
    if member == "download-file":
        action = {"type": "runHandler", "input": {"handler": "download-file", "args": ["https://files/x", path]}}
        return {"version": "1.0", "steps": [{"action": action}]}
    return {"operation": "files", member: [path] if member == "delete" else path}


def refuse(board: FuzzedBoard, documents: list[dict[str, Any]]) -> None:
    for number, tried in enumerate(documents):
        board.cloud.queue(f"tried-{number}", at(board.folder + "/data", tried))
    board.work()
    for execution in board.cloud.executions:
        assert execution["status"] == "REJECTED", execution
        assert "path" in execution["statusDetails"]["reason"]
    # Records of the last trial, and of one that never started, are deleted before a new trial.
    harmless = tuple(board.folder + name for name in ("/journal", "/trial"))
    assert [name for name in board.changed if not name.startswith(harmless)] == []


@pytest.mark.parametrize("member", ["fetch", "delete", "list", "read", "download-file"])
def test_out_of_the_folder_that_jobs_may_write(board: FuzzedBoard, member: str) -> None:
    refuse(board, [document(member, path) for path in ESCAPES if member != "list" or path != DATA + "/"])


def test_out_of_the_folder_of_the_application(board: FuzzedBoard) -> None:
    documents = [{"operation": "app", "version": "2", "files": [handed_in(path)]} for path in INSIDE_THE_APPLICATION]
    refuse(board, documents)
