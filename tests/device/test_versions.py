"""No accidental downgrade: `app` and `firmware` refuse a version lower than the running one. With a signing key, the
version is part of the signed content."""

import hashlib
from binascii import hexlify, unhexlify

import ujobs.certificates
import ujobs.trial as trial
from chip import image, with_chip
from replaced import Replaced
from restarts import with_board
from ujobs.sources import check_app, numbers
from web import File, head

URL = "http://files.example.com/"
CONTENT = b"VERSION = 2\n"
IMAGE = image(CONTENT)
# Made with `ujobs sign --document`. The private key was deleted.
KEY = unhexlify(
    "3059301306072a8648ce3d020106082a8648ce3d03010703420004ad5b29c2886aaa018aac1b079e055ea7ed9765ff2dd1f8069af5b3b697"
    "c28bed04793c327110ec3deab1d7098a7ee2ba81b0fcf3d8f0e93414bb3fc916e76192"
)
OF_APP = "MEQCIAGg2BTyr9u7Xt0Km82pvXjc7/bIkW7nndxmzVGg9P95AiBvn9NC2NkvA81O/b6ZSqvBLcRAeFfBY54rezv1Oggcig=="
OF_APP_BACK = "MEYCIQCq4yh4pD5hiz26NxocFbaNQG6K2tOtLrc1BuWq+gl/9wIhAKulSVpsE1T5jFeTfWpHUDtm1nYcUOehMo6KyD4PoXXj"
OF_FIRMWARE = "MEUCIQDn0/6+9zgNhJ3eQCXZNUWjllDaIMtrNUq0AeJfqnEYlAIgFV6yhGavRxQRbVs7NvbNT3GL2IX2Lb50NkFo7+kJCOk="


def entry(content):
    return {"url": URL, "size": len(content), "sha256": hexlify(hashlib.sha256(content).digest()).decode()}


def app(version=None, content=CONTENT, **fields):
    file = entry(content)
    file["path"] = "app.py"
    document = {"operation": "app", "files": [file]}
    if version is not None:
        document["version"] = version
    document.update(fields)
    return document


def firmware(version, **fields):
    document = {"operation": "firmware", "version": version}
    document.update(entry(IMAGE))
    document.update(fields)
    return document


def install(document, running="", status="SUCCEEDED", reason="", key=None, files=None, answer=None):
    """Run this job on a board with a running version, and check the result."""

    def scenario(board):
        if running:
            board.put("/app.version", running.encode())
        for name, content in (files or {}).items():
            board.put(name, content)
        assert board.finish() == status, (document, board.reason())
        if status == "SUCCEEDED":
            assert trial.boot() == "/app-b"
            assert board.get("/app-b.version") == str(document.get("version", "")).encode()
        else:
            assert reason in board.reason(), board.reason()
            assert (trial.boot(), board.resets, board.web.connections) == ("/app", 0, [])

    def setup(agent):
        agent.use("app", signing_key=key)

    with_board(scenario, document, setup, answer or File(CONTENT), {"/app/app.py": b"VERSION = 1\n"})


def test_numbers_compare_as_numbers():
    for lower, higher in (
        ("1.9", "1.10"), ("", "0.1"), ("1.4", "1.4.1"), ("9", "10"), ("abc", "1"), ("v1.2", "v1.3"), ("1.4-rc1", "1.5"),
        ("1", "2024.1"), ("1.4.0", "1.4.0.1"), ("0.9.9", "1"),
    ):
        assert numbers(lower) < numbers(higher), (lower, higher)
    for one, other in (("1.4", "1.4.0"), ("v1.4", "1.4"), ("1.4-rc1", "1.4.0"), ("abc", ""), ("0", ""), ("01", "1")):
        assert numbers(one) == numbers(other), (one, other)


def test_a_lower_version_is_refused():
    for version, running in (
        ("1.4.0", "1.10.0"), ("1.4.0", "1.4.0.1"), (1, "2"), ("abc", "1.0"), ("", "0.1"), (None, "1.4.0")
    ):
        reason = "version %s is lower than %s" % (version or "-", running)
        install(app(version), running, "REJECTED", reason)
        install(app(version, downgrade="yes"), running, "REJECTED", reason)
        install(app(version, downgrade=True), running)


def test_the_same_and_higher_versions_are_installed():
    for version, running in (("1.4.0", ""), ("1.4.0", "1.4"), ("1.10", "1.9"), ("abc", ""), (None, ""), ("2", "abc")):
        install(app(version), running)


def test_the_length_of_a_version_is_limited():
    install(app("1" * 64), "")
    install(app("1" * 65), "", "REJECTED", "version is over 64 characters")


def test_an_update_to_the_running_version_is_recorded_and_needs_no_restart():
    def scenario(board):
        assert board.finish() == "SUCCEEDED"
        assert (board.resets, board.web.connections, board.get("/app.version")) == (0, [], b"1.4.0")

    with_board(scenario, app("1.4.0"), lambda agent: agent.use("app"), File(CONTENT), {"/app/app.py": CONTENT})


def test_firmware_has_a_version_for_each_partition():
    def scenario(board, chip):
        steps = (("1.29", "SUCCEEDED"), ("1.28", "REJECTED"), ("1.30", "SUCCEEDED"), ("1.29", "REJECTED"))
        for number, (version, status) in enumerate(steps):
            board.execution = board.cloud.queue("update-%d" % number, firmware(version))
            assert chip.finish(board) == status, board.reason()
        assert "1.29 is lower than 1.30" in board.reason()
        board.execution = board.cloud.queue("back", firmware("1.28", downgrade=True))
        assert chip.finish(board) == "SUCCEEDED"
        assert (chip.running(), board.get("/ota_1.version"), board.get("/ota_0.version")) == ("ota_1", b"1.28", b"1.30")

    with_chip(scenario, None, File(IMAGE), lambda agent: agent.use("firmware"))


def test_a_signed_version_is_installed():
    install(app("1.4.0", signature=OF_APP), key=KEY)
    install(app("1.4.0", signature=OF_APP), "1.3", key=KEY)
    install(app("1.4.0", signature=OF_APP_BACK, downgrade=True), "1.5", key=KEY)

    def scenario(board, chip):
        assert chip.finish(board) == "SUCCEEDED", board.reason()
        assert board.get("/ota_1.version") == b"1.29"

    with_chip(scenario, firmware("1.29", signature=OF_FIRMWARE), File(IMAGE),
              lambda agent: agent.use("firmware", signing_key=KEY))


def test_an_old_signed_document_is_refused():
    old = app("1.4.0", signature=OF_APP)
    install(old, "1.5", "REJECTED", "1.4.0 is lower than 1.5", KEY)
    # With any change, the signature does not match or the version is missing.
    for changed in (
        {"version": "1.6"}, {"downgrade": True}, {"version": "1.4.0\ndowngrade", "downgrade": True},
        {"files": app(content=b"other")["files"], "version": "1.6"}, {"signature": OF_APP_BACK},
        {"version": "", "downgrade": True},
    ):
        document = dict(old)
        document.update(changed)
        # This also holds if all its files are still on the board.
        install(document, "1.5", "REJECTED", "", KEY, {"/app-b/app.py": CONTENT})
    unversioned = app(None, downgrade=True)
    unversioned["files"][0]["signature"] = OF_APP
    install(unversioned, "1.5", "REJECTED", "version - is lower than 1.5", KEY)


def test_a_signed_version_may_come_over_https():
    document = app("1.4.0", signature=OF_APP)
    document["files"][0]["url"] = "https://files.example.com/app.py"
    options = {"signing_key": KEY, "ca": "/cert/ca.der"}
    with Replaced(ujobs.certificates, tls_context=lambda ca: "TLS for " + ca):
        means = check_app(document, document["files"], "/app", options)
    # The document is signed as a whole, and its files need no signatures.
    assert means == ("TLS for /cert/ca.der", None)


def test_a_version_needs_a_signature_of_its_own():
    for signature, reason in (
        (None, "signature is missing"), (5, "signature is missing"), ("A", "signature is not base64"),
        ("", "the document's signature does not match"), (OF_FIRMWARE, "the document's signature does not match"),
    ):
        document = app("1.4.0", signature=signature)
        # A signature of the content alone, as for documents without a version, does not cover the version.
        document["files"][0]["signature"] = OF_APP
        install(document, "", "REJECTED", reason, KEY)


def test_a_renewed_document_may_change_only_urls():
    forged = b"VERSION = 9\n"

    def answer(connection):
        if len(scenarios[0].web.connections) == 1:
            changed = app("1.4.0", forged, signature=OF_APP)
            changed["files"][0]["url"] = URL + "forged"
            scenarios[0].execution["jobDocument"] = changed
            return head(403, {"Content-Length": "0"})
        return File(forged if b"forged" in connection.request else CONTENT)(connection)

    def scenario(board):
        scenarios[:] = [board]
        assert board.finish() == "FAILED"
        assert "sha256" in board.reason(), board.reason()
        assert (trial.boot(), board.resets) == ("/app", 0)

    scenarios = []
    with_board(scenario, app("1.4.0", signature=OF_APP), lambda agent: agent.use("app", signing_key=KEY), answer,
               {"/app/app.py": b"1"})
