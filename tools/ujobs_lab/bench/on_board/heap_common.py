"""What both programs whose heap is measured have: the script they talk to, and a garbage collector that does nothing,
for the one that measures collects when no code is on its way. Runs on MicroPython only.
"""

import json
import random
import sys

import scripted

_QUIET = 8  # looks for an answer
script: scripted.Script


class _Collector:
    @staticmethod
    def collect():
        return 0


def prepare(document: str) -> None:
    """Put the script in the network's place. document: of each job, as JSON."""
    global script
    random.seed(1)
    script = scripted.Script(json.loads(document))
    scripted.install(script)
    sys.modules["gc"] = _Collector


def idle() -> bool:
    """Whether all jobs are done and nothing more is on its way."""
    return not script.jobs and script.silence > _QUIET
