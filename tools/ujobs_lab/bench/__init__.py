"""Measurements: what the local Jobs service carries."""
