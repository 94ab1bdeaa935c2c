"""Which umqtt.simple a measurement stands on: the real one, or the double in tests/shims."""

from typing import Any

from ujobs_tools.board import umqtt


def used() -> dict[str, str]:
    """For the figures of a section."""
    return {"client": umqtt.find()[1]}


def note(found: dict[str, Any]) -> str:
    """What figures with that say below their table."""
    return f"umqtt.simple is {found['client']}."
