"""The service's state in one SQLite file: jobs, executions, histories, job templates, things, thing groups,
certificates, policies, provisioning templates, streams, tags, enabled events, the broker's sessions and retained
messages."""

from ujobs_tools.service.event_store import EventStore
from ujobs_tools.service.group_store import GroupStore
from ujobs_tools.service.job_store import JobStore
from ujobs_tools.service.policy_store import PolicyStore
from ujobs_tools.service.provisioning_store import ProvisioningStore
from ujobs_tools.service.registry_store import RegistryStore
from ujobs_tools.service.session_store import SessionStore
from ujobs_tools.service.stream_store import StreamStore
from ujobs_tools.service.tag_store import TagStore
from ujobs_tools.service.template_store import TemplateStore


class Store(
    JobStore, TemplateStore, RegistryStore, GroupStore, PolicyStore, ProvisioningStore, StreamStore, TagStore,
    EventStore, SessionStore,
):
    """The service's store. path: a file, created if missing, or ":memory:".

    Changes that belong together go inside `with store.transaction():`; any other change is its own transaction.
    Committed changes survive if the process is killed. For use in one thread.
    """
