"""`ujobs thing`: creates, shows and deletes things with `ujobs_tools.aws`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ujobs_tools.commands.errors import one_line
from ujobs_tools.commands.identity import show_identity
from ujobs_tools.commands.options import Ca, EndpointUrl, Profile, Region, ThingName
from ujobs_tools.host.terminal import plain

app = typer.Typer(no_args_is_help=True, help="Things, which stand for boards in the cloud: create, list, show, delete.")


@app.command()
def create(
    name: ThingName,
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

    Exit codes: 0 created; 1 not created, and nothing is left behind; 2 wrong arguments, file or setting.
    """
    from ujobs_tools.aws import cloud, fleet

    with one_line("thing create", cloud.CloudError):
        made = fleet.create_thing(name, out, endpoint_url, region, profile, ca, topic or ())
    port = show_identity("thing", made)
    if made.port is None:
        typer.echo("             PORT: MiniStack's IOT_MTLS_PORT, by default 8883")
    where = shlex.join(["--thing-dir", str(out), "--host", made.host, "--port", str(port)])
    typer.echo(f"try it       ujobs board {name}.img --thing {name} {where}")


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
    name: ThingName,
    endpoint_url: EndpointUrl = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Show a thing: its attributes, groups, certificates and their policies.

    Exit codes: 0 shown; 1 no such thing, or the service did not answer; 2 wrong arguments, file or setting.
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
    name: ThingName,
    endpoint_url: EndpointUrl = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Delete a thing, its certificates, and its `ujobs` policies unless something else uses them.

    The board can no longer connect. The key and certificate files in your folder stay. Exit codes: 0 deleted; 1 not
    or only partly deleted (run it again); 2 wrong arguments, file or setting.
    """
    from ujobs_tools.aws import cloud, removal

    with one_line("thing delete", cloud.CloudError):
        for what in removal.delete_thing(cloud.client("iot", endpoint_url, region, profile), name):
            typer.echo(f"deleted      {what}")
