"""Escaped surrogate pairs in JSON become the characters they encode; everything else is unchanged."""

import sys

import ujobs.agent
import ujson
from broker import raises
from replaced import Replaced
from ujobs import lend
from ujobs.agent import parse
from ujobs.surrogates import join


def test_pairs_are_joined():
    assert join(b'{"a": "\\ud83d\\ude00"}') == b'{"a": "\xf0\x9f\x98\x80"}'
    assert join(b'"\\uD83D\\uDE00x\\ud83d\\uDE01"') == b'"\xf0\x9f\x98\x80x\xf0\x9f\x98\x81"'
    assert join(b'"\\ud800\\udc00\\udbff\\udfff"') == "\"\U00010000\U0010ffff\"".encode()


def test_other_escapes_stay_unchanged():
    for text in (
        b"", b"{}", b'"\\u00e4\\n\\\\"', b'"\\ud83d"', b'"\\ude00\\ud83d"', b'"\\ud83d\\ud83d"', b'"\\ud83d \\ude00"',
        b'"\\\\ud83d\\ude00"', b'"\\ud83d\\\\ude00"', b'"\\ud7ff\\udc00"', b'"\\ud83d\\ue000"', b'"\\udc00\\udc00"',
        b'"\\ud83d\\udbff"', b'"\\ud83d\\ude', b'"\\',
    ):
        assert join(text) == text, text


def test_a_lone_high_surrogate_does_not_hide_a_pair():
    assert join(b'"\\ud83d\\ud83d\\ude00"') == b'"\\ud83d\xf0\x9f\x98\x80"'


def test_escapes_that_are_not_hexadecimal_are_not_json():
    raises(ValueError, join, b'"\\udxyz\\ude00"')


def test_only_documents_with_escapes_load_the_module():
    used = []

    def noted(module, *arguments):
        used.append(module)
        return lend(module, *arguments)

    with Replaced(ujobs.agent, lend=noted):
        assert parse(b'{"a": "\xc3\xa4\\n"}') == {"a": "\xe4\n"}
        # Before 1.26 it is always needed: MicroPython accepts JSON that breaks off.
        assert used == (["surrogates"] if sys.implementation.version < (1, 26) else [])
        used.clear()
        assert parse(b'{"a": "\\u00e4"}') == {"a": "\xe4"}
        assert used == ["surrogates"]
        # The text is looked at in pieces.
        for filling in range(240, 270):
            used.clear()
            assert parse(b'{"a": "%s\\u00e4"}' % (b"x" * filling))["a"] == "x" * filling + "\xe4"
            assert used == ["surrogates"], filling


def test_documents_have_the_characters():
    for filling in (0, 1, 2, 500, 1010, 1015, 1016, 1020, 3000):
        text = b'{"a": "' + b"x" * filling + b'\\ud83d\\ude00"}'
        for payload in (text, bytearray(text), memoryview(text)):
            value = parse(payload)["a"]
            assert value == "x" * filling + "\U0001f600"
            assert len(value.encode()) == filling + 4
            assert ujson.loads(ujson.dumps(value)) == value
