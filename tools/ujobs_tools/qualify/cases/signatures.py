"""Measures the time for checking a signature, and tests that a wrong signature is refused."""

import base64
import hashlib
import tempfile
from pathlib import Path

from ujobs_tools.keys.signing import KeyKind, Signer, new_key
from ujobs_tools.qualify.bench import Bench
from ujobs_tools.qualify.case import Case, Unexpected

_CONTENT = b"what is signed"


def _checked(kind: KeyKind) -> Case:
    def run(bench: Bench) -> str:
        digest = hashlib.sha256(_CONTENT).digest()
        with tempfile.TemporaryDirectory(prefix="ujobs-qualify-") as folder:
            signer = Signer(new_key(kind, Path(folder) / "key.pem"))
        said = bench.job({
            "operation": "signature", "key": base64.b64encode(signer.public_der()).decode(), "digest": digest.hex(),
            **signer.members(digest),
        })
        if (said["right"], said["wrong"]) != ("true", "false"):
            raise Unexpected(f"right signature: {said['right']}, wrong one: {said['wrong']}")
        bench.figure("check, ms", int(said["ms"]))
        return f"checked in {said['ms']} ms; one for other content is refused"

    return Case(f"updates.signature-{kind}", "a signature is checked, a wrong one is refused", run)


CASES = tuple(_checked(kind) for kind in ("ec", "rsa-2048", "rsa-3072"))
