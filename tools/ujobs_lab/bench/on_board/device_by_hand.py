"""The device by hand, see by_hand.py. Runs on MicroPython only.

Options: those of connecting.py; jobs, after which it ends, 0: never; progress_updates, sent for the job `job_id`.
"""

import json
import os

import connecting
from by_hand import Jobs


def main(kind=Jobs) -> None:
    """Do jobs, and print the time. kind: class of the client."""
    options = json.loads(os.getenv("UJOBS_BENCH"))
    watch = connecting.Watch()
    progress_updates = options.get("progress_updates", 0)
    done = 0

    def run(document):
        nonlocal done
        done += 1
        watch.job()
        if progress_updates:
            for _ in range(progress_updates):
                jobs.update(options["job_id"], {"status": "IN_PROGRESS", "stepTimeoutInMinutes": 10})
            watch.progress_updates(progress_updates)
        return {"steps": str(len(document["steps"]))}

    jobs = kind(options["thing"].encode(), options["host"], options["port"], connecting.tls(options), run)
    jobs.connect()
    while not options["jobs"] or done < options["jobs"]:
        jobs.client.wait_msg()
    jobs.client.disconnect()
    watch.show()
