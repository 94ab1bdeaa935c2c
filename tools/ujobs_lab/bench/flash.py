""".mpy size of each module of lib/ujobs. -O2, for boards, keeps the line numbers of tracebacks; -O3 removes them."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ujobs_lab.bench import mpy_parts, on_unix
from ujobs_lab.bench.sheet import Sheet
from ujobs_tools.board import umqtt
from ujobs_tools.board.interpreter import compile_module

_LEVELS = {"O2": 2, "O3": 3}


def measure() -> dict[str, Any]:
    """Source and .mpy bytes of each module by its path, of the core, of all modules, and of the alternatives."""
    library = {path.relative_to(on_unix.LIBRARY).as_posix(): path for path in sorted(on_unix.LIBRARY.rglob("*.py"))}
    modules = {name: _sizes(path, name) for name, path in library.items()}
    core = [sizes for name, sizes in modules.items() if name.removesuffix(".py") in on_unix.CORE]
    simple = umqtt.find()[0] / "umqtt" / "simple.py"
    by_hand = on_unix.ON_BOARD / "by_hand.py"
    return {
        "modules": modules,
        "core": _sum(core),
        "all": _sum(list(modules.values())),
        "parts": {name: _parts(path, name) for name, path in library.items()},
        "others": {"umqtt.simple": _sizes(simple, "simple.py"), "the same by hand": _sizes(by_hand, "by_hand.py")},
    }


def budgets(found: dict[str, Any]) -> dict[str, float]:
    """The figures that budget.toml limits."""
    return {"core_bytes": found["core"]["O2"], "all_bytes": found["all"]["O2"]}


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """The tables."""
    core = [name + ".py" for name in on_unix.CORE]
    of_core = [_row(name, found["modules"][name]) for name in core if name in found["modules"]]
    others = [_row(name, sizes) for name, sizes in found["modules"].items() if name not in core]
    rows = [
        *of_core, _row("core", found["core"]), (), *others, (), _row("all", found["all"]), (),
        *(_row(name, sizes) for name, sizes in found["others"].items()),
    ]
    columns = ("module", "source", ".mpy -O2", ".mpy -O3")
    on_page = ("core", "all", *found["others"])
    return [Sheet("Flash, bytes", columns, rows, on_page=on_page), _where(found, core)]


def _where(found: dict[str, Any], core: list[str]) -> Sheet:
    parts: dict[str, dict[str, int]] = found["parts"]
    names = list(next(iter(parts.values())))

    def row(title: str, modules: list[str]) -> tuple[str, ...]:
        return title, *(f"{sum(parts[module][name] for module in modules):,}" for name in names)

    of_core = [module for module in core if module in parts]
    rows = [*(row(module, [module]) for module in parts), (), row("core", of_core), row("all", list(parts))]
    return Sheet("Flash, parts of the .mpy files at -O2", ("module", *names), rows, on_page=())


def _parts(path: Path, name: str) -> dict[str, int]:
    return asdict(mpy_parts.parts(compile_module(path.read_bytes(), name, _LEVELS["O2"])))


def _sizes(path: Path, name: str) -> dict[str, int]:
    source = path.read_bytes()
    sizes = {level: len(compile_module(source, name, option)) for level, option in _LEVELS.items()}
    return {"source": len(source), **sizes}


def _sum(sizes: list[dict[str, int]]) -> dict[str, int]:
    return {name: sum(one[name] for one in sizes) for name in ("source", *_LEVELS)}


def _row(name: str, sizes: dict[str, int]) -> tuple[str, ...]:
    return name, *(f"{sizes[kind]:,}" for kind in ("source", *_LEVELS))
