"""Checks of data from the service and from handlers, and the effect of each rejection."""

import ujobs
from broker import raises
from replaced import Replaced
from ujobs.agent import JobsError, parse
from ujobs.checks import check_execution, check_name, check_number, clean, details_of
from ujobs.refusals import meaning

ADOPT, APPLIED, ENDED, RETRY = 0, 1, 2, 3


def test_every_public_name_can_be_imported():
    for name in ("Agent", "Execution", "Job", "Journal", "JobsClient", "JobsError", "Link", "Reject", "tls_context"):
        assert getattr(ujobs, name).__name__ in (name, name.lower()), name
    for name in ("checks", "handlers"):
        assert getattr(ujobs, name).__name__ == "ujobs." + name
    assert not hasattr(ujobs, "unknown")
    assert len(ujobs.__version__.split(".")) == 3


def test_a_public_name_whose_module_is_not_on_the_board_is_an_import_error():
    with Replaced(ujobs._WHERE, Execution="absent"):
        assert "absent" in str(raises(ImportError, getattr, ujobs, "Execution"))


def test_names_out_of_limits_are_refused_with_field_and_limit():
    for name in ("", "a" * 129, "a/b", "a b", "ä", "$next", None, 5):
        error = str(raises(ValueError, check_name, "thingName", name, 128))
        assert "thingName" in error and "128" in error
    check_name("thingName", "kiln:7_a-B" + "a" * 118, 128)


def test_numbers_out_of_limits_are_refused_with_field_and_limits():
    for number in (0, -1, 10081, 1.5, "5", True, None):
        error = str(raises(ValueError, check_number, "stepTimeoutInMinutes", number, 1, 10080))
        assert "stepTimeoutInMinutes" in error and "10080" in error
    for number in (1, 10080):
        check_number("stepTimeoutInMinutes", number, 1, 10080)


def test_an_execution_is_checked_and_the_wrong_field_named():
    valid = {"jobId": "a", "executionNumber": 9876543210, "versionNumber": 2}
    assert check_execution(dict(valid)) == dict(valid, queuedAt=0)
    assert check_execution(dict(valid, queuedAt=1730000000))["queuedAt"] == 1730000000
    for name, value in (
        ("jobId", "a/b"), ("jobId", "a" * 65), ("jobId", 5), ("jobId", None), ("executionNumber", "1"),
        ("executionNumber", None), ("versionNumber", -1), ("versionNumber", 1 << 63), ("versionNumber", "1"),
        ("queuedAt", 1.5), ("queuedAt", "now"),
    ):
        assert name in str(raises(ValueError, check_execution, dict(valid, **{name: value})))
    for wrong in (5, [], "x", {}):
        raises(ValueError, check_execution, wrong)


def test_a_reply_that_is_not_a_json_object_is_refused():
    for payload in (b"", b"{", b"[]", b"5", b"null", b'"text"', b"\xff\xfe{}"):
        raises(ValueError, parse, payload)


def test_a_result_becomes_text():
    assert details_of(None) == {}
    assert details_of({}) == {}
    assert details_of({"n": 3, "f": 21.5, "yes": True, "no": False, "none": None, "text": "größer ✓ 😀"}) == {
        "n": "3", "f": "21.5", "yes": "true", "no": "false", "text": "größer ✓ 😀"}
    assert details_of({"k" * 128: "v" * 1024, "a:b_c-D": "a\nb"}) == {"k" * 128: "v" * 1024, "a:b_c-D": "a b"}
    assert details_of({"k": "v" * 2000}) == {"k": "v" * 1024}
    assert len(details_of({str(n): "x" for n in range(10)})) == 10


def test_an_invalid_result_is_refused_with_the_fault():
    for result, word in (
        ({str(n): "x" for n in range(11)}, "10"), ([1], "not list"), ("done", "not str"), (5, "not int"),
        (False, "not bool"), (0, "not int"), ("", "not str"), ([], "not list"),
        ({"": "x"}, "key"), ({"a b": "x"}, "key"), ({"a.b": "x"}, "key"), ({"k" * 129: "x"}, "128"),
        ({"k": []}, "list in k"), ({"k": {}}, "dict in k"), ({"fine": 1, "k": b"x"}, "bytes in k"), ({5: "x"}, "key"),
    ):
        assert word in str(raises(ValueError, details_of, result)), result


def test_clean_makes_any_text_a_value():
    for text in ("", "\n", "a\nb\tc", "x" * 5000, "\u200b\ufeff", "fine", " \x00 ", "\x7f", "\ue000"):
        value = clean(text)
        assert 1 <= len(value) <= 1024
        assert clean(value) == value
    assert clean("a\nb") == "a b"
    assert clean("fine") == "fine"
    assert clean("größer ✓ 😀") == "größer ✓ 😀"
    assert clean("\u200b") == "-"
    assert clean("\u07ff\u0800\ufffd\U00010000") == "\u07ff\u0800\ufffd\U00010000"
    assert clean("x\ufffey") == clean("x\uffffy") == "x y"


def test_clean_leaves_no_utf_8_that_the_service_would_refuse():
    # MicroPython's decode() lets through: longer forms than needed, surrogates, and numbers above U+10FFFF.
    for number, character in enumerate((
        b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xe0\x81\x81", b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xed\xbf\xbf",
        b"\xf0\x80\x80\x80", b"\xf0\x80\x80\xbf", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf7\xbf\xbf\xbf",
    )):
        try:
            text = (b"x" + character + b"y").decode()
        except UnicodeError:
            # CPython's does not. Only a surrogate can be made there in another way.
            text = "x" + chr(0xD800 + number) + "y"
        assert clean(text) == "x y", character


def refused(code, status=None, version=None):
    state = {"status": status, "versionNumber": version} if status else None
    return JobsError(code, "why", state)


def test_the_effect_of_each_refusal():
    for code, status, version, reported, means in (
        ("VersionMismatch", "IN_PROGRESS", 7, "SUCCEEDED", ADOPT),
        ("VersionMismatch", "QUEUED", 7, "IN_PROGRESS", ADOPT),
        ("VersionMismatch", "IN_PROGRESS", 7, "IN_PROGRESS", ADOPT),
        ("VersionMismatch", "SUCCEEDED", 4, "SUCCEEDED", APPLIED),
        ("InvalidStateTransition", "FAILED", 4, "FAILED", APPLIED),
        ("InvalidStateTransition", "CANCELED", 4, "SUCCEEDED", ENDED),
        ("VersionMismatch", "TIMED_OUT", 4, "IN_PROGRESS", ENDED),
        ("VersionMismatch", "REMOVED", 4, "FAILED", ENDED),
        ("ResourceNotFound", None, None, "SUCCEEDED", ENDED),
        ("TerminalStateReached", None, None, "IN_PROGRESS", ENDED),
        ("RequestThrottled", None, None, "SUCCEEDED", RETRY),
        ("InternalError", None, None, "SUCCEEDED", RETRY),
        ("InvalidRequest", None, None, "SUCCEEDED", RETRY),
        ("InvalidStateTransition", None, None, "SUCCEEDED", RETRY),
        ("VersionMismatch", None, None, "SUCCEEDED", RETRY),
        ("VersionMismatch", "IN_PROGRESS", 3, "SUCCEEDED", RETRY),
        ("VersionMismatch", "IN_PROGRESS", "7", "SUCCEEDED", RETRY),
        ("NeverHeardOf", None, None, "SUCCEEDED", RETRY),
        ("VersionMismatch", 5, 4, "SUCCEEDED", RETRY),
        ("VersionMismatch", ["SUCCEEDED"], 4, "SUCCEEDED", RETRY),
    ):
        error = refused(code, status, version)
        if means == RETRY:
            assert raises(JobsError, meaning, error, reported, 3) is error
        else:
            found = meaning(error, reported, 3)
            expected = {ADOPT: version, APPLIED: "", ENDED: status or code}[means]
            assert found == expected, (code, status, version, reported, found)


def test_a_refusal_has_its_code_and_message_in_every_state():
    assert str(refused("VersionMismatch")) == "VersionMismatch: why"
    for state in ("x", [], 5, None):
        assert JobsError("a", "b", state).state == {}
