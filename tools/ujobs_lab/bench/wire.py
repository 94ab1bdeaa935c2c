"""Network traffic: MQTT packets and bytes of a job and of a progress update, round trips until the first job, and the
costs of a node on a battery or a metered link.

A proxy between the device and `ujobs serve` reads the packets, without TLS, which adds 29 bytes to each record. It
delays what the broker sends, so that packets sent without waiting for a reply are seen before the reply. Another proxy
counts the bytes with TLS, including the handshake."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from ujobs_lab.bench import on_unix
from ujobs_lab.bench.cloud_at_work import Work
from ujobs_lab.bench.far import far
from ujobs_lab.bench.servers import ujobs_serve
from ujobs_lab.bench.sheet import Sheet
from ujobs_lab.bench.tap import Packet, tap
from ujobs_tools.host.processes import wait_until

_WHO = ("ujobs", "by hand")
_DELAY = 0.03  # seconds
_PATIENCE = 10.0  # seconds
_QUEUED = 50  # small jobs in the queue
_SMALL = 160  # bytes of a small job document
_DAY = 86400  # seconds
_ASKED_EVERY = 3600  # seconds between the requests of an idle agent
_KEEPALIVES = (60, 1200)  # seconds
_PING = 4  # bytes of PINGREQ and PINGRESP together
_RECORD = 29  # bytes that TLS 1.2 adds to each message

Numbers = dict[str, float]


def measure(count: int = 10) -> dict[str, Any]:
    """Packets and bytes for both programs. count: number of jobs and progress updates to average.

    Raises on_unix.ProgramFailed, NotReady.
    """
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="ujobs-bench-") as temporary:
        folder = Path(temporary)
        on_unix.compile_programs(folder)
        with ujobs_serve(folder) as service:
            for who in _WHO:
                session = partial(_plain, folder, Work(service, folder / who), who)
                one = session(1, 0)
                found[who] = {
                    "round_trips": round_trips(one),
                    "job": _mean(one, session(1 + count, 0), count),
                    "progress_update": _mean(one, session(1, count), count),
                }
            found["queue_bytes"] = _queue_bytes(folder, Work(service, folder / "queue"))
            found["battery"] = _battery(folder, Work(service, folder / "battery"), count)
    return found | {"count": count}


def budgets(found: dict[str, Any]) -> dict[str, float]:
    """The figures that budget.toml limits."""
    battery = found["battery"]
    return {
        "publishes_per_job": found["ujobs"]["job"]["published"],
        "queue_bytes": found["queue_bytes"],
        "further_job_bytes": battery["each further job"]["bytes_down"],
        "wake_round_trips": battery["wake to idle"]["round_trips"],
    }


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """The tables: packets and bytes, and a node on a battery."""
    trips = [str(found[who]["round_trips"]) for who in _WHO]
    rows: list[tuple[str, ...]] = [("from CONNECT to the first job, round trips", *trips)]
    names = {"published": "published", "packets_up": "packets sent", "bytes_up": "bytes sent",
             "packets_down": "packets received", "bytes_down": "bytes received"}  # fmt: skip
    for what in ("job", "progress_update"):
        title = what.replace("_", " ")
        rows.append(())
        rows += [
            (f"{title}: {name}", *(f"{found[who][what][key]:.1f}" for who in _WHO)) for key, name in names.items()
        ]
    rows += [(), (f"{_QUEUED} small jobs in the queue: bytes received", f"{found['queue_bytes']:,}")]
    details = ("published", "packets sent", "packets received")
    on_page = tuple(row[0] for row in rows if row and not row[0].endswith(details))
    note = f"Documents have 1 KB, those of small jobs {_SMALL} bytes. {found['count']} more jobs are in the queue."
    return [Sheet("On the wire", ("", *_WHO), rows, note, on_page), _battery_sheet(found["battery"])]


def _battery_sheet(found: dict[str, Numbers]) -> Sheet:
    rows: list[tuple[str, ...]] = [
        (name, *(f"{one[key]:,.0f}" for key in ("bytes_up", "bytes_down", "tls_up", "tls_down", "round_trips")))
        for name, one in found.items()
        if "tls_up" in one
    ]
    rows.append(())
    for seconds in _KEEPALIVES:
        # A ping is sent when half of the keep-alive has passed without a packet.
        pings, asked = _DAY / (seconds / 2), _DAY / _ASKED_EVERY
        question = found["a question without a job"]
        mqtt = pings * _PING + asked * (question["bytes_up"] + question["bytes_down"])
        tls = mqtt + 2 * _RECORD * (pings + asked)
        trips = pings + asked
        rows.append((f"a day idle, keepalive {seconds}", f"{mqtt:,.0f}", "", f"{tls:,.0f}", "", f"{trips:,.0f}"))
    note = (
        "Documents of 1 KB, until_idle. With TLS: handshake included, with a chain of one certificate. TCP and TLS 1.2 "
        "take 3 round trips more. A day idle is calculated, both directions together: pings and an hourly request."
    )
    columns = ("", "MQTT sent", "received", "with TLS, sent", "received", "round trips")
    return Sheet("A node on a battery, bytes", columns, rows, note)


def _queue_bytes(folder: Path, work: Work) -> int:
    seen = _plain(folder, work, "ujobs", _QUEUED, 0, _SMALL)
    return sum(packet.size for packet in seen if not packet.up)


def _battery(folder: Path, work: Work, count: int) -> dict[str, Numbers]:
    def session(jobs: int) -> Numbers:
        seen = _plain(folder, work, "ujobs", jobs, 0)
        job_ids = work.offer(jobs)
        with far(work.service.mqtts, 0, 0) as proxy:
            options = work.options(True, jobs=jobs, idle=True, journal=str(folder / "battery-records"))
            on_unix.run(folder, "device_ujobs", options | {"port": proxy.port})
            work.check(job_ids)
            tls = {"tls_up": proxy.sent, "tls_down": proxy.received}
        return _numbers(seen) | tls | {"round_trips": round_trips(seen, to_the_end=True)}

    idle, one, many = session(0), session(1), session(1 + count)
    further = {name: (many[name] - one[name]) / count for name in one}
    seen = _plain(folder, work, "ujobs", 0, 0)
    question = _numbers([packet for packet in seen if "/start-next" in packet.topic])
    return {
        "wake to idle": idle, "wake and one job": one, "each further job": further,
        "a question without a job": question,
    }


def round_trips(packets: list[Packet], to_the_end: bool = False) -> int:
    """How many times a device waited for a reply, from its first packet to the reply with a job, or to the end of the
    session. PUBACKs and the round trips of TCP and TLS do not count."""
    trips, waiting = 0, False
    for packet in packets:
        if packet.kind == "PUBACK":
            continue
        if not packet.up:
            waiting = False
            if packet.topic.endswith("/start-next/accepted") and not to_the_end:
                break
        elif not waiting and packet.kind != "DISCONNECT":
            waiting = True
            trips += 1
    return trips


def _plain(
    folder: Path, work: Work, who: str, jobs: int, progress_updates: int, size: int = 1024
) -> list[Packet]:
    # A session without TLS, so that its packets can be read. The proxy must not close before it has delivered them.
    job_ids = work.offer(jobs, size)
    with tap(work.service.mqtt, _DELAY) as seen:
        options = work.options(
            False, jobs=jobs, idle=True, progress_updates=progress_updates, job_id=job_ids[0] if job_ids else "",
            journal=str(folder / f"{work.thing.name}-records"),
        )
        program = "device_ujobs" if who == "ujobs" else "device_by_hand"
        on_unix.run(folder, program, options | {"port": seen.port})
        work.check(job_ids)
        wait_until(lambda: any(packet.kind == "DISCONNECT" for packet in seen.packets), "DISCONNECT", _PATIENCE)
        return list(seen.packets)


def _mean(few: list[Packet], many: list[Packet], count: int) -> Numbers:
    # The difference leaves out the fixed cost of a session.
    before, after = _numbers(few), _numbers(many)
    return {name: (after[name] - before[name]) / count for name in after}


def _numbers(packets: list[Packet]) -> Numbers:
    found: Numbers = {"published": sum(packet.up and packet.kind == "PUBLISH" for packet in packets)}
    for name, up in (("up", True), ("down", False)):
        sizes = [packet.size for packet in packets if packet.up == up]
        found |= {f"packets_{name}": len(sizes), f"bytes_{name}": sum(sizes)}
    return found
