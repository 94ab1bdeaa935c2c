"""The error for a section whose tools are not installed."""


class Missing(Exception):
    """A tool is not installed; the message names it and says how to install it."""
