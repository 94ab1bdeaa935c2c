"""Shows text from a board, a job or the cloud on a terminal, with its control characters escaped."""

import logging
import unicodedata


def plain(text: str) -> str:
    """Replace control characters, line breaks and invisible characters, such as those that change the direction of
    text, with backslash escapes; keep tabs."""
    return "".join(
        character if character == "\t" or not _is_control(character) else _written_out(character) for character in text
    )


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _written_out(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


class PlainFormatter(logging.Formatter):
    """Escapes control characters in messages of log lines; tracebacks keep their line breaks."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        record.message = plain(record.message)
        return super().formatMessage(record)
