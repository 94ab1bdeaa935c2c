"""Measures and breaks ujobs, and generates pages from its sources: for work on ujobs itself, not for users."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
