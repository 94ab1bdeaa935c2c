"""MicroPython's `ujson` for CPython: it reads any buffer, and every error is a ValueError."""

import json


def dumps(obj, separators=None):
    return json.dumps(obj, ensure_ascii=False, separators=separators)


def loads(data):
    text = data if isinstance(data, str) else bytes(data).decode()
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        # MicroPython's parser has its own stack, so deep nesting is not an error there.
        raise ValueError("syntax error in JSON") from error


def _refuse(constant):
    # CPython accepts NaN and Infinity, MicroPython does not.
    raise ValueError("syntax error in JSON")


def dump(obj, stream, separators=None):
    stream.write(dumps(obj, separators))


def load(stream):
    return loads(stream.read())
