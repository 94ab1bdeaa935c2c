"""No way back by accident: which version runs is kept in flash, and an update to a lower one is refused.

`/app.version`, `/ota_1.version`: the version of what is in that folder or partition. On a board with a signing key the
version, what it consists of and a permission to go back are signed together, so an old document cannot be used again.
"""

from hashlib import sha256

from . import lend, trial
from .agent import Reject
from .fetch import check_signature, check_source, means_for

_MOST = 64  # characters


def numbers(version: str) -> "list[int]":
    """Return what a version is compared by: the numbers at its start, without zeros at the end.

    "1.4.0", "v1.4" and "1.4-rc1" are all [1, 4]; text without a number at its start is [], lower than any number.
    """
    found = []
    for part in version.lstrip("v").split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        found.append(int(digits or 0))
        if digits != part:
            break
    while found and not found[-1]:
        found.pop()
    return found


def check(document: dict, sources: "list[dict] | tuple[dict, ...]", runs: str, options: dict) -> tuple:
    """Check that a document may bring its version, and what it says of its files. Returns what fetch() needs for them.

    sources: its files; runs: the folder or partition in use, "/app" or "/ota_0". With a signing key a document that
    claims a version is signed as a whole, and its files need no signatures of their own. Raises Reject, ValueError
    naming the field, OSError.
    """
    version = str(document.get("version", ""))
    if len(version) > _MOST:
        raise ValueError("version is over %d characters" % _MOST)
    key = options.get("signing_key")
    # Of a document without a version only the files are signed: anybody could have added this.
    back = document.get("downgrade") is True and bool(version or not key)
    running = of(runs)
    if numbers(version) < numbers(running) and not back:
        raise Reject('version %s is lower than %s: it needs "downgrade": true' % (version or "-", running))
    signed = version and key
    if signed:
        check_signature(document)
        options = {"ca": options.get("ca")}
    text = "%s\n%s\n%s" % (document.get("operation"), version, "downgrade" if back else "")
    for source in sources:
        check_source(source, options)
        text += "\n%s %s" % (source.get("sha256", "").lower(), source.get("path", ""))
    if signed and not lend("verify", "signed", document, key, sha256(text.encode()).digest()):
        raise Reject("the signature is not the signing key's for this version")
    return means_for(sources, options)


def of(place: str) -> str:
    """Return the version of what is in a folder or partition; "" when it is not known."""
    return trial.read(place + ".version")


def keep(place: str, document: dict) -> None:
    """Note that what is in a folder or partition is from now on what this document brings. Raises OSError."""
    trial.write(place + ".version", str(document.get("version", "")))
