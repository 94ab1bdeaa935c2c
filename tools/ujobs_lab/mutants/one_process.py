"""Runs tests of tests/device on CPython, all in this process, because starting pytest takes longer than most of them.

Standard input: a JSON object. "tests": names like "test_link::test_ping", with "limits" as [seconds of processor time,
seconds] of each. Exit code 0: all of them pass. The first failure ends the process. A test over a limit is ended by a
signal, which no code can catch. With "measure", a list of files: prints instead, as JSON, which lines of these files
each test runs (-1 stands for the import of the tests), and for how long.
"""

import importlib
import json
import os
import resource
import signal
import sys
import time
from typing import Any

import boardlike  # pyright: ignore[reportMissingImports]

_OUTPUT = sys.stdout
_MEMORY = 2 << 30  # bytes: a fault may collect data without end


def main() -> None:
    order = json.load(sys.stdin)
    with open(os.devnull, "w") as sys.stdout:  # for the lines that the tests print
        boardlike.install()
        _run(order)
    os._exit(0)  # whatever threads and exit functions the tests leave behind


def _run(order: dict[str, Any]) -> None:
    if "measure" in order:
        json.dump(measure(order["tests"], order["measure"]), _OUTPUT)
        _OUTPUT.flush()
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for test, (processor, wall) in zip(order["tests"], order["limits"], strict=True):
        signal.setitimer(signal.ITIMER_PROF, processor)
        signal.setitimer(signal.ITIMER_REAL, wall)
        _call(test)


def measure(tests: list[str], files: list[str]) -> dict[str, Any]:
    """Run all tests without a fault. Returns "seconds" of each, and "lines": file -> line -> numbers of the tests."""
    import coverage  # pyright: ignore[reportMissingImports]

    measured = coverage.Coverage(data_file=None, config_file=False, include=files)
    measured.start()
    # What runs at import counts for all tests, not only for the one that happens to import it.
    measured.switch_context("-1")
    for test in tests:
        importlib.import_module(test.partition("::")[0])
    seconds = []
    for number, test in enumerate(tests):
        measured.switch_context(str(number))
        began = time.monotonic()
        _call(test)
        seconds.append(time.monotonic() - began)
    measured.stop()
    data = measured.get_data()
    lines = {
        file: {line: sorted(map(int, filter(None, names))) for line, names in data.contexts_by_lineno(file).items()}
        for file in data.measured_files()
    }
    return {"seconds": seconds, "lines": lines}


def _call(test: str) -> None:
    file, _, function = test.partition("::")
    try:
        getattr(importlib.import_module(file), function)()
    except BaseException as error:
        print(f"{test}: {type(error).__name__}: {error}", file=_OUTPUT, flush=True)
        os._exit(1)


if __name__ == "__main__":
    main()
