"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

EndpointUrl = Annotated[
    str | None, typer.Option(envvar="AWS_ENDPOINT_URL", help="Endpoint of `ujobs serve` or MiniStack. Default: AWS.")
]
ThingName = Annotated[str, typer.Argument(help="Thing name: 1 to 128 characters of a-z A-Z 0-9 : _ -")]
Region = Annotated[str | None, typer.Option(help="AWS region. Default: boto3's.")]
Profile = Annotated[str | None, typer.Option(help="AWS profile. Default: boto3's.")]
Ca = Annotated[
    Path | None, typer.Option(help="CA certificate of the server, PEM or DER; for AWS: Amazon Root CA 1.")
]
MqttPort = Annotated[int | None, typer.Option(help="MQTT port, if the service does not report it.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Setting KEY=VALUE; VALUE is JSON or a string. Example: ntp=null. Can be repeated."),
]
WifiSsid = Annotated[str | None, typer.Option(help="Network that the board joins.")]
WifiPassword = Annotated[
    str | None, typer.Option(envvar="UJOBS_WIFI_PASSWORD", help="Its password.", show_envvar=True)
]
Rate = Annotated[
    str | None,
    typer.Option(help="Things a minute: 20, or 1-100/20: from 1 to 100, doubled after every 20 successes."),
]
AbortAt = Annotated[
    str | None,
    typer.Option(
        help="Cancel the job at this percentage of failures: 20, or 20/10: counted once 10 executions have ended."
    ),
]
Windows = Annotated[
    list[str] | None,
    typer.Option(
        "--window", help="Maintenance window: start in UTC, minutes: 22:00+60 or 'MON-FRI 22:00+60'. Can be repeated."
    ),
]
