"""Clients that pip does not install: what becomes of a test that does not find one."""

import os

import pytest


def require(found: object, client: str, how: str) -> None:
    """Skip the test when a client was not found, saying how to get it.

    Where UJOBS_ALL_CLIENTS is set, as in CI, that is a failure: nothing is left out there.
    """
    if found:
        return
    text = f"{client} is missing: {how}"
    if os.environ.get("UJOBS_ALL_CLIENTS"):
        pytest.fail(text)
    pytest.skip(text)
