"""The board's settings, /settings.json: read, checked, and completed with defaults.

If an optional setting is invalid, the board prints one line and uses the default. If a required one is missing or
invalid, the board does not start.
"""

import ujson
from ujobs import lend

_HOST = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-"
_WORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-:"
_MOST_PARAMETERS = 32
_MOST_CHOICES = 8
_HANDLERS = ("app", "call", "files", "firmware", "reboot", "report", "settings", "steps")
_REQUIRED = object()


def _between(least, most, fraction=False):
    def check(value):
        number = (isinstance(value, int) or (fraction and isinstance(value, float))) and not isinstance(value, bool)
        return "" if number and least <= value <= most else "must be a number from %s to %s" % (least, most)

    return check


def _text(least=1, most=128, characters=None):
    def check(value):
        if not isinstance(value, str):
            return "must be text, in quotation marks"
        if not least <= len(value.encode()) <= most:
            return "must be %d to %d bytes" % (least, most)
        return "must have no characters but " + characters if characters and value.strip(characters) else ""

    return check


def _hosts(value):
    if not isinstance(value, list):
        return _host(value)
    if not 1 <= len(value) <= _MOST_CHOICES:
        return "must be text, or a list of 1 to %d" % _MOST_CHOICES
    for one in value:
        wrong = _host(one)
        if wrong:
            return wrong
    return ""


def _host(value):
    wrong = _text(1, 253)(value)
    if not wrong and value.strip(_HOST):
        wrong = "must be a host name alone: no https://, port or blank"
    return wrong


def _flag(value):
    return "" if isinstance(value, bool) else "must be true or false"


def _texts(value):
    return "" if isinstance(value, list) and all(isinstance(one, str) for one in value) else "must be a list of texts"


def _roots(value):
    # The root itself holds files that no job may write: settings, keys, the journal.
    wrong = _texts(value)
    if not wrong and not all(len(root) > 1 and "/" + root.strip("/") == root for root in value):
        wrong = 'must be folders such as "/data", not "/" itself'
    return wrong


def _unsafe(root, given):
    # Return why jobs must not write below a folder, "" when they may.
    try:
        lend("sources", "check_root", root)
    except ValueError as error:
        return str(error)
    claim = given.get("claim")
    files = [given.get(name, _KNOWN[name][1]) for name in ("ca", "cert", "key")]
    if isinstance(claim, dict):
        files += [claim.get("cert"), claim.get("key")]
    # A FAT file system ignores case.
    for file in files:
        if str(file).lower().startswith(root.lower() + "/"):
            return "folder %s holds %s" % (root, file)
    return ""


def _no_handler(name, given):
    # Return "" for the name of a handler of ujobs.
    return "" if name in _HANDLERS else "there is no handler " + name


# Lists whose entries are checked one by one.
_EACH = (("roots", _unsafe), ("handlers", _no_handler))


def _members(value, checks):
    # Return the first invalid member of an object with its name.
    if not isinstance(value, dict):
        return "must be an object"
    for name in checks:
        if name in value or name in ("ssid", "template"):
            wrong = checks[name](value.get(name))
            if wrong:
                return "." + name + " " + wrong
    return ""


def _password(value):
    wrong = _text(0, 64)(value)
    # WPA: 8 to 63 characters, or the key itself as 64 hexadecimal digits; empty for an open network.
    return wrong or ("" if not value or len(value) >= 8 else "must be 8 to 63 characters")


def _wifi(value):
    if not isinstance(value, list):
        return _members(value, _NETWORK)
    if not 1 <= len(value) <= _MOST_CHOICES:
        return "must be an object, or a list of 1 to %d" % _MOST_CHOICES
    # Return the first invalid one with its index.
    for at, one in enumerate(value):
        wrong = "must be an object" if isinstance(one, list) else _wifi(one)
        if wrong:
            return ".%d%s%s" % (at, "" if wrong[0] == "." else " ", wrong)
    return ""


def _parameters(value):
    fits = isinstance(value, dict) and len(value) <= _MOST_PARAMETERS
    return "" if fits and all(isinstance(one, str) for one in value.values()) else "must be an object of texts"


def _claim(value):
    return _members(value, _CLAIM)


_NETWORK = {"ssid": _text(1, 32), "password": _password}
_CLAIM = {"template": _text(1, 36, _WORD), "parameters": _parameters, "cert": _text(), "key": _text()}

# name: (check, default, whether null is allowed)
_KNOWN = {
    "thing": (_text(1, 128, _WORD), _REQUIRED, False),
    "host": (_hosts, _REQUIRED, False),
    "port": (_between(1, 65535), 8883, False),
    "ca": (_text(), "/cert/ca.der", False),
    "cert": (_text(), "/cert/cert.der", False),
    "key": (_text(), "/cert/key.der", False),
    "claim": (_claim, None, True),
    "wifi": (_wifi, None, True),
    "ntp": (_host, None, True),
    "watchdog": (_between(1, 3600), None, True),
    "keepalive": (_between(30, 1200), 60, False),
    "update_interval": (_between(1, 3600, True), None, True),
    "receive_limit": (_between(1024, 131072), 16384, False),
    "handlers": (_texts, (), False),
    "roots": (_roots, ("/data",), False),
    "signing_key": (_text(1, 4096), None, True),
    "app": (_text(1, 64), None, True),
    "confirm": (_flag, False, False),
    "trial": (_between(1, 3600), 300, False),
}


def load(path: str = "/settings.json") -> dict:
    """Return all settings by name. Raises ValueError when the file cannot be used, naming the file or the setting."""
    try:
        with open(path) as file:
            text = file.read()
        given = ujson.loads(text)
        # MicroPython before 1.26 accepts truncated JSON.
        if len(ujson.loads("[" + text + ",0]")) != 2:
            raise ValueError("breaks off")
    except (OSError, ValueError) as error:
        raise ValueError(path + ": " + repr(error))
    if not isinstance(given, dict):
        raise ValueError(path + ": not a JSON object")
    for name in _unknown(given):
        print("settings: there is no setting", name)
    if given.get("claim") and not given.get("thing"):
        given["thing"] = ""  # the claim gives the board its name
    settings = {name: _usable(name, given) for name in _KNOWN}
    if not settings["thing"] and not settings["claim"]:
        raise ValueError("settings: thing is missing")
    for name, fault in _EACH:
        kept = []
        for one in settings[name]:
            wrong = fault(one, settings)
            if wrong:
                print("settings: %s: %s; it is left out" % (name, wrong))
            else:
                kept.append(one)
        settings[name] = kept
    return settings


def check(given: dict) -> None:
    """Check the settings that a job would set, more strictly. Raises ValueError naming the setting, not its value."""
    for name in _unknown(given):
        raise ValueError("there is no setting " + name)
    for name in _KNOWN:
        wrong = _wrong(name, given)
        if wrong:
            raise ValueError("setting " + wrong)
    for name, fault in _EACH:
        for one in given.get(name, ()):
            wrong = fault(one, given)
            if wrong:
                raise ValueError("setting %s: %s" % (name, wrong))


def secrets(config: dict) -> "list[str]":
    """Return the strings in the settings that must not be shown."""
    wifi = config.get("wifi") or []
    wifi = [wifi] if isinstance(wifi, dict) else wifi
    return [one.get("password", "") for one in wifi] + list((config.get("claim") or {}).get("parameters", {}).values())


def _unknown(given):
    # Return the names that mean nothing, also those of members.
    names = [name for name in given if name not in _KNOWN]
    for name, known in (("wifi", _NETWORK), ("claim", _CLAIM)):
        value = given.get(name)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                names += [name + "." + member for member in one if member not in known]
    return names


def _wrong(name, given):
    # Return why a setting is invalid, beginning with its name; "" when it is valid.
    check, default, nullable = _KNOWN[name]
    value = given.get(name)
    if name == "thing" and not value and given.get("claim"):
        return ""
    if value is None and default is _REQUIRED:
        return name + " is missing"
    if (name not in given) or (value is None and nullable):
        return ""
    wrong = check(value)
    return wrong and (name + wrong if wrong[0] == "." else name + " " + wrong)


def _usable(name, given):
    wrong = _wrong(name, given)
    default = _KNOWN[name][1]
    if not wrong:
        return given.get(name, default)
    # Without its signing key the board would accept unsigned files.
    if default is _REQUIRED or name == "signing_key":
        raise ValueError("settings: " + wrong)
    print("settings: %s; the default is used" % wrong)
    return default
