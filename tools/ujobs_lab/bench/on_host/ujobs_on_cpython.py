"""A device that does jobs with ujobs, on CPython, through what makes it look like a board (tests/shims)."""

import asyncio
import json
import os
import sys
from typing import Any

from ujobs_lab import REPOSITORY
from ujobs_tools.board import umqtt

_ROOT = REPOSITORY


def main() -> None:
    """Do jobs until killed, or with the option idle until none is left."""
    sys.path[:0] = [str(umqtt.find()[0]), str(_ROOT / "lib"), str(_ROOT / "tests" / "shims")]
    options = json.loads(os.environ["UJOBS_BENCH"])
    _import("boardlike").install()
    folder = options["certificates"]
    certificates = {name: f"{folder}/{name}.der" for name in ("cert", "key", "ca")}
    agent = _import("ujobs.agent").Agent(
        options["thing"], options["host"], port=options["port"], directory=options["journal"], **certificates
    )

    async def measure(job: Any) -> dict[str, str]:
        return {"steps": str(len(job.document["steps"]))}

    agent.on("measure")(measure)
    asyncio.run(agent.run(until_idle=options["idle"]))
    print(json.dumps({}))


def _import(name: str) -> Any:
    # Only there once the path says where.
    __import__(name)
    return sys.modules[name]


if __name__ == "__main__":
    main()
