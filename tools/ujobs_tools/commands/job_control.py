"""`ujobs job list`, `describe`, `cancel` and `delete`."""

import json
from typing import Annotated, Any

import typer

from ujobs_tools.commands.job import JobId, app, iot
from ujobs_tools.commands.options import EndpointUrl, Profile, Region

# The parameter is named `only`: one named `thing` would get its default from ujobs.toml.
OneThing = Annotated[str | None, typer.Option("--thing", help="Only the execution of this thing.")]


@app.command("list")
def list_jobs(
    only: Annotated[str | None, typer.Option("--thing", help="Only executions of this thing.")] = None,
    status: Annotated[str | None, typer.Option(help="Only jobs, or executions, with this status.")] = None,
    endpoint_url: EndpointUrl = None, region: Region = None, profile: Profile = None,
) -> None:
    """List jobs, one per line: id, status, and time when it was created or queued.

    Exit codes: 0 listed; 1 not listed; 2 wrong arguments, file or setting.
    """
    chosen = {"status": status.upper()} if status else {}
    with iot("list", endpoint_url, region, profile) as client:
        if only is None:
            for page in client.get_paginator("list_jobs").paginate(**chosen):
                for job in page["jobs"]:
                    typer.echo(f"{job['jobId']}  {job['status']}  {job['createdAt']:%Y-%m-%d %H:%M:%S}")
            return
        for page in client.get_paginator("list_job_executions_for_thing").paginate(thingName=only, **chosen):
            for execution in page["executionSummaries"]:
                summary = execution["jobExecutionSummary"]
                typer.echo(f"{execution['jobId']}  {summary['status']}  {summary['queuedAt']:%Y-%m-%d %H:%M:%S}")


@app.command()
def describe(
    job_id: JobId, only: OneThing = None,
    endpoint_url: EndpointUrl = None, region: Region = None, profile: Profile = None,
) -> None:
    """Show a job, its document and its executions; with --thing one execution with version and status details.

    Exit codes: 0 shown; 1 not shown; 2 wrong arguments, file or setting.
    """
    from rich.console import Console

    from ujobs_tools.aws import executions, jobs

    console = Console(highlight=False)
    with iot("describe", endpoint_url, region, profile) as client:
        if only is not None:
            execution = client.describe_job_execution(jobId=job_id, thingName=only)["execution"]
            names = ("status", "executionNumber", "versionNumber", "queuedAt", "startedAt", "lastUpdatedAt")
            shown = {name: execution[name] for name in names if name in execution}
            _show(console, shown | executions.details_of(execution))
            return
        job = client.describe_job(jobId=job_id)["job"]
        document = client.get_job_document(jobId=job_id)["document"]
        names = ("status", "comment", "targetSelection", "jobTemplateArn", "createdAt", "completedAt")
        shown = {name: job[name] for name in names if name in job}
        _show(console, shown | {"targets": ", ".join(job["targets"]), "document": json.dumps(json.loads(document))})
        watched = jobs.Watch(client, job_id)
        watched.look()
        console.print(executions.overview(watched.statuses, watched.shown, watched.about))


@app.command()
def cancel(
    job_id: JobId,
    force: Annotated[bool, typer.Option("--force", help="Include executions in progress.")] = False,
    only: OneThing = None,
    endpoint_url: EndpointUrl = None, region: Region = None, profile: Profile = None,
) -> None:
    """Cancel a job's queued executions; with --force also those in progress, even if the job is already cancelled.

    Exit codes: 0 cancelled; 1 not cancelled; 2 wrong arguments, file or setting.
    """
    with iot("cancel", endpoint_url, region, profile) as client:
        if only is not None:
            client.cancel_job_execution(jobId=job_id, thingName=only, force=force)
            typer.echo(f"cancelled: the execution of {job_id} for {only}")
            return
        before = _unfinished(client, job_id)
        ended = client.describe_job(jobId=job_id)["job"]["status"] == "CANCELED"
        if not ended:
            client.cancel_job(jobId=job_id, force=force)
        elif force:
            # CancelJob refuses a cancelled job, so cancel each execution.
            for name in before:
                client.cancel_job_execution(jobId=job_id, thingName=name, force=True)
        going_on = _unfinished(client, job_id)
        cancelled = [name for name in before if name not in going_on]
        typer.echo(f"cancelled: {', '.join(cancelled) or 'no execution'}")
        if going_on:
            typer.echo(f"still in progress: {', '.join(going_on)}; --force also cancels these")


@app.command()
def delete(
    job_id: JobId,
    force: Annotated[bool, typer.Option("--force", help="Also delete a job that is in progress.")] = False,
    endpoint_url: EndpointUrl = None, region: Region = None, profile: Profile = None,
) -> None:
    """Delete a job with all its executions and their history.

    Exit codes: 0 deleted; 1 not deleted; 2 wrong arguments, file or setting.
    """
    with iot("delete", endpoint_url, region, profile) as client:
        client.delete_job(jobId=job_id, force=force)
        typer.echo(f"deleted: {job_id}")


def _unfinished(client: Any, job_id: str) -> list[str]:
    """Return the things whose execution of the job is queued or in progress."""
    pages = client.get_paginator("list_job_executions_for_job").paginate(jobId=job_id)
    return [
        summary["thingArn"].rpartition("/")[2]
        for page in pages for summary in page["executionSummaries"]
        if summary["jobExecutionSummary"]["status"] in ("QUEUED", "IN_PROGRESS")
    ]


def _show(console: Any, members: dict[str, Any]) -> None:
    from ujobs_tools.aws.executions import in_words

    for name, value in members.items():
        console.print(in_words({name: str(value)}))
