"""The section `downloads` with one small file: every way downloads it, in a heap that does not grow with the file."""

from pathlib import Path

import pytest

from ujobs_lab.bench import downloads, instructions, on_unix

SIZE = 32 * 1024


def test_every_way_of_downloading() -> None:
    found = downloads.measure(size=SIZE, rounds=1, valgrind=False, trickle_size=SIZE // 2)
    assert list(found["ways"]) == ["bare loop", "bare loop with SHA-256", "MQTT stream", "HTTPS"]
    for way, one in found["ways"].items():
        assert one["mb_per_second"] > 0
        assert 4096 <= one["heap"] < SIZE * 1.5, way
        # The number of waiting blocks or packets varies; the files differ by 24 KB.
        assert abs(one["heap"] - one["heap_quarter"]) < 4096, "the heap does not depend on the size of the file"
    sheet, trickle = downloads.sheets(found)
    assert [row[0] for row in trickle.rows] == list(found["trickle"]) == ["MQTT stream", "HTTPS"]
    # A file as small as this one can arrive in a single TLS record.
    assert all(0 <= one["turns"] < 50 for one in found["trickle"].values())
    assert [row[0] for row in sheet.rows] == list(found["ways"])
    assert sheet.rows[0][2:6] == ("1.00", "", "", "")
    assert instructions.NOT_COUNTED in sheet.note


def test_the_budget_limits_ratios_to_the_bare_loop() -> None:
    rates = {
        "bare loop": (8.0, 60.0), "bare loop with SHA-256": (7.0, 72.0), "MQTT stream": (4.0, 240.0),
        "HTTPS": (6.0, 80.0),
    }
    ways = {way: {"mb_per_second": rate, "heap": 2, "heap_quarter": 1} for way, (rate, _) in rates.items()}
    trickle = {way: {"kb_per_second": 90.0, "turns": 1.25} for way in ways}
    found = {"size": 1 << 20, "rounds": 5, "ways": ways, "trickle": trickle, "trickle_size": 1 << 18}
    slow = {
        "streams_turns_per_kb": 1.25, "streams_trickle_kb_per_second": 90.0,
        "https_turns_per_kb": 1.25, "https_trickle_kb_per_second": 90.0,
    }
    assert downloads.budgets(found) == {"streams_ratio": 0.5, "https_ratio": 0.75} | slow
    for way, (_, counted) in rates.items():
        ways[way]["instructions_per_byte"] = counted
    assert downloads.budgets(found) == {
        "streams_ratio": 0.5, "streams_instructions_ratio": 0.25, "streams_same_work_ratio": 0.3,
        "https_ratio": 0.75, "https_instructions_ratio": 0.75, "https_same_work_ratio": 0.9,
    } | slow
    sheet, _ = downloads.sheets(found)
    assert sheet.rows[2] == ("MQTT stream", "4.0", "0.50", "240", "0.25", "0.30", "1", "2")
    assert instructions.NOT_COUNTED not in sheet.note


def test_a_server_with_an_invalid_certificate_is_refused(tmp_path: Path) -> None:
    on_unix.compile_programs(tmp_path)
    (tmp_path / "ca.der").write_bytes(b"not a certificate")
    options = {"path": str(tmp_path / "file"), "host": "localhost", "port": 1, "ca": str(tmp_path / "ca.der")}
    with pytest.raises(on_unix.ProgramFailed, match="invalid cert"):
        on_unix.run(tmp_path, "downloading", options | {"sha256": False, "collect": False})
