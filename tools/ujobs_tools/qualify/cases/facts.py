"""Facts about the board."""

from ujobs_tools.qualify.bench import Bench
from ujobs_tools.qualify.case import Case, Unexpected


def _facts(bench: Bench) -> str:
    found = bench.facts
    for name in ("heap", "heap_free", "c_heap", "flash", "flash_free"):
        if name in found:
            bench.figure(f"{name.replace('_', ' ')}, bytes", found[name])
    if not found.get("umqtt_file"):
        raise Unexpected("no umqtt.simple")
    words = ("machine", "version", "build", "umqtt", "umqtt_file", "file_system", "partition", "partitions", "rollback")
    return "; ".join(f"{name.replace('_', ' ')}: {found[name]}" for name in words if found.get(name) not in (None, ""))


def _connected(bench: Bench) -> str:
    ntp = bench.settings.get("ntp")
    said = bench.job({"operation": "facts", "ntp": ntp})
    bench.figure("heap free when connected, bytes", int(said["heap_free"]))
    if "rssi" in said:
        bench.figure("signal, dBm", int(said["rssi"]))
    if "clock_off" in said:
        bench.facts.setdefault("clock_off", int(said["clock_off"]))
        if abs(int(said["clock_off"])) > 2:
            raise Unexpected(f"the clock is {said['clock_off']} s off after it was set by {ntp}")
    return "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in said.items() if name != "progress")


CASES = (
    Case("facts.board", "chip, MicroPython, umqtt.simple, heap, flash and partitions are known", _facts,
         executions=lambda resets: 0),
    Case("facts.connected", "connected; the clock is right to 2 s if a time server is set", _connected),
)
