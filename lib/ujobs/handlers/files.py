"""The job `{"operation": "files"}`: fetch files to flash, delete some, list a folder, read the end of a small one.

    {"operation": "files",
     "fetch": [{"path": "/data/table.bin", "url": "https://…", "size": 4711, "sha256": "…"}],
     "delete": ["/data/old.bin"], "list": "/data", "read": "/data/errors.log"}

All parts are optional. Everything is checked before anything is changed; a file that is already there, with the same
SHA-256, is not fetched again. Options of Agent.use(): roots, the folders that jobs may write, ("/data",) by default; ca
and signing_key, see sources.check().
"""

import os

from ..fetch import checked, fetch_file
from ..flash import remove

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from ..job import Job

_READ = const(1000)  # bytes of a file that fit in a status detail


async def run(job: "Job", options: dict) -> "dict | None":
    """Do what the document says. Returns how many files were fetched and deleted, and what was listed and read."""
    document = job.document
    means = checked("check_files", document, options)
    sources = document.get("fetch", ())
    deleted = document.get("delete", ())
    listed = document.get("list")
    shown = document.get("read")
    result = {}
    if sources:
        index, position = job.checkpoint or (0, 0)
        for source in sources[index:]:
            await fetch_file(job, source, _entry, (index,), source["path"], position, means)
            index += 1
            position = 0
            job.save((index, position))
        result["fetched"] = len(sources)
    if deleted:
        result["deleted"] = sum(map(remove, deleted))
    try:
        if listed is not None:
            entries = []
            for name in sorted(os.listdir(listed)):
                entries.append("%s %d" % (name, os.stat(listed + "/" + name)[6]))
            job.noted("list", ", ".join(entries))
        if shown is not None:
            listed = shown
            with open(shown, "rb") as file:
                file.seek(max(file.seek(0, 2) - _READ, 0))
                job.noted("read", _text(file.read()))
    except OSError as error:
        raise OSError("%s: %s" % (listed, error))
    return result


def _entry(document, index):
    return document["fetch"][index]


def _text(data):
    try:
        # The first character may have been cut.
        return data.lstrip(bytes(range(128, 192))).decode()
    except UnicodeError:
        return bytes([byte if byte < 127 else 63 for byte in data]).decode()
