"""What goes over the wire: MQTT packets and their bytes, for a job and for a keep-alive, and how often a device waits
for an answer until its first job is there.

A proxy between the device and `ujobs serve` reads along, without TLS, which adds 29 bytes to each record. What the
broker sends takes a while to arrive, so that what a device sends without waiting is seen to come before it."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ujobs_lab.bench import on_unix
from ujobs_lab.bench.cloud_at_work import Work, at_work
from ujobs_lab.bench.sheet import Sheet
from ujobs_lab.bench.tap import Packet, tap

_WHO = ("ujobs", "by hand")
_DELAY = 0.03  # seconds

Numbers = dict[str, float]


def measure(count: int = 10) -> dict[str, Any]:
    """Packets and bytes for each. count: of jobs and keep-alives that these are the mean of.

    Raises on_unix.ProgramFailed, NotReady.
    """
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="ujobs-bench-") as temporary:
        folder = Path(temporary)
        on_unix.compile_programs(folder)
        with at_work(folder) as service:
            for who in _WHO:
                session = _session(folder, Work(service, folder / who), who)
                one = session(1, 0)
                found[who] = {
                    "round_trips": round_trips(one),
                    "job": _mean(one, session(1 + count, 0), count),
                    "keep_alive": _mean(one, session(1, count), count),
                }
    return found


def budgets(found: dict[str, Any]) -> dict[str, float]:
    """The figures that budget.toml has limits for."""
    return {"publishes_per_job": found["ujobs"]["job"]["published"]}


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """The table."""
    trips = [str(found[who]["round_trips"]) for who in _WHO]
    rows: list[tuple[str, ...]] = [("from CONNECT to the first job, round trips", *trips)]
    names = {"published": "published", "packets_up": "packets sent", "bytes_up": "bytes sent",
             "packets_down": "packets received", "bytes_down": "bytes received"}  # fmt: skip
    for what in ("job", "keep_alive"):
        title = what.replace("_", "-")
        rows.append(())
        rows += [
            (f"{title}: {name}", *(f"{found[who][what][key]:.1f}" for who in _WHO)) for key, name in names.items()
        ]
    note = "The document of a job has 1 KB, and comes twice: in notify-next, too."
    return [Sheet("On the wire", ("", *_WHO), rows, note)]


def round_trips(packets: list[Packet]) -> int:
    """How often a device waited for an answer, from its first packet to the reply that brings a job; acknowledgements
    of what it received do not count, nor do TCP's and TLS's own."""
    trips, waiting = 0, False
    for packet in packets:
        if packet.kind == "PUBACK":
            continue
        if not packet.up:
            waiting = False
            if packet.topic.endswith("/start-next/accepted"):
                break
        elif not waiting:
            waiting = True
            trips += 1
    return trips


def _session(folder: Path, work: Work, who: str) -> Callable[[int, int], list[Packet]]:
    def run(jobs: int, keep_alives: int) -> list[Packet]:
        job_ids = work.offer(jobs)
        with tap(work.service.mqtt, _DELAY) as seen:
            options = work.options(
                False, jobs=jobs, idle=True, keep_alives=keep_alives, job_id=job_ids[0], journal=str(folder / "records")
            )
            program = "device_ujobs" if who == "ujobs" else "device_by_hand"
            on_unix.run(folder, program, options | {"port": seen.port})
            work.check(job_ids)
            return list(seen.packets)

    return run


def _mean(few: list[Packet], many: list[Packet], count: int) -> Numbers:
    # What a session needs besides is the same in both.
    before, after = _numbers(few), _numbers(many)
    return {name: (after[name] - before[name]) / count for name in after}


def _numbers(packets: list[Packet]) -> Numbers:
    found: Numbers = {"published": sum(packet.up and packet.kind == "PUBLISH" for packet in packets)}
    for name, up in (("up", True), ("down", False)):
        sizes = [packet.size for packet in packets if packet.up == up]
        found |= {f"packets_{name}": len(sizes), f"bytes_{name}": sum(sizes)}
    return found
