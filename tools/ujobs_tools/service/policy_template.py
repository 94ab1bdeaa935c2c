"""The string patterns of policies: wildcards `*` and `?`, and variables `${…}`, replaced when a policy is evaluated
("AWS IoT Core policy variables")."""

import re
from collections.abc import Mapping
from functools import lru_cache

Value = str | tuple[str, ...]
# Values of variables and condition keys, by lower-case name because AWS ignores the case. A tuple has several values.
Values = Mapping[str, Value]

_PARTS = re.compile(r"\$\{([^{}]*)\}|([*?])")
_LITERALS = ("*", "?", "$")  # ${*}, ${?} and ${$} stand for these characters themselves


class Pattern:
    """A pattern after its variables are replaced. Matching is case-sensitive."""

    def __init__(self, pieces: list[str]) -> None:
        # The parts between two `*`. "\0" represents `?`, because topics and client ids cannot contain it.
        self._pieces = pieces
        one = any("\0" in piece for piece in pieces)
        source = ".*".join("".join("." if c == "\0" else re.escape(c) for c in piece) for piece in pieces)
        self._expression = re.compile(source, re.DOTALL) if one else None

    def matches(self, text: str) -> bool:
        """Whether the pattern matches the whole string."""
        if self._expression is not None:
            return self._expression.fullmatch(text) is not None
        first, *rest = self._pieces
        if not rest:
            return text == first
        *middle, last = rest
        if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
            return False
        position, end = len(first), len(text) - len(last)
        for piece in middle:
            position = text.find(piece, position, end)
            if position < 0:
                return False
            position += len(piece)
        return True


class Template:
    """A pattern in a policy. wildcards: whether `*` and `?` are wildcards. Raises ValueError if it is malformed."""

    def __init__(self, text: str, wildcards: bool = True) -> None:
        self.text = text
        # A string is text, None is `*`, and a tuple holds the name of a variable.
        self._parts: list[str | tuple[str] | None] = []
        end = 0
        for match in _PARTS.finditer(text):
            self._add(text[end : match.start()])
            end = match.end()
            name, wildcard = match.groups()
            if name in _LITERALS:
                self._add(name)
            elif name is not None:
                self._parts.append((name,))
            elif not wildcards:
                self._add(wildcard)
            else:
                self._parts.append(None if wildcard == "*" else "\0")
        self._add(text[end:])

    def _add(self, text: str) -> None:
        if "${" in text or "\0" in text:
            raise ValueError("a policy variable must be written ${name}")
        if text:
            self._parts.append(text)

    def missing(self, values: Values) -> list[str]:
        """The variables without a value. A value that contains `*` or `?`, or is a list, is treated as missing."""
        names = [part[0] for part in self._parts if isinstance(part, tuple)]
        return [name for name in names if _value(values, name) is None]

    def fill(self, values: Values, lower: bool = False) -> Pattern | None:
        """The pattern with the values of its variables, in lower case if `lower`; None if a value is missing: it then
        matches nothing."""
        pieces = [""]
        for part in self._parts:
            if part is None:
                pieces.append("")
                continue
            text = part if isinstance(part, str) else _value(values, part[0])
            if text is None:
                return None
            pieces[-1] += text
        return Pattern([piece.lower() for piece in pieces] if lower else pieces)


def _value(values: Values, name: str) -> str | None:
    value = values.get(name.lower())
    # AWS does not replace a variable whose value contains a wildcard ("X.509 certificate policy variables").
    return value if isinstance(value, str) and not set("*?\0") & set(value) else None


@lru_cache(maxsize=1024)
def template(text: str, wildcards: bool = True) -> Template:
    """The template of a string, from a cache."""
    return Template(text, wildcards)
