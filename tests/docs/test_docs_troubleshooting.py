"""docs/troubleshooting.md has every message that a board prints, and no others."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from documented import DOCS, relative

from ujobs_lab import REPOSITORY

SOURCES = [
    *sorted((REPOSITORY / "lib" / "ujobs").rglob("*.py")),
    *(path for path in sorted((REPOSITORY / "firmware").glob("*.py")) if path.name != "manifest.py"),
    REPOSITORY / "boot.py",
    REPOSITORY / "main.py",
]
# Messages of MicroPython and its TLS library. Error numbers are newlib's, as on an ESP32, not those of Linux.
PLATFORM = {
    "/settings.json: OSError(2,)", "/settings.json: ValueError('syntax error in JSON',)", "[Errno 2] ENOENT",
    "invalid cert", "invalid key", "OSError: -202", "OSError: [addrinfo error -2]", "OSError: [Errno 128] ENOTCONN",
    "OSError: [Errno 111] ECONNREFUSED", "OSError: (-29184, 'MBEDTLS_ERR_SSL_INVALID_RECORD')",
    "OSError: [Errno 116] ETIMEDOUT", "OSError: [Errno 118] EHOSTUNREACH", "OSError: [Errno 104] ECONNRESET",
    "OSError: 32",
    "OSError: (-30592, 'MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE')", "MemoryError: memory allocation failed",
    "ValueError: The certificate is not correctly signed by the trusted CA",
    "ValueError: The certificate Common Name (CN) does not match with the expected CN",
    "ValueError: The certificate validity starts in the future", "ValueError: The certificate validity has expired",
    "TimeoutError",
}


def templates(node: ast.expr) -> list[str]:
    """The strings that an expression can produce, with … for the parts known only at run time."""
    if isinstance(node, ast.Constant):
        return [re.sub(r"(?:%(?:\.\d+)?[srdf])+", "…", str(node.value))]
    if isinstance(node, ast.JoinedStr):
        return ["".join(templates(value)[0] for value in node.values)]
    if isinstance(node, ast.IfExp):
        return templates(node.body) + templates(node.orelse)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return templates(node.left)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [left + right for left in templates(node.left) for right in templates(node.right)]
    return ["…"]


def printed(tree: ast.AST) -> Iterator[str]:
    """The messages that log() and print() are called with; not variables that are only passed on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("log", "print"):
            text = " ".join(templates(argument)[0] for argument in node.args)
            if node.func.id == "log" or text != "…":
                yield ("ujobs: " if node.func.id == "log" else "") + text


def texts(tree: ast.AST) -> Iterator[str]:
    """Every string in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
            yield from templates(node)


TREES = {path: ast.parse(path.read_text()) for path in SOURCES}
PAGE = (DOCS / "troubleshooting.md").read_text()
# A heading is one message; a list entry begins with one or more messages that share an explanation.
ENTRIES = re.findall(r"^- ((?:`[^`]+`(?:,\s+)?)+)", PAGE, re.MULTILINE)
MESSAGES = re.findall(r"^### `(.+)`$", PAGE, re.MULTILINE) + [
    " ".join(message.split()) for entry in ENTRIES for message in re.findall(r"`([^`]+)`", entry)
]


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_every_message_of_a_board_is_explained(path: Path) -> None:
    assert [message for message in printed(TREES[path]) if message not in MESSAGES] == []


def test_only_messages_of_a_board_are_explained() -> None:
    known = {text for tree in TREES.values() for text in (*texts(tree), *printed(tree))}
    assert [message for message in MESSAGES if message not in known | PLATFORM] == []
    assert len(MESSAGES) == len(set(MESSAGES)) > 90


def test_messages_are_extracted_as_they_are_printed() -> None:
    source = "log('job %s: %s' % (a, b))\nprint(f'no time from {host}: {error!r}')\nprint('x:', y, 'z')\nprint(error)\n"
    assert list(printed(ast.parse(source))) == ["ujobs: job …: …", "no time from …: …", "x: … z"]
