"""Downloads and start on docs/performance.md: their tables, what of the limits they keep, and their plots."""

from pathlib import Path

import pytest

from ujobs_lab.bench import docs

WAY = {"mb_per_second": 2.0, "heap": 30_000, "heap_quarter": 29_000}
FIGURES = {
    "downloads": {
        "size": 1 << 20, "rounds": 5,
        "ways": {
            "bare loop": WAY, "bare loop with SHA-256": WAY, "MQTT stream": WAY, "HTTPS": WAY | {"mb_per_second": 0.0}
        },
        "trickle_size": 1 << 18,
        "trickle": {way: {"kb_per_second": 95.0, "turns": 1.25} for way in ("MQTT stream", "HTTPS")},
    },
    "start": {"rounds": 5, "steps": {"Wi-Fi": 200.0, "TLS": 50.0}, "all": 250.0},
}


def test_their_tables() -> None:
    filled = docs.fill(docs.PAGE.read_text(), FIGURES)
    assert "| HTTPS | 0.0 | 0.00 |  |  |  | 29,000 | 30,000 |" in filled
    [judged] = [line for line in filled.splitlines() if line.startswith("| MB/s over HTTPS, to a bare loop |")]
    assert judged.endswith("| NOT KEPT |")
    assert "| MB/s over MQTT streams" not in filled, "it reaches its goal"
    assert "| HTTPS | 95 | 1.2 |  |" in filled
    assert "| reset to first publish | 250 |" in filled


def test_their_plots(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="only `make bench-docs` installs it")
    from ujobs_lab.bench import plots

    plots.draw(FIGURES, tmp_path)
    for name in FIGURES:
        assert f"performance/{name}.svg" in docs.PAGE.read_text()
        assert "</svg>" in (tmp_path / f"{name}.svg").read_text()
