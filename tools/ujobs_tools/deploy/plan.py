"""What a deployment changes on a board, found by comparing SHA-256 digests; nothing here talks to one."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

SLOTS = ("/app", "/app-b")
"""The folders of the application, as in ujobs.trial."""
STARTS = "/starts.count"
"""Of firmware/health.py: what comes over the cable gets its own chances."""
OWNED = ("/lib/ujobs/", "/lib/firmware/")
"""Folders in which nothing is left that does not belong there."""
_NEW = ".new"
_BLOCK = 4096  # bytes of flash that a file takes at least
_SPARE = 2 * _BLOCK  # what littlefs and the journal need


@dataclass(frozen=True)
class Plan:
    """write: path on the board -> content. copy: path -> where the board has that already. remove: paths that do not
    belong there when the new ones are in place. leftovers: those that are in the way before. slot: folder of the
    application from then on, "" when that stays. same: how many files are as they should be."""

    write: Mapping[str, bytes]
    copy: Mapping[str, str]
    remove: tuple[str, ...]
    leftovers: tuple[str, ...]
    slot: str
    same: int

    def nothing(self) -> bool:
        """Whether the board is as it should be."""
        return not (self.write or self.copy or self.remove or self.leftovers or self.slot)

    def size(self) -> int:
        """Bytes that are sent to the board."""
        return sum(map(len, self.write.values()))

    def room(self) -> int:
        """Bytes of flash that it takes at most until the old files have gone."""
        return sum(-(-len(data) // _BLOCK) * _BLOCK for data in self.write.values()) + _SPARE


def make_plan(
    files: Mapping[str, bytes], application: Mapping[str, bytes] | None, there: Mapping[str, str], slot: str
) -> Plan:
    """Compare what belongs on a board with what is there.

    files: path -> content. application: its files by paths from its folder on; None leaves it as it is. there: path ->
    SHA-256 in hexadecimal of what the board has in the places of `files`, in OWNED and in SLOTS. slot: of SLOTS, the
    application's folder now.
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
            # Of the version before the last one; nothing starts from them.
            leftovers |= {path for path in there if path.startswith(f"{folder}/") and path not in wanted}
            # Nor has what comes over the cable a version that jobs know.
            leftovers |= {f"{folder}.version", STARTS} & there.keys()
    same = {path for path, content in wanted.items() if there.get(path) == _digest(content)}
    copies = {path: source for path, source in copies.items() if path not in same}
    write = {path: content for path, content in wanted.items() if path not in same and path not in copies}
    foreign = {path for path in there if path.startswith(OWNED)} - wanted.keys() - leftovers
    slot_then = folder if folder != slot else ""
    return Plan(write, copies, tuple(sorted(foreign)), tuple(sorted(leftovers)), slot_then, len(same))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
