"""firmware/settings.py: what each setting accepts, its default, and the message for what it does not accept."""

import os

import ujson
from board_parts import load
from broker import raises
from temporary import temporary
from ujobs.handlers import _MINUTES

settings = load("firmware.settings")
FILE = temporary("settings.json")
LEAST = {"thing": "kiln-7", "host": "a.example"}
TEXT = "must be text, in quotation marks"
TEXTS = "must be a list of texts"
FLAG = "must be true or false"

# For each setting: values that it accepts, and values that it does not, with the message.
VALUES = {
    "thing": (
        ["a", "x" * 128, "Kiln_7:b-z"],
        [(5, TEXT), ("", "must be 1 to 128 bytes"), ("x" * 129, "must be 1 to 128 bytes"),
         ("a/b", "must have no characters but "), ("ä", "must have no characters but ")],
    ),
    "host": (
        ["a", "x" * 253, "PREFIX-ats.iot.eu-west-1.amazonaws.com", ["a"], ["a", "b"] * 4],
        [(5, TEXT), ("", "must be 1 to 253 bytes"), ("x" * 254, "must be 1 to 253 bytes"),
         ("https://a", "must be a host name alone"), ("a:8883", "must be a host name alone"),
         ("a b", "must be a host name alone"), ([], "must be text, or a list of 1 to 8"),
         (["a"] * 9, "must be text, or a list of 1 to 8"), ([5], TEXT), (["a", "b:1"], "must be a host name alone")],
    ),
    "port": (
        [1, 65535],
        [(value, "must be a number from 1 to 65535") for value in (0, -1, 65536, 8883.5, "8883", True, False, [])],
    ),
    "ca": (["/x", "x" * 128], [(5, TEXT), ("", "must be 1 to 128 bytes"), ("x" * 129, "must be 1 to 128 bytes")]),
    "cert": (["/x", "x" * 128], [(5, TEXT), ("", "must be 1 to 128 bytes"), ("x" * 129, "must be 1 to 128 bytes")]),
    "key": (["/x", "x" * 128], [(5, TEXT), ("", "must be 1 to 128 bytes"), ("x" * 129, "must be 1 to 128 bytes")]),
    "claim": (
        [None, {"template": "t"}, {"template": "x" * 36, "parameters": {}, "cert": "/c", "key": "/k"},
         {"template": "t_:-9", "parameters": {str(n): "x" for n in range(32)}}],
        [(5, "must be an object"), ([], "must be an object"), ({}, ".template " + TEXT),
         ({"template": ""}, ".template must be 1 to 36 bytes"),
         ({"template": "x" * 37}, ".template must be 1 to 36 bytes"),
         ({"template": "a b"}, ".template must have no characters but "),
         ({"template": "t", "cert": 5}, ".cert " + TEXT), ({"template": "t", "key": ""}, ".key must be 1 to 128 bytes"),
         ({"template": "t", "parameters": []}, ".parameters must be an object of texts"),
         ({"template": "t", "parameters": {"a": 5}}, ".parameters must be an object of texts"),
         ({"template": "t", "parameters": {str(n): "x" for n in range(33)}}, ".parameters must be an object of texts")],
    ),
    "wifi": (
        [None, {"ssid": "a"}, {"ssid": "x" * 32, "password": ""}, {"ssid": "a", "password": "x" * 8},
         {"ssid": "a", "password": "x" * 64}, [{"ssid": "a"}], [{"ssid": "a"}] * 8],
        [("net", "must be an object"), ({}, ".ssid " + TEXT), ({"ssid": ""}, ".ssid must be 1 to 32 bytes"),
         ({"ssid": "x" * 33}, ".ssid must be 1 to 32 bytes"), ({"ssid": "a", "password": 5}, ".password " + TEXT),
         ({"ssid": "a", "password": "x" * 7}, ".password must be 8 to 63 characters"),
         ({"ssid": "a", "password": "x" * 65}, ".password must be 0 to 64 bytes"),
         ([], "must be an object, or a list of 1 to 8"),
         ([{"ssid": "a"}] * 9, "must be an object, or a list of 1 to 8"),
         ([{"ssid": "a"}, 5], ".1 must be an object"), ([[{"ssid": "a"}]], ".0 must be an object"),
         ([{"ssid": "a"}, {"ssid": ""}], ".1.ssid must be 1 to 32 bytes")],
    ),
    "ntp": ([None, "pool.ntp.org"], [("", "must be 1 to 253 bytes"), ("a b", "must be a host name alone"), (5, TEXT)]),
    "watchdog": (
        [None, 1, 3600], [(value, "must be a number from 1 to 3600") for value in (0, 3601, 1.5, "soon", True)],
    ),
    "keepalive": ([30, 1200], [(value, "must be a number from 30 to 1200") for value in (29, 1201, "60", 60.5, None)]),
    "update_interval": (
        [None, 1, 1.5, 3600, 3599.5],
        [(value, "must be a number from 1 to 3600") for value in (0, 0.5, 3601, 3600.5, "often", True)],
    ),
    "receive_limit": (
        [1024, 131072], [(value, "must be a number from 1024 to 131072") for value in (1023, 131073, 2048.0, "2048")],
    ),
    "handlers": ([[], ["files", "call"]], [(value, TEXTS) for value in ("files", {"files": 1}, [5], [["files"]])]),
    "roots": (
        [[], ["/data"], ["/d"], ["/data", "/logs/a"]],
        [(5, TEXTS), ([5], TEXTS), ("/data", TEXTS)]
        + [(value, 'must be folders such as "/data", not "/" itself') for value in (["/"], [""], ["data"], ["/data/"])],
    ),
    "signing_key": (
        [None, "/cert/k.der", "x" * 4096],
        [(5, TEXT), ("", "must be 1 to 4096 bytes"), ("x" * 4097, "must be 1 to 4096 bytes")],
    ),
    "app": ([None, "app", "x" * 64], [(5, TEXT), ("", "must be 1 to 64 bytes"), ("x" * 65, "must be 1 to 64 bytes")]),
    "confirm": ([True, False], [(value, FLAG) for value in (1, 0, "true", [], None)]),
    "trial": ([1, 3600], [(value, "must be a number from 1 to 3600") for value in (0, 3601, "300", 300.0, None)]),
}
DEFAULTS = {
    "port": 8883, "ca": "/cert/ca.der", "cert": "/cert/cert.der", "key": "/cert/key.der", "claim": None, "wifi": None,
    "ntp": None, "watchdog": None, "keepalive": 60, "update_interval": None, "receive_limit": 16384, "handlers": [],
    "roots": ["/data"], "signing_key": None, "app": None, "confirm": False, "trial": 300,
}
REQUIRED = ("thing", "host", "signing_key")  # without these, or with invalid ones, the board does not start


def given(name=None, value=None):
    """The least settings, and one more."""
    all_of_them = dict(LEAST)
    if name:
        all_of_them[name] = value
    return all_of_them


def load_text(text):
    """Write this file and load it; return the settings and the lines printed."""
    lines = []
    settings.print = lambda *words: lines.append(" ".join([str(word) for word in words]))
    with open(FILE, "w") as file:
        file.write(text)
    try:
        return settings.load(FILE), lines
    finally:
        os.remove(FILE)


def load_settings(values):
    return load_text(ujson.dumps(values))


def test_every_setting_is_tested_here():
    assert set(VALUES) == set(settings._KNOWN)
    assert set(DEFAULTS) | {"thing", "host"} == set(VALUES)


def test_settings_that_are_not_given_get_their_default():
    found, lines = load_settings(LEAST)
    assert found == dict(DEFAULTS, thing="kiln-7", host="a.example")
    assert lines == []


def test_valid_values_are_used():
    for name, (valid, _) in VALUES.items():
        for value in valid:
            settings.check(given(name, value))
            found, lines = load_settings(given(name, value))
            assert found[name] == value, (name, value)
            assert lines == [], (name, value)


def test_a_job_may_not_set_an_invalid_value():
    for name, (_, invalid) in VALUES.items():
        for value, message in invalid:
            error = str(raises(ValueError, settings.check, given(name, value)))
            separator = "" if message[0] == "." else " "
            assert error.startswith("setting " + name + separator + message), (name, value, error)


def test_without_a_valid_value_the_board_uses_the_default_or_does_not_start():
    for name, (_, invalid) in VALUES.items():
        for value, message in invalid:
            separator = "" if message[0] == "." else " "
            line = "settings: " + name + separator + message
            if name in REQUIRED:
                error = str(raises(ValueError, load_settings, given(name, value)))
                assert error.startswith(line), (name, value, error)
            else:
                found, lines = load_settings(given(name, value))
                assert found[name] == DEFAULTS[name], (name, value)
                assert len(lines) == 1 and lines[0].startswith(line), (name, value, lines)
                assert lines[0].endswith("; the default is used")


def test_null_stands_for_a_default_that_is_null_only():
    for name in VALUES:
        valid = name in ("claim", "wifi", "ntp", "watchdog", "update_interval", "signing_key", "app")
        if valid:
            settings.check(given(name, None))
            assert load_settings(given(name, None))[0][name] is None
        else:
            assert name in str(raises(ValueError, settings.check, given(name, None)))


def test_a_board_needs_a_host_and_a_thing_or_a_claim():
    for name in LEAST:
        incomplete = dict(LEAST)
        del incomplete[name]
        assert str(raises(ValueError, load_settings, incomplete)) == "settings: %s is missing" % name
        assert str(raises(ValueError, settings.check, incomplete)) == "setting %s is missing" % name
    claim = {"host": "a.example", "claim": {"template": "t"}}
    for thing in ({}, {"thing": ""}):
        found, lines = load_settings(dict(claim, **thing))
        assert (found["thing"], lines) == ("", [])
    assert load_settings(dict(claim, thing="kiln-7"))[0]["thing"] == "kiln-7"
    # An invalid claim makes nobody a thing.
    error = str(raises(ValueError, load_settings, {"host": "a.example", "claim": {"template": ""}}))
    assert error == "settings: thing is missing"


def test_unknown_settings_are_named():
    found, lines = load_settings(given("colour", "red"))
    assert lines == ["settings: there is no setting colour"]
    assert "colour" not in found
    assert str(raises(ValueError, settings.check, given("colour", "red"))) == "there is no setting colour"


def test_a_file_that_cannot_be_read_is_named():
    for text in ("", "{", '{"thing": "a"', "{} {}", "[]", "5", '"text"', "null"):
        assert FILE in str(raises(ValueError, load_text, text)), text
    assert FILE in str(raises(ValueError, settings.load, FILE))
    assert str(raises(ValueError, settings.load)).startswith("/settings.json: ")
    assert str(raises(ValueError, load_text, "[]")) == FILE + ": not a JSON object"


def test_folders_that_guard_the_board_are_left_out_of_roots():
    claim = {"template": "t", "cert": "/Secret/claim.der", "key": "/hidden/claim.key"}
    values = dict(LEAST, roots=["/data", "/cert", "/lib", "/secret", "/hidden", "/vault", "/other"], claim=claim,
                  key="/vault/key.der", ca="/other/ca.der")
    found, lines = load_settings(values)
    assert found["roots"] == ["/data"]
    assert lines == ["settings: roots: %s; it is left out" % reason for reason in (
        "folder /cert is closed to jobs", "folder /lib is closed to jobs", "folder /secret holds /Secret/claim.der",
        "folder /hidden holds /hidden/claim.key", "folder /vault holds /vault/key.der",
        "folder /other holds /other/ca.der")]
    for root in ("/cert", "/vault", "/secret"):
        error = str(raises(ValueError, settings.check, dict(values, roots=[root])))
        assert error.startswith("setting roots: folder " + root)
    # A name that only begins like the folder of a key is another one.
    assert load_settings(dict(LEAST, roots=["/vaul"], key="/vault/key.der"))[0]["roots"] == ["/vaul"]


def test_names_that_mean_nothing_within_a_setting_are_reported():
    networks = [{"ssid": "home"}, {"ssid": "shed", "pasword": "long-enough"}]
    for name, value, unknown in (
        ("wifi", networks, "wifi.pasword"), ("wifi", networks[1], "wifi.pasword"),
        ("claim", {"template": "t", "parameter": {}}, "claim.parameter"),
    ):
        found, lines = load_settings(given(name, value))
        assert found[name] == value
        assert lines == ["settings: there is no setting " + unknown]
        assert str(raises(ValueError, settings.check, given(name, value))) == "there is no setting " + unknown


def test_unknown_handlers_are_left_out():
    found, lines = load_settings(given("handlers", ["report", "dance", "files"]))
    assert found["handlers"] == ["report", "files"]
    assert lines == ["settings: handlers: there is no handler dance; it is left out"]
    error = str(raises(ValueError, settings.check, given("handlers", ["dance"])))
    assert error == "setting handlers: there is no handler dance"
    for name in _MINUTES:
        assert load_settings(given("handlers", [name]))[0]["handlers"] == [name]
    assert len(settings._HANDLERS) == len(_MINUTES)


def test_the_default_place_of_the_keys_is_guarded_too():
    for name in ("ca", "cert", "key"):
        values = dict(LEAST, roots=["/store"])
        values[name] = "/store/x.der"
        assert "/store" in str(raises(ValueError, settings.check, values))


def test_passwords_and_parameters_of_the_claim_are_secret():
    one = {"wifi": {"ssid": "a", "password": "secret-1"}, "claim": {"template": "t", "parameters": {"Serial": "77"}}}
    assert settings.secrets(one) == ["secret-1", "77"]
    several = {"wifi": [{"ssid": "a", "password": "secret-1"}, {"ssid": "b"}], "claim": {"template": "t"}}
    assert settings.secrets(several) == ["secret-1", ""]
    assert settings.secrets({"wifi": None, "claim": None}) == settings.secrets({}) == []
