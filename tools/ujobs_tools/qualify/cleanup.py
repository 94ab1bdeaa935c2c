"""Removes what a run has created in the cloud: jobs, streams, things, and their certificates and policies."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from ujobs_tools.aws import cloud, removal
from ujobs_tools.aws.cloud import CloudError

_TRIES = 60


def clean(iot: Any, prefix: str) -> Iterator[str]:
    """Remove everything whose name begins with the prefix; yields what was removed. Continues after a failure, and
    raises CloudError at the end, naming what is left."""
    left = []
    for what, operation, member, remove in (
        ("job", "list_jobs", "jobId", lambda name: delete_job(iot, name)),
        ("thing", "list_things", "thingName", lambda name: removal.delete_thing(iot, name)),
        ("stream", "list_streams", "streamId", lambda name: iot.delete_stream(streamId=name)),
    ):
        try:
            names = [name for name in _names(iot, operation, f"{what}s", member) if name.startswith(prefix)]
        except CloudError as error:
            left.append(str(error))
            continue
        for name in names:
            try:
                with cloud.one_line_errors():
                    removed = remove(name)
            except CloudError as error:
                left.append(f"{what} {name}: {error}")
                continue
            yield from removed if isinstance(removed, list) else [f"{what} {name}"]
    if left:
        raise CloudError("; ".join(left))


def delete_job(iot: Any, name: str, pause: float = 1.0) -> None:
    """Delete a job, even one in progress. AWS deletes at most ten jobs at a time, so a rejected call is retried after
    `pause` seconds. Raises boto3's errors."""
    for _ in range(_TRIES):
        with contextlib.suppress(iot.exceptions.LimitExceededException):
            iot.delete_job(jobId=name, force=True)
            return
        time.sleep(pause)
    iot.delete_job(jobId=name, force=True)


def in_short(removed: Iterator[str]) -> Iterator[str]:
    """Return lines for the user. Jobs are only counted, because there are many."""
    jobs = 0
    for one in removed:
        if one.startswith("job "):
            jobs += 1
        else:
            yield f"removed  {one}"
    yield f"removed  {jobs} jobs"


def _names(iot: Any, operation: str, member: str, name: str) -> list[str]:
    with cloud.one_line_errors():
        return [str(one[name]) for page in iot.get_paginator(operation).paginate() for one in page[member]]
