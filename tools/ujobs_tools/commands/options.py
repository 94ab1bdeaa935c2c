"""Options that several commands share: which cloud is meant."""

from typing import Annotated

import typer

EndpointUrl = Annotated[
    str | None, typer.Option(envvar="AWS_ENDPOINT_URL", help="Of `ujobs serve` or MiniStack; without it: AWS.")
]
Region = Annotated[str | None, typer.Option(help="AWS region, else boto3's own.")]
Profile = Annotated[str | None, typer.Option(help="AWS profile, else boto3's own.")]
