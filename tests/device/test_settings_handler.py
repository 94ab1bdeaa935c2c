"""The `settings` job: new settings take effect only after the board has connected with them."""

import json

import ujobs.trial as trial
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


def test_settings_that_prevent_a_connection_are_rolled_back():
    def scenario(board):
        board.start()
        assert settings(board)["wifi"]["password"] == "wrong"
        for _ in range(3):
            board.start(proves=False)
        assert board.finish() == "FAILED"
        assert settings(board) == OLD
        assert "3 boots" in board.reason()
        assert "wrong" not in board.reason()

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


def test_invalid_settings_are_rejected():
    def scenario(board):
        assert board.finish() == "REJECTED"
        assert board.resets == 0
        assert settings(board) == OLD

    for document in (
        job(set={"host": 5}), job(set=5), job(remove="host"), job(remove=["host"]), job(set={"thing": "other"}),
        job(remove=["thing"]),
    ):
        with_board(scenario, document, use, files=FILES)


def test_null_never_removes_a_required_setting():
    # AWS removes null members itself; another service might not.
    def refused(board):
        assert board.finish() == "REJECTED"
        assert board.resets == 0
        assert settings(board) == OLD
        assert list(document["set"])[0] in board.reason()

    for name in ("thing", "host", "roots"):
        document = job(set={name: None})
        with_board(refused, document, use, files=FILES)


def test_a_job_without_changes_is_rejected():
    # AWS turns {"set": {"thing": null}} into this.
    def refused(board):
        assert board.finish() == "REJECTED"
        assert board.reason() == "nothing to set or remove (AWS drops nulls)"

    for document in (job(set={}), job(remove=[]), job()):
        with_board(refused, document, use, files=FILES)


def test_without_a_check_no_settings_are_accepted():
    def scenario(board):
        assert board.finish() == "REJECTED"
        assert board.reason() == "settings needs the option check_settings"
        assert settings(board) == OLD

    with_board(scenario, job(set={"host": "new.example.com"}), lambda agent: agent.use("settings"), files=FILES)


def test_the_signing_key_can_be_set_once_and_not_by_a_job_after_that():
    def refused(board):
        assert board.finish() == "REJECTED"
        assert "signing_key" in board.reason()
        assert settings(board) == signed

    def taken(board):
        assert board.finish() == "SUCCEEDED"
        assert settings(board) == signed

    signed = dict(OLD)
    signed["signing_key"] = "/cert/sign.der"
    with_board(taken, job(set={"signing_key": "/cert/sign.der"}), use, files=FILES)
    for document in (job(set={"signing_key": "/data/mine.der"}), job(remove=["signing_key"])):
        with_board(refused, document, use, files={"/settings.json": json.dumps(signed).encode()})


def test_a_job_cannot_change_settings_that_protect_the_board():
    def refused(board):
        assert board.finish() == "REJECTED"
        assert board.resets == 0
        assert json.loads(board.get("/settings.json")) == before
        for name in list(document.get("set", ())) + document.get("remove", []):
            assert name in board.reason()

    before = dict(OLD)
    before.update({"roots": ["/data", "/logs"], "handlers": ["settings", "files"], "cert": "/cert/mine.der"})
    files = {"/settings.json": json.dumps(before).encode()}
    for name in ("thing", "ca", "cert", "key"):
        document = job(set={name: "/data/other.der"})
        with_board(refused, document, use, files=files)
    for document in (
        job(set={"claim": {"template": "mine"}}), job(remove=["cert"]),
        job(set={"roots": ["/"]}), job(set={"roots": ["/cert"]}), job(set={"roots": ["/ujobs"]}),
        job(set={"roots": ["/data", "/database"]}), job(set={"roots": ["/data/..", "/lib"]}), job(set={"roots": 5}),
        job(set={"roots": [5]}), job(set={"roots": None}), job(set={"roots": {"/data": 1}}),
        job(set={"handlers": ["files"]}), job(set={"handlers": None}), job(remove=["handlers"]),
    ):
        with_board(refused, document, use, files=files)


def test_roots_can_be_narrowed_and_not_widened_again():
    def narrowed(board):
        assert board.finish() == "SUCCEEDED"
        assert settings(board)["roots"] == ["/data/logs"]

    def refused(board):
        assert board.finish() == "REJECTED"
        assert board.reason() == "roots can only be narrowed by a job"

    with_board(narrowed, job(set={"roots": ["/data/logs"]}), use, files=FILES)
    narrow = dict(OLD)
    narrow["roots"] = ["/data/logs"]
    for document in (job(set={"roots": ["/data"]}), job(remove=["roots"])):
        with_board(refused, document, use, files={"/settings.json": json.dumps(narrow).encode()})


def test_a_trial_of_settings_is_independent_of_a_failed_one():
    def scenario(board):
        for _ in range(4):
            board.start(proves=False)
        assert board.finish() == "FAILED"
        assert settings(board) == OLD
        second = board.cloud.queue("update-2", job(set={"port": 8884}))
        for _ in range(10):
            board.start()
            if board.cloud.done():
                break
        assert second["status"] == "SUCCEEDED"
        assert settings(board)["port"] == 8884

    with_board(scenario, job(set={"host": "wrong.example.com"}), use, files=FILES)


def test_a_trial_begins_only_once_the_settings_are_written():
    def scenario(board):
        seen = []
        real = trial.begin

        def begin(what):
            seen.append(settings(board))
            seen.extend([json.loads(board.get(name)) for name in ("/settings.old", "/settings.new")])
            real(what)

        trial.begin = begin
        try:
            assert board.finish() == "SUCCEEDED"
        finally:
            trial.begin = real
        changed = dict(OLD)
        changed["port"] = 8884
        assert seen == [OLD, OLD, changed]

    with_board(scenario, job(set={"port": 8884}), use, files=FILES)
