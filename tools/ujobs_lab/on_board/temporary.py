"""Names for the files and folders of tests and measurements. Who starts them removes TMPDIR, and so what they leave."""

import os


def temporary(name):
    """Return a path in TMPDIR that nothing has yet. name: what it ends with."""
    # MicroPython in a browser or Node.js has no environment.
    folder = hasattr(os, "getenv") and os.getenv("TMPDIR")
    return "%s/ujobs-%s-%s" % (folder or "/tmp", os.urandom(4).hex(), name)
