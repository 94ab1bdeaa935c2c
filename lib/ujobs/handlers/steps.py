"""Jobs in AWS's own document schema, `{"version": "1.0", "steps": [...]}`, as its managed templates create them.

AWS-Reboot and AWS-Download-File run as they are. Other actions of type runHandler call the application's function of
that name, with or without ".sh", with the arguments as strings; runCommand calls the function that the command names.
An action without a function on the board (packages, services, a shell) rejects the job before its first step. After a
reset the job continues with the step that was interrupted. Options of Agent.use(): functions, as for `call`; roots and
ca, as for `files`.

`runAsUser`, `allowStdErr` and `conditions` are accepted and have no effect; AWS's own device client also ignores
conditions.
"""

from .. import handlers
from ..agent import Reject
from ..link import explain, log

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from ..job import Job

_MAX_STEPS = const(32)
_OF_AWS = {"reboot": "reboot", "download-file": "files"}  # handlers of its templates that ujobs has
_MAX_CALLS = const(3)  # of one step, whose function may crash the board


class _Step:
    # The job of a step's handler: it has a document and a checkpoint of its own.
    def __init__(self, job, number, document, checkpoint, options):
        self.job = job
        self.number = number
        self.options = options
        self.document = document
        self.checkpoint = checkpoint

    def save(self, value):
        self.checkpoint = value
        self.job.save((self.number, value))

    async def renew(self):
        await self.job.renew()
        self.document = _plans(self.job.document, self.options)[self.number][2]

    def __getattr__(self, name):
        return getattr(self.job, name)


async def run(job: "Job", options: dict) -> "dict | None":
    """Run the steps in order, then the final one. Returns what they return."""
    plans = _plans(job.document, options)
    number, checkpoint = job.checkpoint or (0, None)
    result = {}
    output = ""
    while number < len(plans):
        action, module, document = plans[number]
        job.note(number, len(plans), str(action.get("name", "")))
        try:
            if module == "call":
                if checkpoint == _MAX_CALLS:
                    raise OSError("the board was reset each time")
                checkpoint = (checkpoint or 0) + 1
                job.save((number, checkpoint))
            step = _Step(job, number, document, checkpoint, options)
            result.update(await handlers.run(module, step, options) or {})
        except Exception as error:
            if str(action.get("ignoreStepFailure", "")).lower() != "true":
                raise
            log("step %d failed, continuing: %s" % (number + 1, explain(error)))
            output += explain(error) + " "
        number += 1
        checkpoint = None
        job.save((number, None))
    if output:
        job.noted("stderr", output)
    job.note(len(plans), len(plans))
    return result


def _plans(document, options):
    """Return for each step its action, the module that does it, and the document to give that."""
    steps = document.get("steps")
    if document.get("version") != "1.0" or not isinstance(steps, list) or not 0 < len(steps) <= _MAX_STEPS:
        raise Reject('steps need version "1.0" and a list of 1 to %d' % _MAX_STEPS)
    final = document.get("finalStep")
    plans = []
    for step in steps + ([final] if final else []):
        action = step.get("action") if isinstance(step, dict) else None
        if not isinstance(action, dict) or not isinstance(action.get("input"), dict):
            raise Reject("each step needs an action with an input")
        plans.append((action,) + _plan(action, options))
    return plans


def _plan(action, options):
    given = action["input"]
    kind = action.get("type", "(missing)")
    if kind == "runHandler":
        name = str(given.get("handler", "(missing)"))
        arguments = given.get("args", [])
    elif kind == "runCommand":
        # A comma separates arguments; "\\," is a comma.
        arguments = []
        for word in str(given.get("command", "(missing)")).replace("\\,", "\0").split(","):
            arguments.append(word.replace("\0", ",").strip())
        name = arguments.pop(0)
    else:
        raise Reject("unknown action type %s" % kind)
    if name.endswith(".sh"):
        name = name[:-3]
    if not isinstance(arguments, list):
        raise Reject("args must be a list")
    module = _OF_AWS.get(name) if kind == "runHandler" else None
    if not module:
        if name not in options.get("functions", ()):
            raise Reject("no function for action " + name)
        return "call", {"function": name, "arguments": arguments}
    if module not in options["allowed"]:
        raise Reject("handlers does not contain " + module)
    if module == "reboot":
        return module, {}
    if len(arguments) != 2:
        raise Reject("download-file takes a URL and a path")
    return module, {"fetch": [{"url": arguments[0], "path": arguments[1]}]}
