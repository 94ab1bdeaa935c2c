"""The same device by hand, see by_hand.py. Runs on MicroPython only.

Options: of connecting.py; jobs, after which it ends, 0 for never; keep_alives, how many `job_id` sends.
"""

import gc
import json
import os
import time

import connecting
from by_hand import Jobs


def main() -> None:
    """Do jobs; in the end print how long it took, and how much heap is in use."""
    options = json.loads(os.getenv("UJOBS_BENCH"))
    done = 0

    def run(document):
        nonlocal done
        done += 1
        for _ in range(options.get("keep_alives", 0)):
            jobs.update(options["job_id"], {"status": "IN_PROGRESS", "stepTimeoutInMinutes": 10})
        return {"steps": str(len(document["steps"]))}

    jobs = Jobs(options["thing"].encode(), options["host"], options["port"], connecting.tls(options), run)
    began = time.ticks_us()
    jobs.connect()
    while not options["jobs"] or done < options["jobs"]:
        jobs.client.wait_msg()
    jobs.client.disconnect()
    took = time.ticks_diff(time.ticks_us(), began)
    gc.collect()
    print(json.dumps({"microseconds": took, "held": gc.mem_alloc()}))
