"""Stand-in for MicroPython's `ujson`, with its ways: it reads any buffer, and only ValueError says what is wrong."""

import json


def dumps(obj, separators=None):
    return json.dumps(obj, ensure_ascii=False, separators=separators)


def loads(data):
    text = data if isinstance(data, str) else bytes(data).decode()
    try:
        return json.loads(text)
    except RecursionError as error:
        # MicroPython's parser keeps its own stack: depth alone is no error there, and none that callers could see.
        raise ValueError("syntax error in JSON") from error


def dump(obj, stream, separators=None):
    stream.write(dumps(obj, separators))


def load(stream):
    return loads(stream.read())
