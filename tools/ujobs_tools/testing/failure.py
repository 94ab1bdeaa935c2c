"""Sections about the job, the board and the service in the report of a failed test."""

from ujobs_tools.aws.executions import in_words
from ujobs_tools.testing.alone import RunJob
from ujobs_tools.testing.console import BoardOnConsole
from ujobs_tools.testing.jobs_service import Job, JobsService


def sections(run_job: object, board: object, service: object, lines: int) -> list[tuple[str, str]]:
    """Return headings and texts: the last result of run_job, the last lines of the console, the last messages, the
    versions of each job's execution. lines: maximum number of lines of a section."""
    found = []
    if isinstance(run_job, RunJob) and run_job.last is not None:
        last = run_job.last
        result = f"{last.status}  {in_words(last.details)}".rstrip()
        found.append(("the last job of run_job", "\n".join([result, *last.console.splitlines()[-lines:]])))
    if isinstance(board, BoardOnConsole):
        found.append(("the board's console", "\n".join(board.console.splitlines()[-lines:])))
    if isinstance(service, JobsService):
        messages = service.messages()
        if messages:
            found.append(("the board's messages, requests with replies", "\n".join(messages[-lines:])))
        found += [(f"versions of {job.job_id}", _versions(job)) for job in service.jobs]
    return found


def _versions(job: Job) -> str:
    try:
        history = job.history
    except OSError as error:
        return f"not known: {error}"
    return "\n".join(f"{entry.number}  {entry.status}  {in_words(entry.details)}".rstrip() for entry in history)
