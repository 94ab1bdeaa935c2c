"""Strings in MicroPython 1.24, whose startswith() takes no tuple: the checks of paths do without one."""

import pytest

from ujobs.agent import Reject
from ujobs.handlers.settings import _changed
from ujobs.sources import check_files


class Text(str):
    """A string whose startswith() is that of MicroPython 1.24. What a test passes on as str(text) + "/" is one, too."""

    def __str__(self) -> str:
        return self

    def __add__(self, other: str) -> "Text":
        return Text(super().__add__(other))

    def startswith(self, prefix: object, *limits: object) -> bool:  # type: ignore[override]
        if not isinstance(prefix, str):
            raise TypeError("can't convert 'tuple' object to str implicitly")
        return super().startswith(prefix)


def test_paths_below_one_of_several_roots_are_allowed() -> None:
    options = {"roots": ("/data", "/logs")}
    check_files({"delete": [Text("/data/x"), Text("/logs/x")]}, options)
    with pytest.raises(ValueError, match="path /data is outside roots"):
        check_files({"delete": [Text("/logs/x"), Text("/data")]}, options)


def test_roots_are_narrowed_to_folders_below_several() -> None:
    before = {"roots": ["/data", "/logs"]}
    after = [Text("/logs/a"), Text("/data")]
    assert _changed(before, {"set": {"roots": after}})["roots"] == after
    with pytest.raises(Reject, match="narrowed"):
        _changed(before, {"set": {"roots": [Text("/logs/a"), Text("/database")]}})
