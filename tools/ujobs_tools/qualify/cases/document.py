"""Large job documents, up to the service's limit: they arrive complete, or are rejected with the reason."""

import json

from ujobs_tools.aws.executions import details_of
from ujobs_tools.qualify.bench import Bench
from ujobs_tools.qualify.case import Case, Unexpected

_SIZES = (4096, 8192, 16384, 32768)  # characters; the last is CreateJob's limit for `document`
_NO_ROOM = "job document: MemoryError"


def _large(bench: Bench) -> str:
    account, said = bench.account, []
    whole = 0
    for size in _SIZES:
        document = {"operation": "measure-document", "fill": ""}
        document["fill"] = "x" * (size - len(json.dumps(document)))
        found = account.wait(account.create(document), 60)
        details = details_of(found)
        if found["status"] == "SUCCEEDED" and details.get("length") == str(len(document["fill"])):
            whole = size
            said.append(f"{size}: complete")
        elif found["status"] == "REJECTED" and details.get("reason", "").startswith(_NO_ROOM):
            said.append(f"{size}: REJECTED, {details['reason']}")
        else:
            raise Unexpected(f"{size} characters: {found['status']} {details}")
    if not whole:
        raise Unexpected("; ".join(said))
    bench.figure("largest document, characters", whole)
    return "; ".join(said)


CASES = (
    Case("jobs.document", "documents of 4 to 32 KB arrive complete or are REJECTED for lack of memory; one arrives",
         _large, executions=lambda resets: len(_SIZES)),
)
