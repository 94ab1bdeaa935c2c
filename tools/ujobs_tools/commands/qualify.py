"""`ujobs qualify`: tests a user's own board with `ujobs_tools.qualify`."""

import contextlib
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ujobs_tools.commands.deploy import Port, board_work
from ujobs_tools.commands.errors import INTERRUPTED
from ujobs_tools.commands.options import Ca, EndpointUrl, MqttPort, Profile, Region, Settings, WifiPassword, WifiSsid
from ujobs_tools.host.terminal import plain

if TYPE_CHECKING:
    from ujobs_tools.qualify.account import Endpoint
    from ujobs_tools.qualify.case import Case
    from ujobs_tools.qualify.state import State

_PASSED_ALL, _NOT_ALL = 0, 1
_WATCHDOG = 20  # seconds: longer than a TLS handshake
_UPDATES_PER_MINUTE = 3  # of the cloud's clock


def qualify(
    port: Port = None,
    # Not named `out`: that would get its default from ujobs.toml.
    folder: Annotated[
        Path, typer.Option(help="Folder for the reports, the console log and the state of the run.")
    ] = Path("ujobs-qualify"),
    only: Annotated[
        list[str] | None, typer.Option(help="Case or group, for example jobs or power.*. Can be repeated.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the cases, and do nothing else.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip the cases that have already passed, according to --folder.")
    ] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove what earlier runs have left in the cloud, and do nothing else.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask about costs or about a board that is not empty.")
    ] = False,
    virtual: Annotated[
        bool, typer.Option("--virtual", help="Test a virtual board with a local service; both are started for the run.")
    ] = False,
    resets: Annotated[int, typer.Option(min=1, max=1000, help="Number of resets at random times.")] = 50,
    seed: Annotated[int | None, typer.Option(help="Seed of the random times, from a report.")] = None,
    clock_speed: Annotated[
        float, typer.Option(min=0.001, max=10000, help="Clock speed that `ujobs serve` was started with.")
    ] = 1.0,
    reset_command: Annotated[
        str | None, typer.Option(help="Command that resets the board, if the RTS line of its port does not.")
    ] = None,
    wifi_ssid: WifiSsid = None,
    wifi_password: WifiPassword = None,
    set_: Settings = None,
    firmware: Annotated[
        Path | None, typer.Option(help="Application image of the board's firmware, to test a firmware update.")
    ] = None,
    bucket: Annotated[str | None, typer.Option(help="S3 bucket for files. Required for updates on AWS.")] = None,
    role_arn: Annotated[
        str | None, typer.Option(help="Role with which AWS IoT reads the bucket. Required for updates on AWS.")
    ] = None,
    mqtt_port: MqttPort = None,
    endpoint_url: EndpointUrl = None,
    ca: Ca = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Test the promises of ujobs on a board on a cable, and write a report with measurements.

    Afterwards everything created in the cloud is removed, also after Ctrl-C, and the board is empty. Without
    --endpoint-url the tests use AWS: the costs are shown first, and you are asked to confirm.

    Exit codes: 0 all cases passed, none failed; 1 not all; 2 wrong arguments, file or setting; 130 interrupted.
    """
    from ujobs_tools.host.processes import NotReady
    from ujobs_tools.qualify import programme
    from ujobs_tools.qualify.account import Endpoint
    from ujobs_tools.qualify.bench import Choices

    with board_work("qualify"), contextlib.ExitStack() as stack:
        cases = programme.choose(only or [])
        if list_:
            for case in cases:
                typer.echo(f"{case.name:24} {case.expected}")
            return
        if virtual:
            from ujobs_tools.qualify import virtual as virtual_parts

            try:
                made = stack.enter_context(virtual_parts.virtual())
            except NotReady as error:
                raise OSError(str(error)) from error
            port, endpoint_url, reset_command, yes = made.port, made.url, made.reset_command, True
            clock_speed, firmware = virtual_parts.CLOCK_SPEED, firmware or made.firmware
            wifi_ssid, wifi_password = virtual_parts.WIFI_SSID, virtual_parts.WIFI_PASSWORD
            set_ = [*(set_ or []), f"watchdog={virtual_parts.WATCHDOG}"]
        endpoint = Endpoint(endpoint_url, region, profile, clock_speed)
        if clean:
            _clean(endpoint, folder, yes)
            return
        from ujobs_tools.deploy import ports

        board = ports.choose(port)
        if endpoint.url is None:
            from ujobs_tools.aws import fleet

            fleet.authority_certificate(ca, None)  # a missing file is said before any question
        _confirm_cost(endpoint, cases, resets, yes)

        def make_settings(given: dict[str, Any]) -> dict[str, Any]:
            from ujobs_tools.board.settings import make_settings as make
            from ujobs_tools.board.settings import wifi_network

            given["wifi"] = wifi_network(wifi_ssid, wifi_password)
            given |= {"handlers": ["app", "files", "firmware", "reboot"], "receive_limit": 40960, "watchdog": _WATCHDOG}
            if clock_speed != 1:
                given["update_interval"] = max(1, 60 / _UPDATES_PER_MINUTE / clock_speed)
            return make(None, given, set_ or [])

        run = programme.Programme(
            programme.Options(
                board, folder, endpoint,
                Choices(resets, secrets.randbelow(1 << 32) if seed is None else seed, bucket, role_arn, firmware),
                make_settings, reset_command, ca, mqtt_port,
            ),
            lambda line: typer.echo(plain(line)), lambda question: yes or typer.confirm(question), cases,
        )
        try:
            state = run.run(resume)
        except programme.Interrupted as error:
            _report(run.state, endpoint)
            typer.echo(f"ujobs qualify: {error}", err=True)
            raise typer.Exit(INTERRUPTED) from None
        raise typer.Exit(_report(state, endpoint))


def _confirm_cost(endpoint: "Endpoint", cases: "list[Case]", resets: int, yes: bool) -> None:
    from ujobs_tools.qualify import cost

    words = cost.estimate(cases, resets).in_words()
    if endpoint.local:
        typer.echo("local endpoint: nothing is charged")
        return
    typer.echo(f"on AWS this run uses {words}")
    if not yes:
        typer.confirm("continue?", abort=True)


def _report(state: "State", endpoint: "Endpoint") -> int:
    from ujobs_tools.qualify import report
    from ujobs_tools.qualify.case import FAILED, PASSED, SKIPPED

    where = "local service" if endpoint.local else "AWS IoT" if endpoint.url is None else plain(endpoint.url)
    paths = report.write(state, where)
    results = [outcome.result for outcome in state.outcomes.values()]
    typer.echo(f"seed {state.seed}; reports: {', '.join(map(str, paths))}")
    typer.echo(f"{results.count(PASSED)} passed, {results.count(FAILED)} failed, {results.count(SKIPPED)} skipped")
    return _NOT_ALL if FAILED in results or PASSED not in results else _PASSED_ALL


def _clean(endpoint: "Endpoint", folder: Path, yes: bool) -> None:
    from ujobs_tools.aws import cloud
    from ujobs_tools.qualify import account, cleanup, state

    last = state.read(folder)
    if last is None and not yes:
        typer.confirm(f"remove all things, jobs and streams that begin with {account.PREFIX}?", abort=True)
    prefix = account.PREFIX + (last.run_id if last else "")
    client = cloud.client("iot", endpoint.url, endpoint.region, endpoint.profile)
    for line in cleanup.in_short(cleanup.clean(client, prefix)):
        typer.echo(line)
