"""`ujobs deploy` and `ujobs provision`: update a board on a cable with `ujobs_tools.deploy`."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ujobs_tools.board.settings import make_settings, wifi_network
from ujobs_tools.commands.errors import one_line
from ujobs_tools.commands.options import (
    Ca,
    EndpointUrl,
    MqttPort,
    Profile,
    Region,
    Settings,
    ThingName,
    WifiPassword,
    WifiSsid,
)
from ujobs_tools.host.terminal import plain

if TYPE_CHECKING:
    from ujobs_tools.deploy.plan import Plan
    from ujobs_tools.deploy.remote import Remote

Port = Annotated[str | None, typer.Option(help="Serial port. Default: the only board that is plugged in.")]
App = Annotated[
    Path | None, typer.Option(help="Application: a file, or a folder with app.py. Default: leave it unchanged.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")]


def deploy(port: Port = None, app: App = None, dry_run: DryRun = False) -> None:
    """Deploy the library, boot.py, main.py and an application, compiled for the board's MicroPython.

    Only changed files are sent. The board's program is stopped first. If you unplug the board half-way, it starts with
    its old files.

    Exit codes: 0 done; 1 not done; 2 wrong arguments, file or setting.
    """
    with board_work("deploy"):
        remote = connect(port)
        with remote.reset_on_failure():
            _install(remote, app, {}, dry_run)
        remote.reset()


def provision(
    thing: ThingName,
    port: Port = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the thing's key and certificates. Default: things/THING.")
    ] = None,
    app: App = None,
    settings: Annotated[
        Path | None, typer.Option(help="settings.json to start from. Default: the example in firmware/.")
    ] = None,
    set_: Settings = None,
    wifi_ssid: WifiSsid = None,
    wifi_password: WifiPassword = None,
    mqtt_port: MqttPort = None,
    patience: Annotated[int, typer.Option(help="Seconds to wait for the board to connect.")] = 90,
    endpoint_url: EndpointUrl = None,
    ca: Ca = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Provision a board: create its thing, key, certificate and policy, write its settings, and deploy to it.

    Ends when the board reports that it has connected. If the folder already holds the thing's key, that key is used.

    Exit codes: 0 the board has connected; 1 it has not; 2 wrong arguments, file or setting.
    """
    from ujobs_tools.board.files import application_files
    from ujobs_tools.deploy import ports
    from ujobs_tools.deploy import provision as provisioning

    folder = out or Path("things") / thing
    with board_work("provision"):
        # Check the board, the settings and the application before anything is created in the cloud.
        given: dict[str, Any] = {"thing": thing}
        if wifi_ssid or settings is None:
            given["wifi"] = wifi_network(wifi_ssid, wifi_password)

        def make(**where: Any) -> dict[str, Any]:
            return make_settings(settings, {**given, **where}, set_ or [], wifi_password)

        make(host="unknown")
        if app:
            application_files(app)
        remote = connect(port)
        with remote.reset_on_failure():
            host, mqtt = provisioning.credentials(thing, folder, endpoint_url, region, profile, ca, mqtt_port)
            contents = make(host=host, port=mqtt)
            if contents.get("wifi") is None:
                typer.echo("without --wifi-ssid, the board uses a wired network")
            typer.echo(f"{thing}: key and certificates are in {folder}")
            _install(remote, app, provisioning.board_files(contents, folder), False)
        name = remote.port
        provisioning.prove(ports.lines(name, patience, remote.restart()), lambda line: typer.echo(f"  {plain(line)}"))
        typer.echo(f"{thing} has connected to {host}")


def board_work(command: str) -> AbstractContextManager[None]:
    """`one_line` with the errors of commands that use a board on a cable."""
    from ujobs_tools.aws.cloud import CloudError
    from ujobs_tools.board.interpreter import InterpreterError
    from ujobs_tools.deploy.ports import BoardError

    return one_line(command, BoardError, CloudError, InterpreterError)


def connect(port: str | None) -> "Remote":
    """Connect to the board at a port; None for the only board. Raises BoardError."""
    from ujobs_tools.deploy import ports
    from ujobs_tools.deploy.remote import Remote

    return Remote(ports.choose(port))


def _install(remote: "Remote", app: Path | None, further: dict[str, bytes], dry_run: bool) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from ujobs_tools.deploy import install

    plan = install.plan_for(remote, app, further)
    if dry_run:
        typer.echo(_preview(plan))
        return
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=plan.size())
        install.carry_out(remote, plan, lambda path, size: bar.update(task, advance=size, description=path))
    typer.echo(_summary(plan))


def _preview(plan: "Plan") -> str:
    lines = [f"write   {path}  {len(content)} bytes" for path, content in plan.write.items()]
    lines += [f"copy    {source} to {path}" for path, source in plan.copy.items()]
    lines += [f"remove  {path}" for path in (*plan.leftovers, *plan.remove)]
    if plan.slot:
        lines.append(f"start   the application in {plan.slot}")
    return "\n".join([*lines, f"{plan.same} files are up to date"])


def _summary(plan: "Plan") -> str:
    if plan.nothing():
        return f"nothing to do: {plan.same} files are up to date"
    files = f"{len(plan.write)} file{'s' * (len(plan.write) != 1)}"
    written = f"{files} written, {plan.size()} bytes; {plan.same} were up to date"
    return written + (f"; the application is now in {plan.slot}" if plan.slot else "")
