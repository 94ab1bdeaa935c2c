"""The `settings` job: new settings take effect only after the board has connected with them."""

import json

import ujobs.trial as trial
from replaced import Replaced
from restarts import with_board

OLD = {"thing": "kiln-7", "host": "old.example.com", "wifi": {"ssid": "barn", "password": "old-secret"}}
FILES = {"/settings.json": json.dumps(OLD).encode()}


def check_settings(settings):
    if not isinstance(settings.get("host"), str):
        raise ValueError("host has the wrong type")


def use(agent):
    agent.use("settings", check_settings=check_settings)


def job(**fields):
    document = {"operation": "settings"}
    document.update(fields)
    return document


def settings(board):
    return json.loads(board.get("/settings.json"))


def test_working_settings_are_kept():
    def scenario(board):
        assert board.finish() == "SUCCEEDED"
        assert board.resets == 1
        changed = dict(OLD)
        changed["wifi"] = {"ssid": "shed", "password": "new-secret"}
        del changed["host"]
        changed["host"] = "new.example.com"
        assert settings(board) == changed
        assert board.execution["statusDetails"] == {"restarted": "yes"}
        for _ in range(5):
            trial.boot()
        assert settings(board) == changed

    new = {"host": "new.example.com", "wifi": {"ssid": "shed", "password": "new-secret"}}
    with_board(scenario, job(set=new), use, files=FILES)


def test_settings_that_prevent_a_connection_are_rolled_back_and_others_can_be_tried():
    def scenario(board):
        board.start()
        assert settings(board)["wifi"]["password"] == "wrong"
        for _ in range(3):
            board.start(proves=False)
        assert board.finish() == "FAILED"
        assert settings(board) == OLD
        assert "3 boots" in board.reason()
        assert "wrong" not in board.reason()
        board.execution = board.cloud.queue("update-2", job(set={"port": 8884}))
        assert board.finish() == "SUCCEEDED"
        assert settings(board)["port"] == 8884

    with_board(scenario, job(set={"wifi": {"ssid": "shed", "password": "wrong"}}), use, files=FILES)


def test_settings_can_be_removed():
    def scenario(board):
        assert board.finish() == "SUCCEEDED"
        assert "wifi" not in settings(board)

    with_board(scenario, job(remove=["wifi", "none-such"]), use, files=FILES)


def test_unchanged_settings_need_no_restart():
    def scenario(board):
        assert board.finish() == "SUCCEEDED"
        assert board.resets == 0
        assert board.execution["statusDetails"] == {"restarted": "no"}

    with_board(scenario, job(set={"host": "old.example.com"}), use, files=FILES)


def refused(document, reason, setup=use, before=OLD):
    """Check that a board with the settings `before` rejects this job, and changes nothing."""

    def scenario(board):
        assert board.finish() == "REJECTED"
        assert board.resets == 0
        assert settings(board) == before
        assert reason in board.reason(), board.reason()

    with_board(scenario, document, setup, files={"/settings.json": json.dumps(before).encode()})


def test_invalid_settings_are_rejected():
    nothing = "nothing to set or remove (AWS drops nulls)"
    for document, reason in (
        (job(set={"host": 5}), "host"), (job(set=5), "set"), (job(remove="host"), "remove"),
        (job(remove=["host"]), "host"), (job(remove=["thing"]), "thing"),
        # AWS removes null members itself; another service might not.
        (job(set={"thing": None}), "thing"), (job(set={"host": None}), "host"), (job(set={"roots": None}), "roots"),
        # AWS turns {"set": {"thing": null}} into the first one.
        (job(set={}), nothing), (job(remove=[]), nothing), (job(), nothing),
    ):
        refused(document, reason)
    for wrong in ({"roots": None}, {"roots": None, "handlers": None}):
        refused(job(set={"host": 5}), "host", before=dict(OLD, **wrong))
    refused(
        job(set={"host": "new.example.com"}), "settings needs the option check_settings",
        lambda agent: agent.use("settings"),
    )


def test_the_signing_key_can_be_set_once_and_not_by_a_job_after_that():
    signed = dict(OLD)
    signed["signing_key"] = "/cert/sign.der"

    def scenario(board):
        assert board.finish() == "SUCCEEDED"
        assert settings(board) == signed

    with_board(scenario, job(set={"signing_key": "/cert/sign.der"}), use, files=FILES)
    for document in (job(set={"signing_key": "/data/mine.der"}), job(remove=["signing_key"])):
        refused(document, "signing_key", before=signed)


def test_a_job_cannot_change_settings_that_protect_the_board():
    before = dict(OLD)
    before.update({"roots": ["/data", "/logs"], "handlers": ["settings", "files"], "cert": "/cert/mine.der"})
    for name in ("thing", "ca", "cert", "key"):
        refused(job(set={name: "/data/other.der"}), name, before=before)
    refused(job(set={"claim": {"template": "mine"}}), "claim", before=before)
    for roots in (
        ["/"], ["/cert"], ["/ujobs"], ["/data", "/database"], ["/data/..", "/lib"], 5, [5], None, {"/data": 1},
    ):
        refused(job(set={"roots": roots}), "roots", before=before)
    for document in (job(set={"handlers": ["files"]}), job(set={"handlers": None}), job(remove=["handlers"])):
        refused(document, "handlers", before=before)
    refused(job(remove=["cert"]), "cert", before=before)


def test_other_handlers_can_be_set_beside_settings():
    before = dict(OLD)
    before["handlers"] = ["settings"]

    def scenario(board):
        assert board.finish() == "SUCCEEDED", board.reason()
        assert settings(board)["handlers"] == ["report", "settings"]

    files = dict(FILES)
    files["/settings.json"] = json.dumps(before).encode()
    with_board(scenario, job(set={"handlers": ["report", "settings"]}), use, files=files)


def test_roots_can_be_narrowed_and_not_widened_again():
    narrow = dict(OLD)
    narrow["roots"] = ["/data/logs"]

    def scenario(board):
        assert board.finish() == "SUCCEEDED"
        assert settings(board) == narrow

    with_board(scenario, job(set={"roots": ["/data/logs"]}), use, files=FILES)
    for document in (job(set={"roots": ["/data"]}), job(remove=["roots"])):
        refused(document, "roots can only be narrowed by a job", before=narrow)
    # One of two.
    narrow["roots"] = ["/data"]
    before = json.dumps(dict(OLD, roots=["/data", "/logs"])).encode()
    with_board(scenario, job(set={"roots": ["/data"]}), use, files={"/settings.json": before})


def test_a_trial_begins_only_once_the_settings_are_written():
    def scenario(board):
        seen = []
        real = trial.begin

        def begin(what):
            seen.extend([json.loads(board.get("/settings." + end)) for end in ("json", "old", "new")])
            real(what)

        with Replaced(trial, begin=begin):
            assert board.finish() == "SUCCEEDED"
        changed = dict(OLD)
        changed["port"] = 8884
        assert seen == [OLD, OLD, changed]

    with_board(scenario, job(set={"port": 8884}), use, files=FILES)
