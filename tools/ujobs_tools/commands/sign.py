"""`ujobs sign`; `ujobs_tools.keys.signing` does the work."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from ujobs_tools.commands.errors import one_line, read_json

# As ujobs_tools.keys.signing.KeyKind, which is imported only when it is needed.
KeyKind = Literal["ec", "rsa-2048", "rsa-3072"]


def sign(
    key: Annotated[Path, typer.Option(help="Private key, PEM: EC on P-256, or RSA of 2048 to 3072 bits.")],
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help="What to sign.")] = None,
    document: Annotated[
        Path | None, typer.Option(help="Sign this app or firmware document, JSON with a version, and print it.")
    ] = None,
    pss: Annotated[bool, typer.Option("--pss", help="RSA with PSS, not PKCS#1 v1.5.")] = False,
    new_key: Annotated[KeyKind | None, typer.Option(help="Make the key first; its file must not be there.")] = None,
    public: Annotated[
        Path | None, typer.Option(help="Write the key's public half here, DER, for the board's signing_key.")
    ] = None,
) -> None:
    """Sign files and job documents for boards that have a signing_key; make the key for it.

    Prints a line of JSON for each file, with what a job document says of it: size, sha256, signature, and scheme where
    it is needed; path as given here. Exit codes: 0 done; 1 not done; 2 bad arguments.
    """
    from ujobs_tools.keys import signing

    with one_line("sign"):
        if not files and not document and not new_key and not public:
            raise ValueError("give files to sign, --document, --new-key or --public")
        for path in (key if new_key else None, public):
            if path and path.exists():
                raise FileExistsError(f"{path} exists, and is never overwritten: choose another name")
        signer = signing.Signer(signing.new_key(new_key, key) if new_key else signing.load_key(key), pss)
        if public:
            with public.open("xb") as file:
                file.write(signer.public_der())
        if document:
            typer.echo(json.dumps(signer.sign_document(json.loads(read_json(document)))))
        for path in files or ():
            typer.echo(json.dumps({"path": path.as_posix(), **signer.describe(path)}))
