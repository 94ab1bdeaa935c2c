"""The cases of the programme, in the order in which they run."""

from ujobs_tools.qualify.case import Case
from ujobs_tools.qualify.cases import (
    cancelled,
    demo_jobs,
    document,
    downloads,
    duplicate,
    facts,
    mqtt,
    outlived,
    power,
    queued,
    retry,
    signatures,
    sleep,
    tls,
    updates,
    wear,
)

CASES: tuple[Case, ...] = (
    *facts.CASES,
    *demo_jobs.CASES,
    *queued.CASES,
    *document.CASES,
    *retry.CASES,
    *cancelled.CASES,
    *duplicate.CASES,
    *outlived.CASES,
    *power.CASES,
    *tls.CASES,
    *mqtt.CASES,
    *updates.CASES,
    *downloads.CASES,
    *signatures.CASES,
    *sleep.CASES,
    *wear.CASES,
)
