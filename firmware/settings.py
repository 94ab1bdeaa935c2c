"""The board's settings, /settings.json: read, checked, and completed with defaults.

A wrong setting that the board can do without costs one line on the console and gets its default; only what it
cannot do without stops it.
"""

import ujson

# name: (types, default); a default of Ellipsis means that there is none.
_KNOWN = {
    "thing": (str, ...),
    "host": (str, ...),
    "port": (int, 8883),
    "ca": (str, "/cert/ca.der"),
    "cert": (str, "/cert/cert.der"),
    "key": (str, "/cert/key.der"),
    "wifi": (dict, None),
    "ntp": (str, None),
    "watchdog": (int, None),
    "keepalive": (int, 60),
    "update_interval": ((int, float), None),
    "receive_limit": (int, 16384),
    "handlers": (list, ()),
    "app": (str, None),
}


def load(path: str = "/settings.json") -> dict:
    """Return all settings by name. Raises ValueError when the file cannot be used, naming the file or the setting."""
    try:
        with open(path) as file:
            given = ujson.load(file)
    except (OSError, ValueError) as error:
        raise ValueError(path + ": " + repr(error))
    if not isinstance(given, dict):
        raise ValueError(path + ": not a JSON object")
    for name in given:
        if name not in _KNOWN:
            print("settings: there is no setting", name)
    return {name: _check(name, given.get(name), kinds, default) for name, (kinds, default) in _KNOWN.items()}


def _check(name, value, kinds, default):
    if isinstance(value, kinds) and not isinstance(value, bool):
        return value
    if default is ...:
        raise ValueError("settings: " + name + (" is missing" if value is None else " has the wrong type"))
    if value is not None:
        print("settings:", name, "has the wrong type and is left out")
    return default
