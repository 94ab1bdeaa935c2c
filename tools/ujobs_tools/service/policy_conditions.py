"""The Condition block of a policy statement, with the operators that AWS IoT policies use.

Numeric and date operators are not implemented: creating a policy with one fails."""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ujobs_tools.service.policy_template import Template, Values, template

_SETS = ("ForAllValues", "ForAnyValue")


class Unsupported(Exception):
    """A feature that AWS has and the local service lacks; the text names it."""


def _equals(expected: Template, values: Values) -> Callable[[str], bool]:
    pattern = expected.fill(values)
    return lambda found: pattern is not None and pattern.matches(found)


def _equals_ignoring_case(expected: Template, values: Values) -> Callable[[str], bool]:
    pattern = expected.fill(values, lower=True)
    return lambda found: pattern is not None and pattern.matches(found.lower())


def _in_network(expected: Template, values: Values) -> Callable[[str], bool]:
    def contains(found: str) -> bool:
        return ipaddress.ip_address(found) in ipaddress.ip_network(expected.text, strict=False)

    return contains


@dataclass(frozen=True)
class _Operator:
    """A comparison. wildcards: whether `*` and `?` are wildcards. negated: true if no expected value matches."""

    test: Callable[[Template, Values], Callable[[str], bool]]
    wildcards: bool = False
    negated: bool = False


_OPERATORS = {
    "StringEquals": _Operator(_equals),
    "StringNotEquals": _Operator(_equals, negated=True),
    "StringEqualsIgnoreCase": _Operator(_equals_ignoring_case),
    "StringNotEqualsIgnoreCase": _Operator(_equals_ignoring_case, negated=True),
    "StringLike": _Operator(_equals, wildcards=True),
    "StringNotLike": _Operator(_equals, wildcards=True, negated=True),
    "ArnEquals": _Operator(_equals, wildcards=True),
    "ArnNotEquals": _Operator(_equals, wildcards=True, negated=True),
    "ArnLike": _Operator(_equals, wildcards=True),
    "ArnNotLike": _Operator(_equals, wildcards=True, negated=True),
    "Bool": _Operator(_equals_ignoring_case),
    "IpAddress": _Operator(_in_network),
    "NotIpAddress": _Operator(_in_network, negated=True),
}


@dataclass(frozen=True)
class Condition:
    """One operator with one key. over: "ForAllValues", "ForAnyValue" or "". if_exists: the condition also holds if the
    key has no value."""

    operator: _Operator
    over: str
    if_exists: bool
    key: str
    expected: tuple[Template, ...]

    def holds(self, values: Values) -> bool:
        """Whether the condition holds. If the key has no value, only negated operators and ForAllValues hold."""
        found = values.get(self.key.lower())
        if found is None:
            return self.if_exists or self.over == "ForAllValues" or (self.operator.negated and not self.over)
        every = (found,) if isinstance(found, str) else found
        tests = [self.operator.test(one, values) for one in self.expected]
        fits = [any(test(one) for test in tests) != self.operator.negated for one in every]
        # A negated operator without ForAnyValue applies to all values of the key.
        return all(fits) if self.over == "ForAllValues" or (self.operator.negated and not self.over) else any(fits)


def parse(block: Any) -> tuple[Condition, ...]:
    """The conditions of a statement, all of which must hold. Raises ValueError, Unsupported."""
    if not isinstance(block, Mapping) or not all(isinstance(keys, Mapping) for keys in block.values()):
        raise ValueError("Condition must be an object of objects")
    return tuple(_condition(name, key, expected) for name, keys in block.items() for key, expected in keys.items())


def _condition(name: str, key: str, expected: Any) -> Condition:
    over, colon, plain = name.rpartition(":")
    if colon and over not in _SETS:
        raise ValueError(f"Condition has an unknown set operator {over!r}")
    base = plain.removesuffix("IfExists")
    operator = _OPERATORS.get(base)
    if operator is None:
        raise Unsupported(f"Condition operator {name}")
    texts = [str(one).lower() if isinstance(one, bool) else one for one in listed(expected)]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"Condition {name} of {key} must have strings")
    if operator.test is _in_network:
        for text in texts:
            ipaddress.ip_network(text, strict=False)
    templates = tuple(template(text, operator.wildcards) for text in texts)
    return Condition(operator, over, base != plain, key, templates)


def listed(value: Any) -> list[Any]:
    """The value as a list: policies may give one string or a list of strings."""
    return value if isinstance(value, list) else [value]
