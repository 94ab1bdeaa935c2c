"""The steps between which the heap is measured, from the interpreter to ujobs connected and idle, and to the same by
hand; and the table of the heap that each step holds.

The programs talk to on_board/scripted.py. Sockets and TLS allocate their memory elsewhere and are not measured."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from ujobs_lab.bench import on_unix
from ujobs_lab.bench.documents import document_text
from ujobs_lab.bench.sheet import Sheet

CONNECTED = "connected"
_SIMPLE = "umqtt.simple"
_ASYNCIO = "import asyncio; asyncio.Event, asyncio.Lock, asyncio.wait_for"
_UNTIL_IDLE = ("asyncio", _SIMPLE, "application", "constructed", CONNECTED)

# name; run: Python statements, executed at module level; until: the name of a function. Until it returns true, either
# the function named by `turn` is called, or asyncio runs.
Step = dict[str, str]
# The result of a step: at least its name, and `live`, the bytes in use after a garbage collection.
Figures = dict[str, Any]


def of_ujobs(size: int) -> list[Step]:
    """The steps of ujobs until connected and idle. size: of the job documents, bytes."""
    modules = [{"name": f"ujobs.{name}", "run": f"import ujobs.{name}"} for name in on_unix.CORE if name != "__init__"]
    return [
        *_before(size),
        *modules,
        {"name": "application", "run": "import heap_ujobs as program; in_handler = program.in_handler"},
        {"name": "constructed", "run": "program.make()"},
        {"name": CONNECTED, "run": "program.start()", "until": "idle"},
    ]


def by_hand(size: int) -> list[Step]:
    """The steps of on_board/by_hand.py."""
    return [
        *_before(size),
        {"name": "application", "run": "import heap_by_hand as program; turn = program.turn"},
        {"name": "constructed", "run": "program.make()"},
        {"name": CONNECTED, "run": "program.start()", "until": "idle", "turn": "turn"},
    ]


def _before(size: int) -> list[Step]:
    # The steps that both programs, or the measurement itself, need.
    text = document_text(size)
    return [
        {"name": "interpreter", "run": "import binascii, errno, json, micropython, os, random, struct, time"},
        {"name": "asyncio", "run": _ASYNCIO},
        {"name": "measurement", "run": f"import heap_common as common; common.prepare({text!r}); idle = common.idle"},
        {"name": _SIMPLE, "run": f"import {_SIMPLE}"},
    ]


def by_name(figures: list[Figures]) -> dict[str, Figures]:
    """The results by the names of the steps."""
    return {one["name"]: one for one in figures}


def idle_bytes(figures: list[Figures]) -> int:
    """Bytes in use when connected and idle, beyond umqtt.simple, which most firmware includes."""
    steps = by_name(figures)
    return steps[CONNECTED]["live"] - steps[_SIMPLE]["live"]


def idle_sheet(title: str, programs: Mapping[str, list[Figures]], note: str = "") -> Sheet:
    """A table of the heap that each step until connected and idle holds. programs: name -> results; the first program
    has all steps."""
    left = [_differences(figures) for figures in programs.values()]
    rows: list[tuple[str, ...] | tuple[()]] = [
        (name, *(f"{held[name]:,}" if name in held else "" for held in left))
        for name in left[0] if name in _UNTIL_IDLE or name.startswith("ujobs.")
    ]
    total = f"all beyond {_SIMPLE}"
    rows += [(), (total, *(f"{idle_bytes(figures):,}" for figures in programs.values()))]
    return Sheet(title, ("", *programs), rows, note, on_page=(total,))


def _differences(figures: list[Figures]) -> dict[str, int]:
    held = [0, *(one["live"] for one in figures)]
    return dict(zip(by_name(figures), (after - before for before, after in pairwise(held)), strict=True))
