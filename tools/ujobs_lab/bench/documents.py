"""Job documents for measurements."""

import json
from typing import Any


def document(size: int) -> dict[str, Any]:
    """A job document of about `size` bytes of JSON, with the types of values that documents usually have."""
    found: dict[str, Any] = {"operation": "measure", "url": "https://example.com/" + "x" * 60, "steps": []}
    while len(json.dumps(found)) < size - 60:
        number = len(found["steps"])
        found["steps"].append({"name": f"step {number}", "seconds": number, "force": False})
    return found


def document_text(size: int) -> str:
    """The same document as JSON."""
    return json.dumps(document(size))
