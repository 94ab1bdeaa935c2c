"""`ujobs job`: creates and follows jobs with `ujobs_tools.aws.jobs`."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ujobs_tools.commands.errors import one_line, read_json
from ujobs_tools.commands.options import AbortAt, EndpointUrl, Profile, Rate, Region, Windows

_POLL = 1.0  # seconds between polls; AWS accepts ten control-plane calls a second

app = typer.Typer(no_args_is_help=True, help="Jobs: create, watch, list, describe, cancel, delete.")

def _job_id(given: str) -> str:
    from ujobs_tools.aws.jobs import JOB_ID

    if not JOB_ID.fullmatch(given):
        raise typer.BadParameter(f"{given!r} must be 1 to 64 characters of a-z A-Z 0-9 _ -")
    return given


JobId = Annotated[str, typer.Argument(help="Job id: 1 to 64 characters of a-z A-Z 0-9 _ -", callback=_job_id)]


@app.command()
def create(
    job_id: JobId,
    thing: Annotated[list[str] | None, typer.Option(help="Thing that runs the job. Can be repeated.")] = None,
    group: Annotated[list[str] | None, typer.Option(help="Thing group that runs the job. Can be repeated.")] = None,
    document: Annotated[str | None, typer.Option(help='Job document, such as \'{"operation": "reboot"}\'.')] = None,
    document_file: Annotated[Path | None, typer.Option(help="File with the job document.")] = None,
    continuous: Annotated[bool, typer.Option("--continuous", help="Include things that join the group later.")] = False,
    timeout: Annotated[
        int | None, typer.Option(min=1, max=10080, help="Minutes that an execution may be in progress.")
    ] = None,
    retries: Annotated[
        int | None, typer.Option(min=1, max=10, help="How often a failed execution is queued again.")
    ] = None,
    rate: Rate = None,
    abort_at: AbortAt = None,
    window: Windows = None,
    template: Annotated[
        str | None, typer.Option(help="Name or ARN of a job template, for everything not given here.")
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option(help="Parameter NAME=VALUE of one of AWS's templates. Can be repeated.")
    ] = None,
    endpoint_url: EndpointUrl = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Create a job for things and thing groups. Default: the thing in ujobs.toml.

    Exit codes: 0 created; 1 not created; 2 wrong arguments, file or setting.
    """
    from ujobs_tools.aws import jobs, stages
    from ujobs_tools.project import ujobs_toml

    with iot("create", endpoint_url, region, profile) as client:
        if (document is not None) + (document_file is not None) > 1:
            raise ValueError("give the job document with --document or with --document-file, not both")
        text = document if document_file is None else read_json(document_file)
        if document is not None and not document.lstrip().startswith(("{", "[")):
            name = document.removeprefix("file://").removeprefix("@") or "FILE"
            raise ValueError(f"document must be a JSON object; for a file use --document-file {name}")
        if text is None and template is None:
            raise ValueError("give the job document with --document or --document-file, or a --template")
        staged = stages.options(rate, abort_at, stages.windows(window, continuous))
        staged |= stages.parameters(parameter, template)
        staged = stages.of_template(client, template) | staged
        things = ujobs_toml.things(thing, group)
        made = jobs.create_job(client, job_id, text, things, group or [], continuous, timeout, retries, **staged)
        typer.echo(made)


@app.command()
def watch(
    job_id: JobId, endpoint_url: EndpointUrl = None, region: Region = None, profile: Profile = None
) -> None:
    """Show a job until all its executions have ended: rate, next window, end, number of executions in each state, and
    the executions that are in progress or failed.

    Exit codes: 0 all succeeded; 1 not all, or an error; 2 wrong arguments, file or setting.
    """
    from rich.console import Console
    from rich.live import Live

    from ujobs_tools.aws import executions, jobs

    console = Console()
    with iot("watch", endpoint_url, region, profile) as client:
        watched = jobs.Watch(client, job_id)
        with contextlib.suppress(KeyboardInterrupt), Live(console=console, transient=True) as display:
            while not watched.look():
                display.update(executions.overview(watched.statuses, watched.shown, watched.about), refresh=True)
                time.sleep(_POLL)
        console.print(executions.overview(watched.statuses, watched.shown, watched.about))
    if set(watched.statuses.values()) != {"SUCCEEDED"}:
        raise typer.Exit(1)


@contextlib.contextmanager
def iot(command: str, endpoint_url: str | None, region: str | None, profile: str | None) -> Iterator[Any]:
    """The boto3 client. Its errors and ValueError end the command with one line."""
    from ujobs_tools.aws import cloud

    with one_line(f"job {command}", cloud.CloudError), cloud.one_line_errors():
        yield cloud.client("iot", endpoint_url, region, profile)
