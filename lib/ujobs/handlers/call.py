"""The job `{"operation": "call", "function": "name", "arguments": {…}}`: call a function of the application.

Arguments may also be a list, given in order. Option of Agent.use(): functions, a dict of names to functions, plain or
`async`. What one returns is shown as `result`.
"""

from ..agent import Reject
from ..job import Job


async def run(job: Job, options: dict) -> "dict | None":
    """Call the function; its result becomes a status detail."""
    name = job.document.get("function")
    arguments = job.document.get("arguments", {})
    function = options.get("functions", {}).get(name) if isinstance(name, str) else None
    if not function:
        raise Reject("no function is named " + str(name))
    if isinstance(arguments, dict):
        result = function(**arguments)
    elif isinstance(arguments, list):
        result = function(*arguments)
    else:
        raise Reject("arguments must be an object or a list")
    if hasattr(result, "send"):
        result = await result
    if result is not None:
        job.noted("result", str(result))
