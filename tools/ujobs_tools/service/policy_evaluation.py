"""Evaluates policy documents as AWS IoT does, without any state.

A request is allowed when a statement allows it and none denies it; a Deny always wins ("AWS IoT Core policies"). `*`
and `?` are wildcards; MQTT's `+` and `#` are ordinary characters ("Publish/Subscribe policy examples"). A statement
whose variable has no value does not apply."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ujobs_tools.service import policy_conditions
from ujobs_tools.service.policy_conditions import Condition, Unsupported, listed
from ujobs_tools.service.policy_template import Pattern, Template, Values, template

MAX_DOCUMENT = 2048  # characters, white space not counted ("AWS IoT Core policy limits")
_STATEMENT_MEMBERS = {"Sid", "Effect", "Action", "Resource", "Condition"}
_ACTION = re.compile(r"\*|[a-z*]+:[A-Za-z*?]+")

__all__ = ["Decision", "Statement", "Unsupported", "evaluate", "parse"]


@dataclass(frozen=True)
class Statement:
    """One statement of a policy, the first of them number 1."""

    number: int
    denies: bool
    actions: tuple[Pattern, ...]
    resources: tuple[Template, ...]
    conditions: tuple[Condition, ...]

    def concerns(self, action: str) -> bool:
        """Whether it has this action."""
        return any(one.matches(action.lower()) for one in self.actions)

    def applies(self, action: str, resource: str, values: Values) -> bool:
        """Whether it applies to this request."""
        return (
            self.concerns(action)
            and any(_matches(one, resource, values) for one in self.resources)
            and all(condition.holds(values) for condition in self.conditions)
        )


def _matches(pattern: Template, text: str, values: Values) -> bool:
    filled = pattern.fill(values)
    return filled is not None and filled.matches(text)


@dataclass(frozen=True)
class Decision:
    """allowed: whether the request is allowed. reason: why not: the statement that denies it or the missing one."""

    allowed: bool
    reason: str = ""


@lru_cache(maxsize=256)
def parse(document: str) -> tuple[Statement, ...]:
    """The statements of a policy document. Raises ValueError if it is malformed, Unsupported for features that AWS has
    and this evaluation lacks."""
    if len("".join(document.split())) > MAX_DOCUMENT:
        raise ValueError(f"it has more than {MAX_DOCUMENT} characters, white space not counted")
    found = json.loads(document)
    if not isinstance(found, dict) or found.get("Version", "2012-10-17") not in ("2012-10-17", "2008-10-17"):
        raise ValueError('it must be an object with "Version": "2012-10-17"')
    statements = listed(found.get("Statement"))
    if not all(isinstance(statement, dict) for statement in statements):
        raise ValueError("Statement must be an object or a list of objects")
    return tuple(_statement(number, statement) for number, statement in enumerate(statements, 1))


def _statement(number: int, members: Mapping[str, Any]) -> Statement:
    unknown = set(members) - _STATEMENT_MEMBERS
    if unknown:
        raise ValueError(f"statement {number} has {', '.join(sorted(unknown))}, which policies of AWS IoT do not have")
    effect = members.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise ValueError(f"Effect of statement {number} must be Allow or Deny")
    actions = [_action(number, text) for text in _texts(number, "Action", members)]
    try:
        resources = tuple(template(text) for text in _texts(number, "Resource", members))
        conditions = policy_conditions.parse(members.get("Condition", {}))
    except ValueError as error:
        raise ValueError(f"statement {number}: {error}") from None
    return Statement(number, effect == "Deny", tuple(actions), resources, conditions)


def _action(number: int, text: str) -> Pattern:
    filled = template(text).fill({}, lower=True) if _ACTION.fullmatch(text) else None
    if filled is None:
        raise ValueError(f"Action {text!r} of statement {number} must be like iot:Connect")
    return filled


def _texts(number: int, name: str, members: Mapping[str, Any]) -> list[str]:
    texts = listed(members.get(name))
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{name} of statement {number} must be a string or a list of strings")
    return texts


def evaluate(documents: Mapping[str, str], action: str, resource: str, values: Values) -> Decision:
    """Decide about one request.

    documents: the policies by name, as `parse` accepts them. action: "iot:Connect" and the like. resource: ARN of the
    client, topic or topic filter. values: of policy variables and condition keys, by name.
    """
    allowed = False
    for name, document in documents.items():
        for statement in parse(document):
            if statement.applies(action, resource, values):
                if statement.denies:
                    return Decision(False, f"statement {statement.number} of policy {name} denies {action}")
                allowed = True
    return Decision(True) if allowed else Decision(False, _missing(documents, action, resource, values))


def _missing(documents: Mapping[str, str], action: str, resource: str, values: Values) -> str:
    if not documents:
        return f"no policy is attached to its certificate, so {action} is not allowed"
    without = sorted({
        name
        for document in documents.values()
        for statement in parse(document)
        if statement.concerns(action) and not statement.denies
        for one in statement.resources
        for name in one.missing(values)
    })
    return f"no statement of {_names(documents)} allows {action} on {resource}" + "".join(
        f"; ${{{name}}} has no value" for name in without
    )


def _names(documents: Iterable[str]) -> str:
    names = sorted(documents)
    return f"policy {names[0]}" if len(names) == 1 else f"the policies {', '.join(names)}"
