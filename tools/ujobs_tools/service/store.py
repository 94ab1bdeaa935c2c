"""All that the service remembers, in one SQLite file: jobs, executions, histories, things, certificates, policies."""

from ujobs_tools.service.job_store import JobStore
from ujobs_tools.service.registry_store import RegistryStore


class Store(JobStore, RegistryStore):
    """The service's memory. path: a file, made when it is not there yet, or ":memory:".

    Changes belong inside `with store.transaction():`; what is committed there survives the process being killed. To be
    used from one thread.
    """
