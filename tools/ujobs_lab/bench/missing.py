"""What a section raises on a machine that lacks what it measures with."""


class Missing(Exception):
    """Something is not installed; the text says what, and how to get it."""
