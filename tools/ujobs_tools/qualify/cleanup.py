"""Removes what a run has made in the cloud: jobs, streams, things, and their certificates and policies."""

from collections.abc import Iterator
from typing import Any

from ujobs_tools import cloud, removal
from ujobs_tools.cloud import CloudError


def clean(iot: Any, prefix: str) -> Iterator[str]:
    """Remove all that has the prefix; what was removed, in words, one by one. Goes on after a failure, and raises
    CloudError at the end for what is left."""
    left = []
    for what, names, remove in (
        ("job", _names(iot, "list_jobs", "jobs", "jobId"), lambda name: iot.delete_job(jobId=name, force=True)),
        ("stream", _names(iot, "list_streams", "streams", "streamId"), lambda name: iot.delete_stream(streamId=name)),
        ("thing", _names(iot, "list_things", "things", "thingName"), lambda name: removal.delete_thing(iot, name)),
    ):
        for name in names:
            if not name.startswith(prefix):
                continue
            try:
                with cloud.one_line_errors():
                    removed = remove(name)
            except CloudError as error:
                left.append(f"{what} {name}: {error}")
                continue
            yield from removed if isinstance(removed, list) else [f"{what} {name}"]
    if left:
        raise CloudError("; ".join(left))


def in_short(removed: Iterator[str]) -> Iterator[str]:
    """Lines for the user: jobs, of which there are many, as their number."""
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
