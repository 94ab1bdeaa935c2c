"""Jobs per second, the time from create-job to SUCCEEDED, and the memory of the process, for four kinds of device, in
turns at the same `ujobs serve`, over mutual TLS.

Two runs each in every round: jobs that are all there when the device connects, timed from the end of the first to the
end of the last; and for a connected device, one job at a time, from before CreateJob until notify-next says that it has
ended. Of each figure the round in the middle counts, so that what else the machine did in one of them does not."""

import contextlib
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ujobs_lab.bench import on_unix, usage
from ujobs_lab.bench.cloud_at_work import Work, at_work
from ujobs_lab.bench.documents import document_text
from ujobs_lab.bench.observer import Observer
from ujobs_lab.bench.sheet import Sheet
from ujobs_tools.processes import NotReady, running

_HEAP = "256k"
_PATIENCE = 60.0  # seconds
_SDK = "AWS IoT Device SDK"
_DEVICES = {
    "ujobs": "device_ujobs", "by hand": "device_by_hand", "ujobs on CPython": "ujobs_on_cpython", _SDK: "sdk",
}
_ON_MICROPYTHON = ("ujobs", "by hand")


def measure(jobs: int = 50, singles: int = 100, rounds: int = 3) -> dict[str, Any]:
    """Figures of each device, the median of so many rounds. jobs: that are there at once; singles: one at a time, both
    in each round. Raises NotReady."""
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in _DEVICES}
    with tempfile.TemporaryDirectory(prefix="ujobs-bench-") as temporary:
        folder = Path(temporary)
        on_unix.compile_programs(folder)
        with at_work(folder) as service, contextlib.ExitStack() as stack:
            ways = []
            for name in _DEVICES:
                work = Work(service, folder / name)
                observer = Observer(work.thing)
                stack.callback(observer.end)
                ways.append((name, work, observer))
            for _ in range(rounds):
                for name, work, observer in ways:
                    one = _many(folder, work, observer, name, jobs)
                    taken[name].append(one | _singles(folder, work, observer, name, singles))
    devices = {name: median(figures) for name, figures in taken.items()}
    return {"jobs": jobs, "singles": singles, "rounds": rounds, "devices": devices}


def median(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Of each figure of a device, that of the round in the middle."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def budgets(found: dict[str, Any]) -> dict[str, float]:
    """The figures that budget.toml has limits for."""
    ours, sdk = found["devices"]["ujobs"], found["devices"][_SDK]
    return {
        "jobs_ratio": ours["jobs_per_second"] / sdk["jobs_per_second"],
        "latency_ratio": ours["p50_ms"] / sdk["p50_ms"],
        "memory_ratio": ours["heap"] / sdk["resident"],
    }


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """The table."""
    rows = [
        (
            name, f"{one['jobs_per_second']:.1f}", f"{one['p50_ms']:.1f}", f"{one['p99_ms']:.1f}",
            f"{one['resident'] / 1e6:.1f}", f"{one['heap'] / 1e3:.0f}" if "heap" in one else "",
        )
        for name, one in found["devices"].items()
    ]
    note = "MicroPython's heap has words of 8 bytes here; the process holds the interpreter and TLS besides."
    columns = ("", "jobs/s", "p50, ms", "p99, ms", "process, MB", "heap in use, KB")
    title = f"{found['jobs']} jobs one after the other, {found['singles']} one at a time, median of {found['rounds']}"
    return [Sheet(title, columns, rows, note)]


def _many(folder: Path, work: Work, observer: Observer, name: str, count: int) -> dict[str, float]:
    job_ids = work.offer(count)
    options = _options(folder, work, jobs=count, idle=True)
    with running(_command(folder, name), subprocess.PIPE, on_unix.environment(options)) as process:
        observer.wait_for(job_ids, _PATIENCE)
        output, _ = process.communicate(timeout=_PATIENCE)
    times = [observer.ended[job_id] for job_id in job_ids]
    work.check(job_ids)
    found = {"jobs_per_second": (count - 1) / (max(times) - min(times))}
    if name in _ON_MICROPYTHON:
        found["heap"] = on_unix.result(output.decode())["held"]
    return found


def _singles(folder: Path, work: Work, observer: Observer, name: str, count: int) -> dict[str, float]:
    text = document_text(1024)
    with (folder / "device.log").open("wb") as log:
        options = _options(folder, work, jobs=0, idle=False)
        with running(_command(folder, name), log, on_unix.environment(options)) as process:
            # The first one waits for the device to connect, which is not what is measured.
            times = [_single(work, observer, text) for _ in range(1 + count)][1:]
            if process.poll() is not None:
                raise NotReady(f"{name}: {(folder / 'device.log').read_text()[-2000:]}")
            resident = usage.memory(process.pid)
    milliseconds = sorted(time * 1000 for time in times)
    return {
        "p50_ms": statistics.median(milliseconds),
        "p99_ms": milliseconds[math.ceil(count * 0.99) - 1],
        "resident": resident,
    }


def _single(work: Work, observer: Observer, text: str) -> float:
    job_id, began = work.create(text)
    observer.wait_for([job_id], _PATIENCE)
    return observer.ended[job_id] - began


def _options(folder: Path, work: Work, **more: Any) -> dict[str, Any]:
    return work.options(True, journal=str(folder / f"{work.thing.name}-records"), **more)


def _command(folder: Path, name: str) -> list[str]:
    if name in _ON_MICROPYTHON:
        return on_unix.command(folder, _DEVICES[name], _HEAP)
    return [sys.executable, "-m", f"ujobs_lab.bench.on_host.{_DEVICES[name]}"]
