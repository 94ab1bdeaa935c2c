"""Incomplete JSON is refused on every MicroPython: payloads, and /settings.json after a power cut."""

import os
import sys

import lenient_json
import ujobs.agent as agent
import ujson
from broker import raises
from firmware import settings
from replaced import Replaced, with_modules
from temporary import temporary

TEXT = b'{"a": 1, "b": {"c": [1, 2]}, "d": "x", "e": [true, {}]}'
SETTINGS = {"thing": "kiln-7", "host": "a.example", "wifi": {"ssid": "net", "password": "long-enough"}}
FILE = temporary("settings.json")


class Old:
    """`sys` of MicroPython 1.25."""

    class implementation:
        name = "micropython"
        version = (1, 25, 0)

    modules = sys.modules


def on_old_micropython(function, *arguments):
    """Call a function with the `json` and the version of MicroPython 1.25."""
    try:
        modules = with_modules(sys=Old, ujson=lenient_json)
        with Replaced(agent, sys=Old, ujson=lenient_json), Replaced(settings, ujson=lenient_json), modules:
            # It imports them when it is next used.
            sys.modules.pop("ujobs.surrogates", None)
            return function(*arguments)
    finally:
        sys.modules.pop("ujobs.surrogates", None)


def test_the_old_json_accepts_incomplete_text():
    # Otherwise the other tests here would prove nothing.
    assert lenient_json.loads(b'{"a": 1') == {"a": 1}
    assert lenient_json.loads('{"a": 12, "b"') == {"a": 12}
    assert lenient_json.loads('[{"a": 1,0]') == [{"a": 1}]
    assert lenient_json.loads(TEXT) == ujson.loads(TEXT)
    for text in ('{"a": {"b": 1', '{"a": "x', "", "}", "{} x", '{"a": tru'):
        raises(ValueError, lenient_json.loads, text)


def test_an_incomplete_payload_is_refused():
    for end in range(len(TEXT)):
        for text in (TEXT[:end], bytearray(TEXT[:end]), memoryview(TEXT[:end])):
            raises(ValueError, agent.parse, text)
            raises(ValueError, on_old_micropython, agent.parse, text)
    assert on_old_micropython(agent.parse, TEXT) == agent.parse(TEXT) == ujson.loads(TEXT)
    assert on_old_micropython(agent.parse, b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}


def load(text):
    with open(FILE, "w") as file:
        file.write(text)
    try:
        return settings.load(FILE)
    finally:
        os.remove(FILE)


def test_a_settings_file_cut_short_is_refused_and_named():
    text = ujson.dumps(SETTINGS)
    for end in range(len(text)):
        assert FILE in str(raises(ValueError, load, text[:end]))
        assert FILE in str(raises(ValueError, on_old_micropython, load, text[:end]))
    assert on_old_micropython(load, text) == load(text)
    assert load(text)["wifi"] == SETTINGS["wifi"]
