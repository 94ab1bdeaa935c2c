from typing import Any

from . import trial as trial
from .agent import Agent as Agent
from .agent import JobsError as JobsError
from .agent import Reject as Reject
from .certificates import tls_context as tls_context
from .client import Execution as Execution
from .client import JobsClient as JobsClient
from .job import Job as Job
from .journal import Journal as Journal
from .link import Link as Link

__version__: str

def lend(module: str, name: str, *arguments: Any) -> Any: ...
def let_go(loaded: set[str]) -> None: ...
