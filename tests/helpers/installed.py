"""Clients that pip does not install: skips or fails a test whose client is missing."""

import os

import pytest


def require(found: object, client: str, how: str) -> None:
    """Skip the test if a client was not found, and say how to install it.

    With UJOBS_ALL_CLIENTS set, as in CI, the test fails instead.
    """
    if found:
        return
    text = f"{client} is missing: {how}"
    if os.environ.get("UJOBS_ALL_CLIENTS"):
        pytest.fail(text)
    pytest.skip(text)
