"""`json.loads` as MicroPython 1.24 and 1.25 have it: the end of the text ends whatever object or list is open.

It passes over commas and colons wherever they are, and lets either bracket close either kind. Both interpreters.
"""

import json

_NUMBER = "+-.0123456789Ee"
_WORDS = {"true": True, "false": False, "null": None}
_WRONG = "syntax error in JSON"


def loads(data):
    """Read JSON text. Raises ValueError for what those versions notice."""
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
    # The value that begins there, of an object or list the empty one; and where it ends.
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
