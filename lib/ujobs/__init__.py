"""ujobs: AWS IoT Jobs on MicroPython. Names are imported on first use, so unused layers cost nothing."""

import sys

__version__ = "0.2.0"

_WHERE = {
    "Agent": "agent",
    "Execution": "client",
    "Job": "job",
    "Journal": "journal",
    "JobsClient": "client",
    "JobsError": "agent",
    "Link": "link",
    "Reject": "agent",
    "tls_context": "certificates",
}


def __getattr__(name):
    if name in _WHERE:
        return getattr(__import__("ujobs." + _WHERE[name], None, None, (name,)), name)
    # MicroPython asks here for submodules too, before it looks for their files.
    try:
        return __import__("ujobs." + name, None, None, (name,))
    except ImportError:
        raise AttributeError(name)


def lend(module: str, name: str, *args: object) -> object:
    """Call a function of a module of ujobs that is needed for this only, and forget the module. Returns its result."""
    loaded = set(sys.modules)
    try:
        return getattr(__import__("ujobs." + module, None, None, (name,)), name)(*args)
    finally:
        let_go(loaded)


def let_go(loaded: "set[str]") -> None:
    """Forget the modules of ujobs that are not in `loaded`, the names of those that were imported before."""
    # An imported module is held in two places.
    for name in list(sys.modules):
        if name.startswith("ujobs.") and name not in loaded:
            del sys.modules[name]
            package, _, module = name.rpartition(".")
            if hasattr(sys.modules.get(package), module):
                delattr(sys.modules[package], module)
