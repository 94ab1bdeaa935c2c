"""`ujobs serve`: runs the local Jobs service."""

import asyncio
import contextlib
import ipaddress
import json
import logging
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ujobs_tools.commands.errors import one_line
from ujobs_tools.host.files import write_whole
from ujobs_tools.host.processes import ending_signals
from ujobs_tools.host.terminal import PlainFormatter

if TYPE_CHECKING:
    from ujobs_tools.service.server import Address, Service

_PORTS = (8080, 8883, 8443)  # HTTP, MQTT over TLS, HTTPS
# A DNS name, or an IPv4 or IPv6 address.
_NAME = re.compile(r"[0-9A-Za-z._-]{1,253}|[0-9A-Fa-f.]*:[0-9A-Fa-f.:]*")

def serve(
    data: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Data folder. Without it, nothing is kept when the service stops."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on. MQTT without TLS stays on 127.0.0.1.")] = "127.0.0.1",
    name: Annotated[
        list[str] | None, typer.Option(help="Name or address that boards use for it; goes into its certificate.")
    ] = None,
    http_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="HTTP port, for boto3 and the AWS CLI; 0: any free port. Default: 8080 with --data."
        ),
    ] = None,
    mqtts_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="MQTT port for devices, mutual TLS; 0: any free port. Default: 8883 with --data."
        ),
    ] = None,
    mqtt_port: Annotated[
        int, typer.Option(
            min=0, max=65535, help="MQTT port without TLS, where the client id is the thing; 0: any free port."
        )
    ] = 0,
    https_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="HTTPS port for devices, mutual TLS; 0: any free port. Default: 8443 with --data."
        ),
    ] = None,
    ready_file: Annotated[
        Path | None,
        typer.Option(
            help="File with {http, mqtts, mqtt, https, ca} as JSON while it runs. Makes free ports the default."
        ),
    ] = None,
    clock_speed: Annotated[
        float, typer.Option(min=0.001, max=10000, help="How many times faster than real time the service's clock runs.")
    ] = 1.0,
    s3_url: Annotated[
        str | None,
        typer.Option(
            envvar="AWS_ENDPOINT_URL_S3", help="S3 endpoint with the files of streams. Default: kept in --data."
        ),
    ] = None,
    page_password: Annotated[
        str | None,
        typer.Option(envvar="UJOBS_PAGE_PASSWORD", help="Password for actions on the live page; required with --host."),
    ] = None,
    faults: Annotated[
        bool, typer.Option("--faults", help="Allow the live page to cause faults: lost replies, broken connections.")
    ] = False,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Run a local AWS IoT Jobs service until Ctrl-C or SIGTERM.

    Exit codes: 0 stopped; 1 not started, or ended with an error; 2 wrong arguments, file or setting.
    """
    level = logging.getLevelNamesMapping().get(log_level.upper())
    if level is None:
        raise typer.BadParameter(f"{log_level}: debug, info, warning or error", param_hint="--log-level")
    names = name or []
    for one in names:
        if not _NAME.fullmatch(one):
            raise typer.BadParameter(f"{one!r} is neither a host name nor an address", param_hint="--name")
    if s3_url is not None:
        _check_url(s3_url)
    handler = logging.StreamHandler()
    handler.setFormatter(PlainFormatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("ujobs_tools").setLevel(level)
    from ujobs_tools.service.page.routes import Options
    from ujobs_tools.service.server import Address, CannotListen, Service

    # If data is kept, the ports stay the same, because boards have the port in their settings.
    defaults = _PORTS if data is not None and ready_file is None else (0, 0, 0)
    http_port, mqtts_port, https_port = (
        default if given is None else given
        for given, default in zip((http_port, mqtts_port, https_port), defaults, strict=True)
    )
    address = Address(host, http_port, mqtts_port, mqtt_port, https_port)
    with one_line("serve", CannotListen), contextlib.ExitStack() as at_end:
        if ready_file is not None:
            # A killed service may have left this file behind: remove it, so that nobody uses its old ports.
            ready_file.unlink(missing_ok=True)
        folder = data or Path(at_end.enter_context(tempfile.TemporaryDirectory(prefix="ujobs-")))

        def started(found: dict[str, Any]) -> None:
            _announce(found, names, clock_speed, page.read_only)
            if ready_file is not None:
                at_end.callback(ready_file.unlink, missing_ok=True)
                write_whole(ready_file, json.dumps(found).encode() + b"\n")

        # Anyone on another machine can view the page; actions need the password.
        page = Options(page_password, read_only=page_password is None and not _is_this_machine(host))
        asyncio.run(_run(Service(folder, clock_speed, names, s3_url, page, faults), address, started))


def _check_url(url: str) -> None:
    from ujobs_tools.aws.cloud import CloudError, is_local

    try:
        is_local(url)
    except CloudError as error:
        raise typer.BadParameter(str(error), param_hint="--s3-url") from error


async def _run(service: "Service", address: "Address", started: Callable[[dict[str, Any]], None]) -> None:
    from ujobs_tools.service.server import serve as run

    _allow_open_files()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in ending_signals():
        with contextlib.suppress(NotImplementedError):  # Windows, where Ctrl-C ends asyncio.run
            loop.add_signal_handler(number, stop.set)
    await run(service, address, stop, started)


def _allow_open_files() -> None:
    """Raise the limit of open files: most systems start a program with 1024, and allow more on request. Windows does
    not have this limit."""
    try:
        import resource
    except ImportError:
        return
    from ujobs_tools.service.broker import MAX_CONNECTIONS, SPARE_FILES

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + SPARE_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _is_this_machine(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _announce(found: dict[str, Any], names: list[str], clock_speed: float, read_only: bool) -> None:
    typer.echo(f"live page:       {found['http']}/" + ("  (read-only without --page-password)" if read_only else ""))
    typer.echo(f"boto3, AWS CLI:  --endpoint-url {found['http']}")
    name = (names or ["localhost"])[0]
    typer.echo(f"devices:         {name}:{found['mqtts']}  (MQTT, mutual TLS; CA {found['ca']})")
    typer.echo(f"                 https://{name}:{found['https']}  (Jobs over HTTPS, mutual TLS)")
    typer.echo(f"MQTT clients:    127.0.0.1:{found['mqtt']}  (MQTT without TLS, client id = thing)")
    if clock_speed != 1.0:
        typer.echo(f"clock:           {clock_speed:g} times as fast as real time")
