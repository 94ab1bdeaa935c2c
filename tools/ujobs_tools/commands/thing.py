"""`ujobs thing`: creates, shows and deletes things with `ujobs_tools.aws`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ujobs_tools.commands.errors import one_line
from ujobs_tools.commands.options import Ca, EndpointUrl, Profile, Region
from ujobs_tools.host.terminal import plain

if TYPE_CHECKING:
    from ujobs_tools.aws.fleet import Thing

app = typer.Typer(no_args_is_help=True, help="Things, which stand for boards in the cloud: create, list, show, delete.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Thing name: 1 to 128 characters of a-z A-Z 0-9 : _ -")],
    out: Annotated[Path, typer.Option(help="Folder for ca, cert and key, each as .pem and .der.")],
    endpoint_url: EndpointUrl = None,
    ca: Ca = None,
    region: Region = None,
    profile: Profile = None,
    topic: Annotated[
        list[str] | None,
        typer.Option(help="Topic that the application may use; * stands for any text. Can be repeated."),
    ] = None,
) -> None:
    """Create a thing with a key, a certificate and a policy that allows only its own Jobs topics.

    Exit codes: 0 created; 1 not created, and nothing is left behind; 2 bad arguments.
    """
    from ujobs_tools.aws import cloud, fleet

    with one_line("thing create", cloud.CloudError):
        made = fleet.create_thing(name, out, endpoint_url, region, profile, ca, topic or ())
    typer.echo(_report(made))


@app.command("list")
def list_things(endpoint_url: EndpointUrl = None, region: Region = None, profile: Profile = None) -> None:
    """List the names of all things, one per line."""
    from ujobs_tools.aws import cloud

    with one_line("thing list", cloud.CloudError), cloud.one_line_errors():
        client = cloud.client("iot", endpoint_url, region, profile)
        for page in client.get_paginator("list_things").paginate():
            for thing in page["things"]:
                typer.echo(thing["thingName"])


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Thing name.")],
    endpoint_url: EndpointUrl = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Show a thing: its attributes, groups, certificates and their policies.

    Exit codes: 0 shown; 1 no such thing, or the service did not answer; 2 bad arguments.
    """
    from ujobs_tools.aws import cloud, removal

    with one_line("thing show", cloud.CloudError):
        thing = removal.show_thing(cloud.client("iot", endpoint_url, region, profile), name)
    typer.echo(f"thing        {thing.arn}")
    for attribute, value in sorted(thing.attributes.items()):
        typer.echo(f"attribute    {plain(f'{attribute}={value}')}")
    for group in thing.groups:
        typer.echo(f"group        {group}")
    for certificate in thing.certificates:
        typer.echo(f"certificate  {certificate.arn} {certificate.status}")
        for policy in certificate.policies:
            typer.echo(f"policy       {policy}")


@app.command()
def delete(
    name: Annotated[str, typer.Argument(help="Thing name.")],
    endpoint_url: EndpointUrl = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Delete a thing, its certificates, and its `ujobs` policies unless something else uses them.

    The board can no longer connect. The key and certificate files in your folder stay. Exit codes: 0 deleted; 1 not
    or only partly deleted (run it again); 2 bad arguments.
    """
    from ujobs_tools.aws import cloud, removal

    with one_line("thing delete", cloud.CloudError):
        for what in removal.delete_thing(cloud.client("iot", endpoint_url, region, profile), name):
            typer.echo(f"deleted      {what}")


def _report(thing: "Thing") -> str:
    port = str(thing.port) if thing.port else "PORT"
    lines = [
        f"thing        {thing.arn}",
        f"certificate  {thing.certificate_arn}",
        f"policy       {thing.policy}",
        f"written      {thing.directory}: ca, cert and key, each as .pem and .der",
        f"MQTT         {thing.host}:{port}, with the thing name as client id",
    ]
    if thing.port is None:
        lines.append("             PORT: MiniStack's IOT_MTLS_PORT, 8883 unless it was told another")
    lines.append(
        f"try it       ujobs board {thing.name}.img --thing {thing.name} --thing-dir {thing.directory}"
        f" --host {thing.host} --port {port}"
    )
    return "\n".join(lines)
