"""The job `{"operation": "call", "function": "name", "arguments": {…}}`: call a function of the application.

Arguments may also be a list, given in order. Option of Agent.use(): functions, a dict of names to functions, plain or
`async`. What one returns is shown as `result`.
"""

from ..agent import Reject

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from ..job import Job


async def run(job: "Job", options: dict) -> "dict | None":
    """Call the function; its result becomes a status detail."""
    name = str(job.document.get("function", ""))
    arguments = job.document.get("arguments", {})
    function = options.get("functions", {}).get(name)
    if not function:
        raise Reject("no function is named " + name if name else "function is missing")
    try:
        if isinstance(arguments, dict):
            result = function(**arguments)
        elif isinstance(arguments, list):
            result = function(*arguments)
        else:
            raise Reject("arguments must be an object or a list")
    except TypeError:
        # MicroPython's error about a missing argument does not name the function.
        job.noted("function", name)
        raise
    if hasattr(result, "send"):
        result = await result
    if result is not None:
        job.noted("result", str(result))
