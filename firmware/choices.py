"""Several Wi-Fi networks and hosts: tried in the order of the settings, but the last one that worked comes first.

`/wifi.last` and `/host.last` name that one; they are written only when it changes.
"""

from ujobs import trial

_WIFI = "/wifi.last"
_HOST = "/host.last"


def networks(config: dict) -> "list[tuple[str, str]]":
    """Return the name and password of each network in the settings; an empty list without Wi-Fi."""
    given = config["wifi"] or []
    if isinstance(given, dict):
        given = [given]
    return _in_order(_WIFI, [(one["ssid"], one.get("password", "")) for one in given], lambda one: one[0])


def hosts(config: dict) -> "list[str]":
    """Return the hosts in the settings."""
    given = config["host"]
    return _in_order(_HOST, given if isinstance(given, list) else [given], lambda one: one)


def joined(network: "tuple[str, str]") -> None:
    """Record that the board has joined this network."""
    _note(_WIFI, network[0])


def take_turns(link, hosts: "list[str]") -> None:
    """Make an ujobs Link try these hosts in turn, starting with the first; each failure selects the next one."""
    connect = link.connect
    at = 0

    async def connect_to_next(*arguments):
        nonlocal at
        link.server = hosts[at]
        try:
            result = await connect(*arguments)
        except Exception:
            at = (at + 1) % len(hosts)
            raise
        _note(_HOST, link.server)
        return result

    if len(hosts) > 1:
        link.connect = connect_to_next


def _in_order(file, options, name):
    last = trial.read(file)
    return [one for one in options if name(one) == last] + [one for one in options if name(one) != last]


def _note(file, text):
    try:
        if trial.read(file) != text:
            trial.write(file, text)
    except OSError as error:
        print("%s is not written: %s" % (file, error))
