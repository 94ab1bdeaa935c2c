"""Output of the commands that create a thing or a claim."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ujobs_tools.aws.fleet import Identity


def show_identity(kind: str, made: "Identity") -> str:
    """Print what was created, and where a board connects with it; returns the MQTT port, "PORT" if it is unknown.

    kind: "thing" or "template".
    """
    port = str(made.port or "PORT")
    typer.echo(f"{kind:13}{made.arn}")
    typer.echo(f"certificate  {made.certificate_arn}")
    typer.echo(f"policy       {made.policy}")
    if made.topics_policy is not None:
        typer.echo(f"policy       {made.topics_policy}")
    typer.echo(f"written      {made.directory}: ca, cert and key, each as .pem and .der")
    typer.echo(f"MQTT         {made.host}:{port}")
    return port
