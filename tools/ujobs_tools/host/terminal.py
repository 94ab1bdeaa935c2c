"""Shows text from a board, a job or the cloud on a terminal, with its control characters escaped."""

import logging
import unicodedata


def plain(text: str) -> str:
    """The text with control characters (escape sequences begin with one), invisible ones that change the direction of
    text, and line breaks written out as backslash escapes; tabs stay."""
    return "".join(
        character if character == "\t" or not _is_control(character) else _written_out(character) for character in text
    )


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _written_out(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


class PlainFormatter(logging.Formatter):
    """Log lines whose messages are plain text; tracebacks keep their lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        record.message = plain(record.message)
        return super().formatMessage(record)
