"""Measures the cost of a job: flash erases, and bytes over MQTT; and the clock's drift over the run."""

from ujobs_tools.qualify.bench import Bench
from ujobs_tools.qualify.case import RECEIVED, SENT, Case, Unexpected

_JOBS = 100
_MOST_ERASES = 2.0  # per job, for a journal on a small file system of its own


def _erases(bench: Bench) -> str:
    bench.restart()  # the job needs 24 KB of heap, in blocks of 4 KB
    said = bench.job({"operation": "wear", "jobs": _JOBS}, seconds=120)
    each = int(said["erases"]) / _JOBS
    bench.figure("erases per job", each)
    if each > _MOST_ERASES:
        raise Unexpected(f"{each:.2f} erases a job")
    return f"{said['erases']} erases for {_JOBS} jobs of a journal on littlefs"


def _wire(bench: Bench) -> str:
    bench.job({"operation": "wire"})
    bench.job({"operation": "blink", "times": 1})
    said = bench.job({"operation": "wire"})
    sent, received = int(said["sent"]), int(said["received"])
    if not sent or not received:
        raise Unexpected(f"{sent} bytes sent, {received} received")
    bench.figure(SENT, sent)
    bench.figure(RECEIVED, received)
    return f"{sent} bytes sent and {received} received for a job, before TLS"


def _drift(bench: Bench) -> str:
    ntp = bench.settings.get("ntp")
    said = bench.job({"operation": "facts", "ntp": ntp})
    if "clock_off" not in said:
        return f"no time server: {said.get('clock', 'none is set')}"
    off = int(said["clock_off"])
    bench.figure("clock off at the end, s", off)
    if abs(off) > 60:
        raise Unexpected(f"the clock is {off} s off")
    return f"{off} s off {ntp} at the end of the run"


CASES = (
    Case("cost.erases", f"at most {_MOST_ERASES:g} erases of flash a job", _erases),
    Case("cost.wire", "the bytes of a job over MQTT are counted", _wire, executions=lambda resets: 3),
    Case("cost.clock", "the clock agrees with its time server at the end of the run", _drift),
)
