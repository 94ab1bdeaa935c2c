"""The documents of the jobs that are measured."""

import json
from typing import Any


def document(size: int) -> dict[str, Any]:
    """A job document of about so many bytes of JSON, made of the kinds of values that such documents have."""
    found: dict[str, Any] = {"operation": "measure", "url": "https://example.com/" + "x" * 60, "steps": []}
    while len(json.dumps(found)) < size - 60:
        number = len(found["steps"])
        found["steps"].append({"name": f"step {number}", "seconds": number, "force": False})
    return found


def document_text(size: int) -> str:
    """The same as JSON."""
    return json.dumps(document(size))
