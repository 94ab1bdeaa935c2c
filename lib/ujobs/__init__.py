"""ujobs: AWS IoT Jobs on MicroPython. A name is imported when it is first used, so that unused floors cost nothing."""

_WHERE = {
    "Agent": "agent",
    "Execution": "protocol",
    "Job": "job",
    "Journal": "journal",
    "JobsClient": "client",
    "JobsError": "protocol",
    "Link": "link",
    "Reject": "job",
    "tls_context": "certificates",
    "trial": "trial",
}


def __getattr__(name):
    # MicroPython asks here for submodules too, before it looks for their files.
    module = name if name in _WHERE.values() else _WHERE.get(name)
    if module is None:
        raise AttributeError(name)
    found = __import__("ujobs." + module, None, None, (name,))
    return found if module == name else getattr(found, name)
