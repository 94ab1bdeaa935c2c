"""AWS's cron expressions: `cron(minutes hours day-of-month month day-of-week year)`, in UTC.

Source: "Cron expressions" in the EventBridge user guide. Six fields with `*`, `?`, lists, ranges, steps, names; days of
the week are 1 (Sunday) to 7. `L`, `W` and `#` are not implemented."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ujobs_tools.service.errors import ApiError, invalid

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS = (
    ("minutes", 0, 59, ()), ("hours", 0, 23, ()), ("day of month", 1, 31, ()), ("month", 1, 12, _MONTHS),
    ("day of week", 1, 7, _DAYS), ("year", 1970, 2199, ()),
)
_PART = re.compile(r"(\*|\?|(\d+|[A-Z]{3})(?:-(\d+|[A-Z]{3}))?)(?:/(\d+))?", re.ASCII)
_DAYS_AHEAD = 8 * 366  # always contains a 29 February


@dataclass(frozen=True)
class Cron:
    """A parsed expression. fields: the allowed values of each field, in the expression's order."""

    fields: tuple[frozenset[int], ...]

    def after(self, moment: float) -> Iterator[float]:
        """The times after this one that match, in order; epoch seconds."""
        minutes, hours, days, months, weekdays, years = self.fields
        day = datetime.fromtimestamp(moment, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        for ahead in range(_DAYS_AHEAD):
            date = day + timedelta(days=ahead)
            weekday = date.isoweekday() % 7 + 1
            if date.year not in years or date.month not in months or date.day not in days or weekday not in weekdays:
                continue
            for hour in sorted(hours):
                for minute in sorted(minutes):
                    found = date.replace(hour=hour, minute=minute).timestamp()
                    if found > moment:
                        yield found


def parse(expression: str, name: str) -> Cron:
    """Parse an expression. name: the request member, for messages. Raises ApiError InvalidRequest, NotImplemented."""
    match = re.fullmatch(r"cron\(\s*(.*?)\s*\)", expression)
    fields = match[1].upper().split() if match else []
    if len(fields) != len(_FIELDS):
        raise invalid(f"{name} {expression!r} must be cron(minutes hours day-of-month month day-of-week year)")
    if (fields[2], fields[4]).count("?") != 1:
        raise invalid(f"{name} {expression!r} must have ? as day of month or as day of week, not as both")
    return Cron(tuple(_values(text, name, *about) for text, about in zip(fields, _FIELDS, strict=True)))


def _values(text: str, name: str, field: str, least: int, most: int, words: tuple[str, ...]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            if re.fullmatch(r"L|\d*[LW]|LW|\w+#\d", part):
                raise ApiError("NotImplemented", f"{name}: {part} as {field} is not implemented by this service.")
            raise invalid(f"{name}: {part!r} is not a valid {field}")
        whole, begin, end, step = match.groups()
        if begin is None:
            first, last = least, most
        else:
            first = _number(begin, name, field, least, most, words)
            last = _number(end, name, field, least, most, words) if end else most if step else first
        if last < first or (step and not int(step)) or (whole == "?" and field not in ("day of month", "day of week")):
            raise invalid(f"{name}: {part!r} is not a valid {field}")
        found.update(range(first, last + 1, int(step or 1)))
    return frozenset(found)


def _number(text: str, name: str, field: str, least: int, most: int, words: tuple[str, ...]) -> int:
    value = words.index(text) + least if text in words else int(text) if text.isdigit() else -1
    if not least <= value <= most:
        raise invalid(f"{name}: {text!r} is not a valid {field}: {least} to {most}")
    return value
