"""Options that several commands share: which cloud is meant, how a board connects, and how a job goes to its things."""

from pathlib import Path
from typing import Annotated

import typer

EndpointUrl = Annotated[
    str | None, typer.Option(envvar="AWS_ENDPOINT_URL", help="Of `ujobs serve` or MiniStack; without it: AWS.")
]
Region = Annotated[str | None, typer.Option(help="AWS region, else boto3's own.")]
Profile = Annotated[str | None, typer.Option(help="AWS profile, else boto3's own.")]
Ca = Annotated[
    Path | None, typer.Option(help="Certificate of the server's authority, PEM or DER; on AWS: Amazon Root CA 1.")
]
MqttPort = Annotated[int | None, typer.Option(help="Port for MQTT, where the service does not say.")]
WifiSsid = Annotated[str | None, typer.Option(help="Network that the board joins.")]
WifiPassword = Annotated[
    str | None, typer.Option(envvar="UJOBS_WIFI_PASSWORD", help="Its password.", show_envvar=True)
]
Rate = Annotated[
    str | None,
    typer.Option(help="Things a minute: 20, or 1-100/20: from 1 to 100, doubled for each 20 that have succeeded."),
]
AbortAt = Annotated[
    str | None,
    typer.Option(help="Cancel the job at so many percent of failures: 20, or 20/10: once 10 executions are over."),
]
Windows = Annotated[
    list[str] | None,
    typer.Option(
        "--window", help="Start in UTC and minutes: 22:00+60 or 'MON-FRI 22:00+60'. Can be given several times."
    ),
]
