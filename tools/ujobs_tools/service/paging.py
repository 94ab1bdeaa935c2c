"""Pages of control plane listings: maxResults, nextToken."""

import base64
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from ujobs_tools.service.errors import invalid

MAX_RESULTS = 250
_FOREIGN = "nextToken is not of this listing"
_LONGEST_NUMBER = 18  # digits, so that it fits 64 bits

Item = TypeVar("Item")


def size(max_results: int | None) -> int:
    """maxResults: 1 to 250, default 250."""
    if max_results is None:
        return MAX_RESULTS
    if not 1 <= max_results <= MAX_RESULTS:
        raise invalid(f"maxResults must be 1 to {MAX_RESULTS}")
    return max_results


def position(name: str, token: str | None) -> str | None:
    """The position in a nextToken of a listing with this member. Raises ApiError InvalidRequest for another's."""
    if token is None:
        return None
    try:
        listed, _, found = base64.b64decode(token.encode("ascii"), b"-_", validate=True).decode("utf-8").partition("/")
    except ValueError:
        listed = found = ""
    if listed != name or not found:
        raise invalid(_FOREIGN)
    return found


def sequence(name: str, token: str | None) -> int | None:
    """The sequence number in a nextToken."""
    text = position(name, token)
    if text is None:
        return None
    if not text.isdecimal() or len(text) > _LONGEST_NUMBER:
        raise invalid(_FOREIGN)
    return int(text)


def page(
    name: str, found: Sequence[Item], limit: int, view: Callable[[Item], Any], key: Callable[[Item], int | str]
) -> dict[str, Any]:
    """A reply: member `name` with the first `limit` of the items found, and a nextToken if there is one more. key:
    returns the position of an item, from which the next page continues."""
    reply: dict[str, Any] = {name: [view(item) for item in found[:limit]]}
    if len(found) > limit:
        token = f"{name}/{key(found[limit - 1])}"
        reply["nextToken"] = base64.urlsafe_b64encode(token.encode("utf-8")).decode("ascii")
    return reply


def by_marker(reply: dict[str, Any]) -> dict[str, Any]:
    """The reply of an operation that has nextMarker and marker instead of nextToken."""
    token = reply.pop("nextToken", None)
    return reply | ({} if token is None else {"nextMarker": token})


def page_of_numbered(
    name: str, find: Callable[[int | None, int], Sequence[tuple[int, Item]]], view: Callable[[Item], Any],
    page_size: int | None, marker: str | None,
) -> dict[str, Any]:
    """A reply with nextMarker, of things listed by a sequence number. find(after, limit): returns the numbers and
    things behind a number, at most so many."""
    limit = size(page_size)
    found = find(sequence(name, marker), limit + 1)
    return by_marker(page(name, found, limit, lambda item: view(item[1]), lambda item: item[0]))


def page_of_names(
    name: str, names: Iterable[str], view: Callable[[str], Any], max_results: int | None, token: str | None
) -> dict[str, Any]:
    """A reply like that of `page`, of things listed by name. names: all of them, in any order."""
    after = position(name, token) or ""
    return page(name, sorted(item for item in names if item > after), size(max_results), view, str)
