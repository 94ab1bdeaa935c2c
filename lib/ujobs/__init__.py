"""ujobs: AWS IoT Jobs on MicroPython. Names are imported on first use, so unused layers cost nothing."""

_WHERE = {
    "Agent": "agent",
    "Execution": "client",
    "Job": "agent",
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
