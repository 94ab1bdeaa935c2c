"""`ujobs sign`: signs files and documents with `ujobs_tools.keys.signing`."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from ujobs_tools.commands.errors import one_line, read_json
from ujobs_tools.host.files import write_new

# A copy of keys.signing.KeyKind: importing that module would slow down every command.
KeyKind = Literal["ec", "rsa-2048", "rsa-3072"]


def sign(
    key: Annotated[Path, typer.Option(help="Private key, PEM: EC P-256, or RSA with 2048 to 3072 bits.")],
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help="Files to sign.")] = None,
    document: Annotated[
        Path | None, typer.Option(help="File with an app or firmware document, JSON with a version, to sign and print.")
    ] = None,
    pss: Annotated[bool, typer.Option("--pss", help="Use RSA-PSS instead of PKCS#1 v1.5.")] = False,
    new_key: Annotated[KeyKind | None, typer.Option(help="Create the key first; its file must not exist.")] = None,
    public: Annotated[
        Path | None, typer.Option(help="File for the public key, DER, for the board's signing_key.")
    ] = None,
) -> None:
    """Sign files and job documents for boards that have a signing_key; create the key.

    Prints a line of JSON for each file, with the entries for a job document: path, size, sha256, signature and, for
    PSS, scheme. Exit codes: 0 done; 1 not done; 2 wrong arguments, file or setting.
    """
    from ujobs_tools.keys import signing

    with one_line("sign"):
        if not files and not document and not new_key and not public:
            raise ValueError("give files to sign, --document, --new-key or --public")
        for path in (key if new_key else None, public):
            if path and path.exists():
                raise FileExistsError(f"{path} exists, and keys are never overwritten: choose another name")
        signer = signing.Signer(signing.new_key(new_key, key) if new_key else signing.load_key(key), pss)
        if public:
            write_new(public, signer.public_der())
        if document:
            typer.echo(json.dumps(signer.sign_document(json.loads(read_json(document)))))
        for path in files or ():
            typer.echo(json.dumps({"path": path.as_posix(), **signer.describe(path)}))
