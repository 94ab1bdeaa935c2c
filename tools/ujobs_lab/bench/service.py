"""`make bench-service`: the load that `ujobs serve` carries here, next to the same messages through mosquitto.

1,000 things, each with its own certificate, connect at the same time; another column has 5,000. Jobs for 100 things
each are created without a pause; then jobs for one thing each, the next one when the one before is done. In the end,
boto3 checks every execution: it must be the first, SUCCEEDED, and at the version number that shows that no update was
lost or applied twice."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ujobs_lab.bench import report, servers
from ujobs_lab.bench.control import ControlPlane
from ujobs_lab.bench.measure import kill_in_the_middle, measure
from ujobs_lab.bench.report import Report
from ujobs_lab.bench.servers import ujobs_serve
from ujobs_lab.external import mosquitto
from ujobs_tools.host.processes import NotReady
from ujobs_tools.service.broker import SPARE_FILES

_MOST = 5000


def main(
    things: Annotated[int, typer.Option(min=1, max=_MOST, help="Number of things.")] = 1000,
    many: Annotated[
        int, typer.Option(min=0, max=_MOST, help="Number of things in another column, over TLS; 0: no such column.")
    ] = _MOST,
    jobs_per_thing: Annotated[int, typer.Option(min=1, max=100, help="Jobs for each thing.")] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all results to this file.")] = None,
) -> None:
    """Measure the local Jobs service. The exit code is 1 if anything was lost."""
    console = Console(highlight=False)
    names = [f"thing-{number:04}" for number in range(max(things, many))]
    try:
        servers.raise_open_files(len(names) + SPARE_FILES)
        with tempfile.TemporaryDirectory(prefix="ujobs-bench-") as temporary:
            found = _measure_all(Path(temporary), names, things, many, jobs_per_thing, console.print)
    except (NotReady, OSError) as error:
        typer.echo(f"bench-service: {error}", err=True)
        raise typer.Exit(1) from None
    report.show(console, found)
    if json_file is not None:
        json_file.write_text(report.as_json(found))
    if found.problems:
        raise typer.Exit(1)


def _measure_all(
    folder: Path, names: list[str], things: int, many: int, jobs_per_thing: int, say: Callable[[str], None]
) -> Report:
    plain = dict.fromkeys(names[:things])
    with ujobs_serve(folder) as service, ControlPlane(service.endpoint_url) as control:
        say(f"creating {len(names)} things and their certificates")
        everybody = servers.contexts(service.authority, control.create_things(names))
        secure = {name: everybody[name] for name in plain}
        wanted = [("serve TLS", secure), ("serve", plain)]
        if many:
            wanted.append((f"serve TLS {many}", {name: everybody[name] for name in names[:many]}))
        results, jobs = [], {}
        for name, contexts in wanted:
            say(name)
            service.restart()
            result, done = measure(name, service.server(control), contexts, jobs_per_thing)
            results.append(result)
            jobs |= done
        say("kill")
        service.restart()
        kill, done = kill_in_the_middle(service, service.server(control), secure)
        say("checking every execution with boto3")
        wrong = control.verify(jobs | done)
        wrong += [line for line in service.log.splitlines() if re.search("WARNING|ERROR|Traceback", line)]
        authority = service.authority
        program = mosquitto.find("mosquitto")
        if program is None:
            say("mosquitto is missing: install it with `python -m ujobs_lab.external.mosquitto`")
        else:
            for name, contexts in (("mosquitto TLS", secure), ("mosquitto", plain)):
                say(name)
                with servers.mosquitto(program, folder, authority) as server:
                    results.append(measure(name, server, contexts, jobs_per_thing)[0])
    return Report(results, kill, wrong)


if __name__ == "__main__":
    typer.run(main)
