"""What a job document says of the files it brings: checked before anything is fetched, then let go of.

A source: {"url": "https://…"} or {"stream": "name", "file": 0}, with "size" in bytes (needed for a stream), "sha256" in
hexadecimal, and "signature" in base64 where the board requires one, with "scheme" for RSA-PSS, see verify.check(). With
"deflate": {"size": 1500, "sha256": "…"} the file is sent compressed, in that many bytes.

Which version runs is kept in flash, and an update to a lower one is refused: `/app.version`, `/ota_1.version` hold the
version of what is in that folder or partition. On a board with a signing key the version, the files and a permission to
go back are signed together, so an old document cannot be used again.
"""

from binascii import a2b_base64
from hashlib import sha256

from . import lend, trial
from .agent import Reject

_MAX_VERSION = 64  # characters


def check(sources: "list[dict] | tuple[dict, ...]", options: dict, trusted: bool = False) -> tuple:
    """Check the sources, and return what fetch() needs for them: a TLS context and a signing key, each or None.

    options: of Agent.use(). `ca`: verifies HTTPS servers; `signing_key`: file or bytes of the public key, see
    verify.load_key(); every file then needs a signature, which replaces the SHA-256. trusted: whether HTTPS replaces
    the SHA-256, since AWS's own document for downloads has none.
    Raises ValueError naming the field, or for a `ca` that cannot be used; Reject without `ca`; OSError.
    """
    key = options.get("signing_key")
    https = False
    for source in sources:
        if not isinstance(source, dict) or ("url" in source) == ("stream" in source):
            raise ValueError("a file needs either url or stream")
        name = source.get("url", source.get("stream"))
        if not isinstance(name, str):
            raise ValueError("url and stream must be strings")
        if "url" in source:
            from .download import split_url

            try:
                secure = split_url(name)[0]
            except ValueError as error:
                raise ValueError("url: %s" % error)
            https = https or secure
        else:
            secure = False
            # It becomes part of a topic.
            if not name or any([mark in name for mark in "/+#"]):
                raise ValueError("stream is not a name")
            number = source.get("file", 0)
            if not isinstance(number, int) or not 0 <= number <= 255:
                raise ValueError("file must be 0 to 255")
        if key:
            _check_signature(source)
        packed = "deflate" in source
        _check_content(source, packed or "stream" in source, not key and not (trusted and secure))
        if packed:
            _check_content(source["deflate"], True, True)
    context = None
    if https:
        if not options.get("ca"):
            raise Reject("https needs the option ca")
        from .certificates import tls_context

        context = tls_context(options["ca"])
    return context, key


def check_update(document: dict, sources: "list[dict] | tuple[dict, ...]", place: str, options: dict) -> tuple:
    """Check that a document may bring its version, and its sources. Returns the same as check().

    place: the folder or partition in use, "/app" or "/ota_0". With a signing key a document that claims a version is
    signed as a whole, and its files need no signatures of their own. Raises the same as check(), and Reject.
    """
    version = str(document.get("version", ""))
    if len(version) > _MAX_VERSION:
        raise ValueError("version is over %d characters" % _MAX_VERSION)
    key = options.get("signing_key")
    # Without a version only the files are signed: anyone could have added a permission.
    back = document.get("downgrade") is True and bool(version or not key)
    running = trial.read(place + ".version")
    if numbers(version) < numbers(running) and not back:
        raise Reject('version %s is lower than %s: it needs "downgrade": true' % (version or "-", running))
    signed = version and key
    if signed:
        _check_signature(document)
        options = {"ca": options.get("ca")}
    means = check(sources, options)
    if signed:
        text = "%s\n%s\n%s" % (document.get("operation"), version, "downgrade" if back else "")
        for source in sources:
            text += "\n%s %s" % (source.get("sha256", "").lower(), source.get("path", ""))
        if not lend("verify", "signed", document, key, sha256(text.encode()).digest()):
            raise Reject("the document's signature does not match signing_key")
    return means


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


def _check_content(holder, needs_size, needs_digest):
    if not isinstance(holder, dict):
        raise ValueError("deflate must be an object")
    digest = holder.get("sha256")
    if "sha256" not in holder:
        if needs_digest:
            raise ValueError("sha256 is missing")
    elif not isinstance(digest, str) or len(digest) != 64:
        raise ValueError("sha256 must be 64 hex digits")
    size = holder.get("size", None if needs_size else 0)
    if not isinstance(size, int) or size < 0:
        raise ValueError("size must be a number of bytes")


def _check_signature(holder):
    # That there is one, without its key.
    if not isinstance(holder.get("signature"), str):
        raise ValueError("signature is missing: this board requires it")
    try:
        a2b_base64(holder["signature"])
    except ValueError:
        raise ValueError("signature is not base64")
