"""Which umqtt.simple a measurement used: the real one, or the test double in tests/shims."""

from typing import Any

from ujobs_tools.board import umqtt


def used() -> dict[str, str]:
    """The entry that is added to the results of a section."""
    return {"client": umqtt.find()[1]}


def note(found: dict[str, Any]) -> str:
    """The note below a table of such results."""
    return f"umqtt.simple is {found['client']}."
