"""What a job document says of the files it brings or touches: checked before anything is changed, then let go of.

A source: {"url": "https://…"} or {"stream": "name", "file": 0}, with "size" in bytes (needed for a stream), "sha256" in
hexadecimal, and "signature" in base64 where the board requires one, with "scheme" for RSA-PSS, see verify.check(). With
"deflate": {"size": 1500, "sha256": "…"} the file is sent compressed, in that many bytes.

Which version runs is kept in flash, and an update to a lower one is refused: `/app.version`, `/ota_1.version` hold the
version of what is in that folder or partition. On a board with a signing key the version, the files and a permission to
go back are signed together, so an old document cannot be used again.
"""

import os
from binascii import a2b_base64
from hashlib import sha256

from . import lend, trial
from .checks import check_name, check_number

# Not in a .mpy at -O2, whose compiler knows const.
if __debug__:
    from micropython import const

# Folders that are closed to jobs; also every name that begins with app, ujobs or trial.
_RESERVED = ("lib", "firmware", "cert", "main", "boot", "umqtt")
_MAX_FILES = const(64)
_MAX_PATH = const(255)
_MAX_VERSION = const(64)  # characters


def check(
    sources: "list[dict] | tuple[dict, ...]", options: dict, trusted: bool = False, deflated: bool = False
) -> tuple:
    """Check the sources, and return what fetch() needs for them: a TLS context and a signing key, each or None.

    options: of Agent.use(). `ca`: verifies HTTPS servers; `signing_key`: file or bytes of the public key, see
    verify.load_key(); every file then needs a signature, which replaces the SHA-256. trusted: whether HTTPS replaces
    the SHA-256, since AWS's own document for downloads has none. deflated: whether a file may be sent compressed.
    Raises ValueError naming the file and the field, without `ca`, or for one that cannot be used; OSError.
    """
    key = options.get("signing_key")
    https = False
    for source in sources:
        name = source.get("path", "firmware")
        url = str(source.get("url"))
        secure = url[:6].lower() == "https:"
        https |= secure
        streamed = "stream" in source
        packed = "deflate" in source
        try:
            if ("url" in source) == streamed:
                raise ValueError("either url or stream is needed")
            if key:
                _signed(source)
            _check_content(source, packed or streamed, not key and not (trusted and secure))
            if packed:
                if not deflated:
                    raise ValueError("deflate is for app only")
                _check_content(source["deflate"], True, True)
            if streamed:
                # It becomes part of a topic.
                check_name("stream", source["stream"], 128)
                check_number("file", source.get("file", 0), 0, 255)
            else:
                from .download import split_url

                name = "%s: url" % name
                split_url(url)
        except ValueError as error:
            raise ValueError("%s: %s" % (name, error))
    context = None
    if https:
        if not options.get("ca"):
            raise ValueError("https needs the option ca")
        context = lend("certificates", "tls_context", options["ca"])
    return context, key


def check_files(document: dict, options: dict) -> tuple:
    """Check all that the handler `files` is asked for. Returns and raises the same as check()."""
    for name in ("fetch", "delete"):
        entries = document.get(name, [])
        if not isinstance(entries, list) or len(entries) > _MAX_FILES:
            raise ValueError("%s must be a list of at most %d" % (name, _MAX_FILES))
    sources = document.get("fetch", [])
    paths = list(document.get("delete", ()))
    for source in sources:
        paths.append(isinstance(source, dict) and source.get("path"))
    for name in ("list", "read"):
        if document.get(name) is not None:
            paths.append(document[name])
    if not paths:
        raise ValueError("nothing to fetch, delete, list or read")
    roots = options.get("roots", ("/data",))
    if document.get("list") in roots:
        # Only a list may be of a root itself.
        check_root(document["list"])
        paths.remove(document["list"])
    for path in paths:
        check_plain(path)
        # An option that is a path is a certificate or a key. startswith() takes no tuple in MicroPython 1.24.
        if path in options.values() or not any([path.startswith(root + "/") for root in roots]):
            raise ValueError("path %s is outside roots" % path)
        check_root(path)
        _check_part(path + ".part", paths)
    return check(sources, options, True)


def check_update(document: dict, sources: "list[dict] | tuple[dict, ...]", place: str, options: dict) -> tuple:
    """Check that a document may bring its version, and its sources. Returns the same as check().

    place: the folder or partition in use, "/app" or "/ota_0". With a signing key a document that claims a version is
    signed as a whole, and its files need no signatures of their own. Raises the same as check().
    """
    version = str(document.get("version", ""))
    if len(version) > _MAX_VERSION:
        raise ValueError("version is over %d characters" % _MAX_VERSION)
    key = options.get("signing_key")
    # Without a version only the files are signed: anyone could have added a permission.
    back = document.get("downgrade") is True and (version or not key)
    running = trial.read(place + ".version")
    if numbers(version) < numbers(running) and not back:
        raise ValueError('version %s is lower than %s: it needs "downgrade": true' % (version or "-", running))
    signed = version and key
    if signed:
        _signed(document)
        options = {"ca": options.get("ca")}
    means = check(sources, options, False, document.get("operation") == "app")
    if signed:
        text = "%s\n%s\n%s" % (document.get("operation"), version, "downgrade" if back else "")
        for source in sources:
            text += "\n%s %s" % (source.get("sha256", "").lower(), source.get("path", ""))
        lend("verify", "require", "document", document, key, sha256(text.encode()).digest())
    return means


def check_app(document: dict, sources: "list[dict]", place: str, options: dict) -> tuple:
    """Check the files of an application, and its version. place: its folder. Otherwise see check_update()."""
    paths = []
    for source in sources:
        paths.append(source["path"])
    for source in sources:
        path = source["path"]
        check_plain("/" + path)
        if "sha256" not in source:
            raise ValueError(path + ": sha256 is missing")
        _check_part(path + ".part", paths)
        if "deflate" in source:
            _check_part(path + ".z", paths)
            _check_part(path + ".z.part", paths)
            try:
                import deflate  # noqa: F401
            except ImportError:
                raise ValueError("this board has no deflate: do not compress")
    return check_update(document, sources, place, options)


def check_root(path: str) -> None:
    """Check that jobs may write below a folder, given as a plain, absolute path. Raises ValueError naming the folder.

    Closed to jobs, because they guard the board or let it boot: the library, application, firmware glue, certificates,
    journal, settings and trial, and any new folder that would hide a module, since MicroPython treats a folder in the
    root as a package. Case is ignored, as on a FAT file system.
    """
    name = check_plain(path).split("/")[1]
    low = name.lower()
    if "." not in low and low not in _RESERVED and low[:3] != "app" and low[:5] not in ("ujobs", "trial"):
        try:
            os.stat("/" + name)
            return
        except OSError:
            pass
        try:
            __import__(name)
        except ImportError:
            return
    raise ValueError("folder /%s is closed to jobs" % name)


def check_plain(path: object) -> str:
    """Return a path that a job document gives, if it is plain and absolute.

    Raises ValueError unless it is a string of 2 to 255 characters without "..", ".", "//", backslashes, control
    characters, and names that end with a dot or blank, which a FAT file system drops.
    """
    if not isinstance(path, str) or not 1 < len(path) <= _MAX_PATH:
        raise ValueError("a path must be text of 2 to %d characters" % _MAX_PATH)
    names = path + "/"
    wrong = "//" in names or "./" in names or " /" in names or "\\" in names
    if wrong or not path.startswith("/") or min(path.encode()) < 32:
        raise ValueError("path %r is not plain and absolute" % path)
    return path


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


def _check_content(source, sized, hashed):
    if not isinstance(source, dict):
        raise ValueError("deflate must be an object")
    digest = source.get("sha256")
    if "sha256" not in source:
        if hashed:
            raise ValueError("sha256 is missing")
    elif not isinstance(digest, str) or len(digest) != 64 or digest.strip("0123456789abcdefABCDEF"):
        raise ValueError("sha256 must be 64 hex digits")
    if sized or "size" in source:
        check_number("size", source.get("size"))


def _signed(source):
    # That there is one, without its key.
    if not isinstance(source.get("signature"), str):
        raise ValueError("signature is missing: this board requires it")
    try:
        a2b_base64(source["signature"])
    except ValueError:
        raise ValueError("signature is not base64")


def _check_part(name, paths):
    if name in paths:
        raise ValueError("two of the files need " + name)
