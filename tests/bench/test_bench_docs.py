"""Downloads on docs/performance.md: the tables, and the limits that are not kept."""

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
}


def test_the_tables_of_downloads() -> None:
    filled = docs.fill(docs.PAGE.read_text(), FIGURES)
    assert "| HTTPS | 0.0 | 0.00 |  |  |  | 29,000 | 30,000 |" in filled
    [judged] = [line for line in filled.splitlines() if line.startswith("| MB/s over HTTPS, to a bare loop |")]
    assert judged.endswith("| NOT KEPT |")
    assert "| MB/s over MQTT streams" not in filled, "it reaches its goal, so it is not listed"
    assert "| HTTPS | 95 | 1.2 |  |" in filled
