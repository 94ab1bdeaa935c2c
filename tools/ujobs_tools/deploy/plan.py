"""The changes of a deployment, found by comparing SHA-256 digests. Does not talk to the board."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

SLOTS = ("/app", "/app-b")
"""The folders of the application, as in ujobs.trial."""
STARTS = "/starts.count"
"""Counter of firmware/health.py: files deployed by cable start with a fresh one."""
OWNED = ("/lib/ujobs/", "/lib/firmware/")
"""Folders from which every other file is removed."""
UMQTT = "/lib/umqtt/"
"""Folder of umqtt.simple on boards whose firmware does not include it; it stays on a board that is emptied."""
_NEW = ".new"
_BLOCK = 4096  # minimum bytes of flash per file
_SPARE = 2 * _BLOCK  # reserve for littlefs and the journal


@dataclass(frozen=True)
class Plan:
    """The changes of a deployment.

    write: content of files to send, by path on the board. copy: new path -> path of a file on the board with the same
    content. remove: paths to remove after the new files are in place. leftovers: paths to remove first. slot: the
    application's new folder, "" if it does not change. same: number of unchanged files.
    """

    write: Mapping[str, bytes]
    copy: Mapping[str, str]
    remove: tuple[str, ...]
    leftovers: tuple[str, ...]
    slot: str
    same: int

    def nothing(self) -> bool:
        """Return whether there are no changes."""
        return not (self.write or self.copy or self.remove or self.leftovers or self.slot)

    def size(self) -> int:
        """Return the number of bytes to send to the board."""
        return sum(map(len, self.write.values()))

    def room(self) -> int:
        """Return the maximum bytes of flash that are needed until the old files are removed."""
        return sum(-(-len(data) // _BLOCK) * _BLOCK for data in self.write.values()) + _SPARE


def make_plan(
    files: Mapping[str, bytes], application: Mapping[str, bytes] | None, there: Mapping[str, str], slot: str
) -> Plan:
    """Compare the files for a board with the files that are there.

    files: content by path. application: content by path relative to its folder; None leaves it unchanged. there:
    SHA-256 in hexadecimal, by path, of the board's files in OWNED, in SLOTS and at the paths of `files`. slot: the
    application's current folder, one of SLOTS.
    """
    leftovers = {path for path in there if path.endswith(_NEW)}
    wanted = dict(files)
    copies: dict[str, str] = {}
    folder = slot
    if application is not None:
        now = {
            path.removeprefix(f"{slot}/"): digest
            for path, digest in there.items() if path.startswith(f"{slot}/") and path not in leftovers
        }
        new = {name: _digest(content) for name, content in application.items()}
        if now and now != new:
            folder = SLOTS[1 - SLOTS.index(slot)]
            copies = {f"{folder}/{name}": f"{slot}/{name}" for name in new if now.get(name) == new[name]}
        wanted |= {f"{folder}/{name}": content for name, content in application.items()}
        if folder != slot:
            # These files belong to the version before the previous one; it cannot be booted any more.
            leftovers |= {path for path in there if path.startswith(f"{folder}/") and path not in wanted}
            # An application deployed by cable has no version number for update jobs.
            leftovers |= {f"{folder}.version", STARTS} & there.keys()
    same = {path for path, content in wanted.items() if there.get(path) == _digest(content)}
    copies = {path: source for path, source in copies.items() if path not in same}
    write = {path: content for path, content in wanted.items() if path not in same and path not in copies}
    foreign = {path for path in there if path.startswith(OWNED)} - wanted.keys() - leftovers
    slot_then = folder if folder != slot else ""
    return Plan(write, copies, tuple(sorted(foreign)), tuple(sorted(leftovers)), slot_then, len(same))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
