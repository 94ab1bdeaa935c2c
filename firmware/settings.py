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
    "claim": (dict, None),
    "wifi": (dict, None),
    "ntp": (str, None),
    "watchdog": (int, None),
    "keepalive": (int, 60),
    "update_interval": ((int, float), None),
    "receive_limit": (int, 16384),
    "handlers": (list, ()),
    "roots": (list, ("/data",)),
    "signing_key": (str, None),
    "app": (str, None),
    "confirm": (bool, False),
    "trial": (int, 300),
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
    config = {"thing": ""} if _fits("claim", given.get("claim"), dict) else {}
    config.update(given)  # a board that claims gets its name by that
    return {name: _check(name, config.get(name), kinds, default) for name, (kinds, default) in _KNOWN.items()}


def check(given: dict) -> None:
    """Check settings as a job would set them, more strictly. Raises ValueError naming the setting, never its value."""
    for name, value in given.items():
        if name not in _KNOWN:
            raise ValueError("there is no setting " + name)
        kinds, default = _KNOWN[name]
        if not _fits(name, value, kinds) and not (value is None and default is None):
            raise ValueError("setting " + name + " has the wrong type or value")
    for name, (_, default) in _KNOWN.items():
        if default is ... and name not in given:
            raise ValueError("setting " + name + " is missing")


def _fits(name, value, kinds):
    if name == "roots" and isinstance(value, list):
        # The root itself holds what no job may write: settings, keys, the journal.
        return all(isinstance(root, str) and len(root) > 1 and "/" + root.strip("/") == root for root in value)
    if name == "claim" and isinstance(value, dict):
        return isinstance(value.get("template"), str) and isinstance(value.get("parameters", {}), dict)
    if name == "handlers" and isinstance(value, list):
        return all(isinstance(handler, str) for handler in value)
    return isinstance(value, kinds) and (kinds is bool or not isinstance(value, bool))


def _check(name, value, kinds, default):
    if _fits(name, value, kinds):
        return value
    # Without its signing key a board would take what nobody signed.
    if default is ... or (name == "signing_key" and value is not None):
        raise ValueError("settings: " + name + (" is missing" if value is None else " has the wrong type"))
    if value is not None:
        print("settings:", name, "has the wrong type and is left out")
    return default
