"""Common parts of both programs whose heap is measured: the script that they talk to, and a garbage collector that does
nothing, because the measuring program collects between turns. Runs on MicroPython only.
"""

import json
import random
import sys

import scripted

_QUIET = 8  # polls without a reply
script: scripted.Script


class _Collector:
    @staticmethod
    def collect():
        return 0


def prepare(document: str) -> None:
    """Replace the network by the script. document: of each job, as JSON."""
    global script
    random.seed(1)
    script = scripted.Script(json.loads(document))
    scripted.install(script)
    sys.modules["gc"] = _Collector


def idle() -> bool:
    """Whether all jobs are done and no more packets are waiting."""
    return not script.jobs and script.silence > _QUIET
