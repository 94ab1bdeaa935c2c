"""The demo's seven jobs: quick, long, failing, rejected, reboot, cancelled, and one that a power cut interrupts."""

import dataclasses

from ujobs_tools.aws.executions import TERMINAL
from ujobs_tools.demo.jobs import JOBS, DemoJob, well_under_way
from ujobs_tools.qualify.bench import Bench
from ujobs_tools.qualify.case import RESET_LINE, Case, Unexpected

_PATIENCE = 120.0  # seconds


def _case(job: DemoJob) -> Case:
    def run(bench: Bench) -> str:
        account = bench.account
        job_id = account.create(job.document)
        if job.event:
            account.wait(job_id, _PATIENCE, well_under_way)
            if job.event == "cancel":
                account.cancel(job_id)
            else:
                bench.board.reset_line()
        execution = account.wait(job_id, _PATIENCE)
        # Do not check the duration: jobs.outlive-work does.
        wrong = dataclasses.replace(job, check=lambda history: "").verdict(execution, account.history(job_id))
        if wrong:
            raise Unexpected(wrong)
        return str(execution["status"])

    assert job.status in TERMINAL
    needs = (RESET_LINE,) if job.event == "power cut" else ()
    name = job.job_id.partition("-")[2]
    details = ", ".join(f"{key}: {value}" for key, value in job.details.items())
    return Case(f"jobs.{name}", f"{job.shows}: {job.status} {details}".rstrip(), run, needs)


CASES = tuple(_case(job) for job in JOBS)
