"""`python -m ujobs_lab.pages.service_reference`: updates the list of implemented operations in docs/service.md.

The list comes from botocore's models and the service's own table of operations. The service answers all other
operations with status 501."""

import textwrap
import time
from pathlib import Path
from typing import Any, cast

from botocore.session import get_session

from ujobs_lab import REPOSITORY
from ujobs_tools.service.engine import Engine
from ujobs_tools.service.http_model import CONTROL, DATA
from ujobs_tools.service.http_operations import Handler, handlers, unsupported
from ujobs_tools.service.objects import Objects
from ujobs_tools.service.store import Store

PAGE = REPOSITORY / "docs" / "service.md"
_BEGIN, _END = "<!-- made by python -m ujobs_lab.pages.service_reference -->\n", "<!-- end -->\n"
_WIDTH = 120


def render() -> str:
    """The list as Markdown."""
    table = _table()
    session = get_session()
    paragraphs = ["All operations below are implemented, without the parameters in parentheses."]
    for service in (DATA, CONTROL):
        model: Any = session.get_service_model(service)
        operations = []
        for name in model.operation_names:
            if (service, name) in table:
                shape = model.operation_model(name).input_shape
                lacking = unsupported(table[service, name], [] if shape is None else shape.members)
                operations.append(name + (f" ({', '.join(f'`{member}`' for member in lacking)})" if lacking else ""))
        paragraphs.append(_wrapped(f"`{service}`: {', '.join(operations)}."))
    return "\n\n".join(paragraphs) + "\n"


def _table() -> dict[tuple[str, str], Handler]:
    store = Store(":memory:")
    try:
        # The handlers are not called, so they need no keys, endpoint or files.
        return handlers(Engine(store, time.time), cast(Any, None), str, Objects(Path(), None))
    finally:
        store.close()


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def renewed(page: str) -> str:
    """The page with the current list."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{render()}\n{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
