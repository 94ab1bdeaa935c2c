"""`ujobs claim`: creates claims with `ujobs_tools.aws.claims`."""

from pathlib import Path
from typing import Annotated

import typer

from ujobs_tools.commands.errors import one_line, read_json
from ujobs_tools.commands.identity import show_identity
from ujobs_tools.commands.options import Ca, EndpointUrl, Profile, Region

app = typer.Typer(no_args_is_help=True, help="Claims, with which boards request their own certificates: create.")


@app.callback()
def _commands() -> None:
    """Without a callback, Typer would merge the only command `create` into `claim`."""


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the provisioning template: 1 to 36 of 0-9 A-Z a-z _ -")],
    out: Annotated[Path, typer.Option(help="Folder for ca, cert and key of the claim, each as .pem and .der.")],
    template: Annotated[
        Path | None, typer.Option(help="JSON file with the template. Default: one that names things NAME-SERIALNUMBER.")
    ] = None,
    role_arn: Annotated[
        str | None, typer.Option(help="IAM role with AWSIoTThingsRegistration; needed on AWS.")
    ] = None,
    endpoint_url: EndpointUrl = None,
    ca: Ca = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Create a provisioning template and a certificate that can do nothing but use it.

    Exit codes: 0 created; 1 not created, and nothing is left behind; 2 wrong arguments, file or setting.
    """
    from ujobs_tools.aws import claims, cloud

    with one_line("claim create", cloud.CloudError):
        body = None if template is None else read_json(template)
        made = claims.create_claim(name, out, body, role_arn, endpoint_url, region, profile, ca)
    show_identity("template", made)
    typer.echo(f'settings     "claim": {{"template": "{made.name}"}}, and no thing')
    typer.echo("on a board   ca.der as /cert/ca.der, cert.der as /cert/claim.der, key.der as /cert/claim-key.der")
