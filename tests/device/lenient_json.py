"""`json.loads` as in MicroPython 1.24 and 1.25: the end of the text closes every open object or list.

It ignores misplaced commas and colons, and accepts either bracket for either type. Runs on both interpreters.
"""

import json

_NUMBER = "+-.0123456789Ee"
_WORDS = {"true": True, "false": False, "null": None}
_WRONG = "syntax error in JSON"


def loads(data):
    """Parse JSON text. Raises ValueError for the errors that those versions detect."""
    text = data if isinstance(data, str) else bytes(data).decode()
    outer, innermost, key, at = [], None, None, 0
    while at < len(text):
        character = text[at]
        if character in ",: \t\r\n":
            at += 1
            continue
        if character in "]}":
            at += 1
            if innermost is None:
                raise ValueError(_WRONG)
            if not outer:
                break
            innermost = outer.pop()
            continue
        value, at = _value(text, at)
        opens = isinstance(value, (dict, list))
        if innermost is None:
            innermost = value
            if not opens:
                break
            continue
        if isinstance(innermost, list):
            innermost.append(value)
        elif key is None:
            if opens:
                raise ValueError(_WRONG)
            key = value
        else:
            innermost[key] = value
            key = None
        if opens:
            outer.append(innermost)
            innermost = value
    if text[at:].strip() or not text.strip() or outer:
        raise ValueError(_WRONG)
    return innermost


def _value(text, at):
    # Return the value that begins there, empty for an object or list, and its end.
    character = text[at]
    if character in "{[":
        return ({} if character == "{" else []), at + 1
    end = at + 1
    if character == '"':
        while end < len(text) and text[end] != '"':
            end += 2 if text[end] == "\\" else 1
        end += 1
    elif character in _NUMBER:
        while end < len(text) and text[end] in _NUMBER:
            end += 1
    else:
        for word in _WORDS:
            if text[at : at + len(word)] == word:
                return _WORDS[word], at + len(word)
        raise ValueError(_WRONG)
    if end > len(text):
        raise ValueError(_WRONG)
    return json.loads(text[at:end]), end
