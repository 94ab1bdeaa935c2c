"""The limits in boto3's service models that botocore itself does not check: lengths, ranges, patterns, enumerations."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

_INTEGER_BITS = {"integer": 31, "long": 63}
# Classes of Java's patterns, and what they are in Python's. Only the last three are not ASCII in Java.
_JAVA_CLASSES = {
    r"\w": "a-zA-Z0-9_", r"\p{Upper}": "A-Z", r"\p{Digit}": "0-9", r"\p{Graph}": "!-~",
    r"\p{L}": r"\w", r"\p{N}": "", r"\p{Z}": r"\s",
}
_SHOWN = 130  # characters of a wrong value
_NO_CONTROL = r"[^\p{C}]"


def broken(shape: Any, value: Any, path: str = "") -> Iterator[str]:
    """Yield what is wrong with a parameter, each with the member's name and its limit.

    shape: botocore's Shape, which has no type annotations; the value is of its type. path: the parameter's name.
    """
    match shape.type_name:
        case "structure":
            for name, member in shape.members.items():
                if value.get(name) is not None:
                    yield from broken(member, value[name], f"{path}.{name}" if path else name)
        case "list":
            yield from _wrong_size(shape, len(value), path, "items")
            for at, item in enumerate(value):
                yield from broken(shape.member, item, f"{path}[{at}]")
        case "map":
            for key, item in value.items():
                yield from broken(shape.key, key, f"{path} key")
                yield from broken(shape.value, item, f"{path}.{key}")
        case "string":
            yield from _wrong_text(shape, value, path)
        case "integer" | "long" | "float" | "double":
            bits = _INTEGER_BITS.get(shape.type_name)
            if bits is not None and not -(1 << bits) <= value < 1 << bits:
                yield f"{path} must be a whole number of {bits + 1} bits"
            yield from _wrong_size(shape, value, path, "")


def _wrong_size(shape: Any, size: float, path: str, unit: str) -> Iterator[str]:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max")
    if most is not None and not least <= size <= most:
        yield f"{path} must be {least} to {most} {unit}".rstrip()


def _wrong_text(shape: Any, text: str, path: str) -> Iterator[str]:
    allowed = shape.metadata.get("enum")
    if allowed and text not in allowed:
        yield f"{path} must be one of {', '.join(allowed)}, not {text!r}"
    pattern = shape.metadata.get("pattern", "")
    fits = not pattern or _matches(pattern, text)
    most = shape.metadata.get("max")
    if fits and (most is None or len(text) <= most):
        return
    length = "text" if most is None else f"{shape.metadata.get('min', 0)} to {most} characters"
    rule = f" that match {pattern}" if pattern else ""
    yield f"{path} {text[:_SHOWN]!r} must be {length}{rule}"


def _matches(pattern: str, text: str) -> bool:
    # An empty value counts as absent, as for parameters that are not implemented.
    if not text:
        return True
    if _NO_CONTROL in pattern:
        pattern = pattern.replace(_NO_CONTROL, r"[\s\S]")
        if any(unicodedata.category(character).startswith("C") for character in text):
            return False
    for java, python in _JAVA_CLASSES.items():
        pattern = pattern.replace(java, python)
    return re.fullmatch(pattern, text) is not None
