"""ujobs: AWS IoT Jobs on MicroPython. Names are imported on first use, so unused layers cost nothing."""

import sys

__version__ = "0.2.0"

# The others are in the module of the same name in small letters.
_WHERE = {
    "Execution": "client",
    "JobsClient": "client",
    "JobsError": "agent",
    "Reject": "agent",
    "tls_context": "certificates",
}


def __getattr__(name):
    module = _WHERE.get(name, name.lower())
    try:
        found = __import__("ujobs." + module, None, None, (name,))
    except ImportError:
        if module != name:
            raise
        raise AttributeError(name)
    # MicroPython asks here for submodules too, before it looks for their files.
    return found if module == name else getattr(found, name)


def lend(module: str, name: str, *args: object) -> object:
    """Call a function of a module of ujobs that is needed for this only, and forget the module. Returns its result."""
    loaded = set(sys.modules)
    try:
        return getattr(__import__("ujobs." + module, None, None, (name,)), name)(*args)
    finally:
        let_go(loaded)


def let_go(loaded: "set[str]") -> None:
    """Forget the modules of ujobs that are not in `loaded`, the names of those that were imported before."""
    if len(sys.modules) == len(loaded):
        return
    # An imported module is held in two places.
    for name in list(sys.modules):
        if name not in loaded and name.startswith("ujobs."):
            del sys.modules[name]
            package, module = name.rsplit(".", 1)
            if hasattr(sys.modules.get(package), module):
                delattr(sys.modules[package], module)
