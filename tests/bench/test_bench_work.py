"""The sections about processor, wire, rate and wear, each with a few jobs: complete and plausible results."""

import os
import time
import urllib.request
from pathlib import Path

import pytest

from ujobs_lab.bench import cpu, instructions, on_unix, peers, rate, tap, wear, wire
from ujobs_lab.bench.far import far
from ujobs_lab.bench.file_server import file_server
from ujobs_lab.bench.tap import Packet


def test_the_processor_with_few_repetitions() -> None:
    found = cpu.measure(times=20, jobs=2, rounds=1, valgrind=False)
    for name, cost in found["pieces"].items():
        assert all(one["microseconds"] > 0 for one in cost.values()), name
    assert found["pieces"]["job"]["by hand"].keys() == {"instructions", "microseconds"}
    assert cpu.budgets(found) == {}, "without instructions there is no ratio"
    (sheet,) = cpu.sheets(found)
    assert [row[0] for row in sheet.rows][-2:] == ["progress update", "job"]


def test_instructions_are_proportional_to_the_work(tmp_path: Path) -> None:
    if not instructions.countable():
        pytest.skip("valgrind is not installed")
    # Arithmetic with small integers, which allocates nothing: a garbage collection would add instructions.
    program = """
import json, os

def main():
    found = 1
    for _ in range(json.loads(os.getenv("UJOBS_BENCH"))["times"] * 100):
        found = found * 3 + 1 & 1023
    print("{}")
"""
    (tmp_path / "work.py").write_text(program)
    first, some, more = (
        instructions.count(tmp_path, "work", {"times": times}, "256k") for times in (1, 101, 201)
    )
    assert first > 10**6, "the interpreter's own start"
    assert some - first > 100 * 1000
    assert abs((more - some) - (some - first)) < (some - first) * 0.2


def test_the_budget_limits_the_ratio_of_instructions() -> None:
    counted = {"ujobs": 300.0, "by hand": 200.0}
    cost = {who: {"instructions": number, "microseconds": 1.0} for who, number in counted.items()}
    found = {"valgrind": True, "pieces": {"job": cost}}
    assert cpu.budgets(found) == {"job_ratio": 1.5}
    cost["by hand"]["microseconds"] = 0.472
    assert cpu.sheets(found)[0].rows == [("job", "300", "200", "1.5", "1", "0.47")]


def test_on_the_wire() -> None:
    found = wire.measure(count=2)
    for who in ("ujobs", "by hand"):
        assert found[who]["job"]["published"] == 2
        assert found[who]["progress_update"]["published"] == 1
        assert found[who]["job"]["bytes_down"] > 1024 * 0.8, "the document is received"
        assert found[who]["round_trips"] >= 1
    battery = found["battery"]
    assert battery["wake and one job"]["bytes_down"] > battery["wake to idle"]["bytes_down"] + 1024 * 0.8
    for one in ("wake to idle", "wake and one job"):
        assert battery[one]["tls_up"] > battery[one]["bytes_up"], "TLS adds its handshake"
        assert battery[one]["round_trips"] >= 2
    assert found["queue_bytes"] > 50 * 160
    limits = wire.budgets(found)
    assert limits["publishes_per_job"] == 2
    assert limits.keys() == {"publishes_per_job", "queue_bytes", "further_job_bytes", "wake_round_trips"}
    _, days = wire.sheets(found)
    assert [row[0] for row in days.rows if row][-2:] == ["a day idle, keepalive 60", "a day idle, keepalive 1200"]


def test_a_round_trip_is_a_wait_for_a_reply() -> None:
    def up(kind: str) -> Packet:
        return Packet(True, kind, 2)

    def down(kind: str, topic: str = "") -> Packet:
        return Packet(False, kind, 2, topic)

    reply = down("PUBLISH", "$aws/things/kiln-7/jobs/start-next/accepted")
    pipelined = [up("CONNECT"), up("SUBSCRIBE"), up("PUBLISH"), down("CONNACK"), down("SUBACK"), reply, up("PUBLISH")]
    assert wire.round_trips(pipelined) == 1
    in_turn = [up("CONNECT"), down("CONNACK"), up("SUBSCRIBE"), down("SUBACK"), up("PUBACK"), up("PUBLISH"), reply]
    assert wire.round_trips(in_turn) == 3


def test_packets_are_separated_wherever_the_stream_is_cut() -> None:
    topic = b"measured/7"
    field = b"\x00\x0a" + topic
    # The length of the last packet takes two bytes.
    stream = b"\x10\x02ab" + b"\x30\x70" + field + bytes(100) + b"\xd0\x00" + b"\x30\x82\x01" + field + bytes(118)
    for cut in range(len(stream) + 1):
        first, rest = tap.split(stream[:cut])
        second, rest = tap.split(rest + stream[cut:])
        assert not rest
        found = [tap.describe(True, packet) for packet in first + second]
        assert [(packet.kind, packet.topic) for packet in found] == [
            ("CONNECT", ""), ("PUBLISH", "measured/7"), ("PINGRESP", ""), ("PUBLISH", "measured/7"),
        ]
        assert sum(packet.size for packet in found) == len(stream)


def test_every_device_does_the_jobs() -> None:
    found = rate.measure(jobs=2, singles=1, rounds=2, far_jobs=2)
    assert {peers.UJOBS, peers.WHOLE, peers.SDK} <= found["devices"].keys()
    if os.environ.get("UJOBS_ALL_CLIENTS"):
        assert peers.FLOOR in found["devices"], "mosquitto's client library or a C compiler is missing"
    for name, one in found["devices"].items():
        assert one["jobs_per_second"] > 0
        assert 0 < one["far_jobs_per_second"] < 11, f"{name}: a job takes a round trip of 0.1 s at least"
        assert 0 < one["p50_ms"] <= one["p99_ms"]
        assert one["resident"] > 10**6
    assert found["devices"][peers.UJOBS]["heap"] > found["devices"]["by hand"]["heap"] > 0
    assert rate.budgets(found).keys() == {"whole_ratio", "sdk_ratio", "far_ratio", "memory_ratio"}


def test_a_slow_link_takes_its_time_and_loses_nothing() -> None:
    content = bytes(range(256)) * 80
    with file_server(content) as port, far(port, 0.01, 0.01, rate=200_000) as proxy:
        began = time.monotonic()
        with urllib.request.urlopen(f"http://127.0.0.1:{proxy.port}/file") as reply:
            assert reply.read() == content
        assert time.monotonic() - began > len(content) / 200_000
        assert proxy.received > len(content) > proxy.sent > 0


def test_each_figure_is_the_median_of_its_rounds() -> None:
    figures = [{"p50_ms": 90.0, "heap": 7.0}, {"p50_ms": 3.0, "heap": 8.0}, {"p50_ms": 4.0, "heap": 9.0}]
    assert rate.median(figures) == {"p50_ms": 4.0, "heap": 8.0}


def test_flash_wear() -> None:
    found = wear.measure(jobs=3)
    kinds = found["kinds"]
    assert kinds["large"]["programs"] > kinds["quick"]["programs"] >= kinds["nothing"]["programs"] > 0
    assert kinds["long"]["progress_updates"] > 0
    assert [row[0] for row in wear.sheets(found)[0].rows][-1] == "a progress update alone"
    erases = {(cache, distance): count for cache, distance, _, count in found["files"]}
    assert erases[32, 16] > erases[32, 64] >= 256  # blocks of the file


def test_the_error_of_a_failed_program_contains_its_traceback(tmp_path: Path) -> None:
    on_unix.compile_programs(tmp_path)
    with pytest.raises(on_unix.ProgramFailed, match="KeyError"):
        on_unix.run(tmp_path, "device_ujobs", {"host": "without a thing"})
    with pytest.raises(on_unix.ProgramFailed, match=r"MemoryError|heap"):
        on_unix.run(tmp_path, "device_ujobs", {}, "8k")
