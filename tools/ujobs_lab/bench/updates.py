"""`python -m ujobs_lab.bench.updates`: what an application update costs with and without compression.

It uses the examples, and an application of 200 KB made of the library's sources. MicroPython's unix port reads the
files and unpacks them in pieces, as the `app` handler does. Bytes are file contents. Seconds are those of this machine:
only their ratio matters. The heap is the growth while unpacking, with 64-bit words."""

import subprocess
import tempfile
from pathlib import Path

from rich.console import Console

from ujobs_lab import REPOSITORY
from ujobs_lab.bench.sheet import Sheet, as_table
from ujobs_tools.aws.publishing import WINDOW, pack
from ujobs_tools.board.files import application_files
from ujobs_tools.board.interpreter import find_micropython

_LARGE = 200 * 1024  # bytes
# Reads files as the handler does; prints the seconds and the peak of the heap beyond the start.
_PROGRAM = """
import deflate, gc, hashlib, sys, time
gc.collect()
free = gc.mem_free()
start = time.ticks_us()
least = free
digest = hashlib.sha256()
for name in sys.argv[2:]:
    with open(name, "rb") as file:
        stream = deflate.DeflateIO(file, deflate.ZLIB) if sys.argv[1] == "packed" else file
        while True:
            data = stream.read(1024)
            if not data:
                break
            digest.update(data)
            gc.collect()
            least = min(least, gc.mem_free())
print(time.ticks_diff(time.ticks_us(), start) / 1e6, free - least)
"""


def large() -> dict[str, bytes]:
    """An application of 200 KB, with the library's files."""
    files: dict[str, bytes] = {}
    sources = sorted((REPOSITORY / "lib" / "ujobs").rglob("*.py"))
    while sum(map(len, files.values())) < _LARGE:
        for source in sources:
            if sum(map(len, files.values())) < _LARGE:
                files[f"{len(files)}.py"] = source.read_bytes()
    return files


def measure(files: dict[str, bytes]) -> dict[str, float]:
    """Bytes of the files and bytes sent; seconds and heap of reading the files, plain and compressed."""
    found: dict[str, float] = {"bytes": sum(map(len, files.values()))}
    packed = {name: pack(content) or content for name, content in files.items()}
    found["sent"] = sum(map(len, packed.values()))
    kinds = {
        "plain": files,
        "packed": {name: content for name, content in packed.items() if content is not files[name]},
    }
    with tempfile.TemporaryDirectory() as folder:
        for kind, contents in kinds.items():
            paths = []
            for number, content in enumerate(contents.values()):
                paths.append(Path(folder) / f"{kind}-{number}")
                paths[-1].write_bytes(content)
            command = [find_micropython(), "-c", _PROGRAM, kind, *map(str, paths)]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            found[f"{kind}_seconds"], found[f"{kind}_heap"] = float(printed[0]), float(printed[1])
    return found


def main() -> None:
    """Print the table."""
    folders = sorted(path.parent for path in (REPOSITORY / "examples").glob("*/app.py"))
    applications = {
        folder.name: {name: path.read_bytes() for name, path in application_files(folder).items()}
        for folder in folders
    }
    applications["200 KB"] = large()
    rows = []
    for name, files in applications.items():
        found = measure(files)
        rows.append((
            name, f"{found['bytes']:,.0f}", f"{found['sent']:,.0f}", f"{found['sent'] / found['bytes']:.2f}",
            f"{found['plain_seconds']:.3f}", f"{found['packed_seconds']:.3f}", f"{found['packed_heap']:,.0f}",
        ))
    note = f"zlib, window of {1 << WINDOW} bytes; files that compress badly are sent as they are"
    columns = ("application", "bytes", "sent", "of that", "s, plain", "s, unpacked", "heap, bytes")
    Console(highlight=False).print(as_table(Sheet("Compressed updates", columns, rows, note)))


if __name__ == "__main__":
    main()
