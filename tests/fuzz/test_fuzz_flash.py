"""Any content of the files that a board reads at boot: the journal, the record of a trial, the settings."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fuzzing import JSON, NAMES, TEXT, bounded, damaged, mangled
from hypothesis import example, given
from hypothesis import strategies as st

import ujobs.trial as trial
from firmware import settings
from ujobs.agent import Agent
from ujobs.journal import Journal
from ujobs.link import Link

FILES = ("record", "details", "checkpoint")
STATES = ("SUCCEEDED", "FAILED", "REJECTED")


@contextlib.contextmanager
def preparation() -> Iterator[None]:
    """A board with empty flash."""
    with tempfile.TemporaryDirectory() as folder:
        Flash.folder = Path(folder)
        trial.root = folder
        yield
        trial.root = ""


class Flash:
    """The folders of the files, and the functions that write them."""

    folder: Path

    @classmethod
    def put(cls, name: str, content: bytes) -> None:
        (cls.folder / name).write_bytes(content)

    @classmethod
    def clear(cls) -> None:
        for file in cls.folder.iterdir():
            file.unlink()


def execution(number: int) -> Any:
    return {"jobId": f"job-{number}", "executionNumber": number, "versionNumber": number + 1, "queuedAt": number}


def sound(number: int, status: str) -> dict[str, bytes]:
    """The journal's files of an execution with this status."""
    Flash.clear()
    journal = Journal(str(Flash.folder))
    journal.begin(execution(number), 1)
    journal.save({"step": number})
    if status in STATES:
        journal.finish(status, {"reason": f"reason {number}"})
    return {name: (Flash.folder / name).read_bytes() for name in FILES if (Flash.folder / name).exists()}


@bounded(120)
@given(data=st.data())
def test_any_damage_to_the_journal(data: st.DataObject) -> None:
    number = data.draw(st.integers(1, 3))
    status = data.draw(st.sampled_from(["IN_PROGRESS", *STATES]))
    files = sound(number, status)
    Flash.clear()
    for name, content in files.items():
        strategy = st.one_of(st.just(content), damaged(content), st.binary(max_size=150), st.none())
        changed = data.draw(strategy, name)
        if changed is not None:
            Flash.put(name, changed)
            files[name] = files[name] if changed == content else b""
    journal = Journal(str(Flash.folder))
    # The result is the record that was written, or none; never another one.
    if journal.job_id:
        assert journal.holds(execution(number))
        assert journal.status == status
        assert journal.details in (
            {"reason": f"reason {number}"} if status in STATES else None, {"reason": "the status details were lost"}
        )
        assert journal.checkpoint() in (None, {"step": number})
    else:
        assert journal.acknowledged
        assert not journal.holds(execution(number))
    journal.begin(execution(9), 1)
    assert Journal(str(Flash.folder)).job_id == "job-9"


@bounded(60)
@given(
    record=st.one_of(st.binary(max_size=40), damaged(b"2 app /app-b"), damaged(b"0 settings /app")),
    slot=st.binary(max_size=8),
)
@example(record=b"\xff", slot=b"\xff")
@example(record=b"x app /app-b", slot=b"/app")
@example(record=b"0 app /data", slot=b"/app")
def test_any_record_of_a_trial_finally_starts_one_of_the_two_applications(record: bytes, slot: bytes) -> None:
    Flash.clear()
    Flash.put("trial", record)
    Flash.put("app-slot", slot)
    for _ in range(5):
        folder = trial.boot()
        assert folder in ("/app", "/app-b")
    assert not trial.current()


SETTINGS = mangled(
    st.fixed_dictionaries(
        {"thing": st.just("kiln-7"), "host": st.just("host.example.com")},
        optional={
            "port": st.integers(-1, 70000) | JSON, "wifi": JSON, "ntp": JSON, "watchdog": st.integers(-1, 300) | JSON,
            "keepalive": st.integers(-1, 2000) | JSON, "update_interval": st.integers(-1, 100) | JSON,
            "receive_limit": st.integers(-1, 100000) | JSON, "handlers": st.lists(TEXT, max_size=3) | JSON,
            "roots": st.lists(TEXT, max_size=3) | JSON, "signing_key": JSON, "app": JSON, "confirm": JSON,
            "trial": JSON, "ca": JSON, "cert": JSON, "key": JSON,
        },
    )
)
SETTING_NAMES = (
    "thing", "host", "port", "ca", "cert", "key", "wifi", "ntp", "watchdog", "keepalive", "update_interval",
    "receive_limit", "handlers", "roots", "signing_key", "app", "confirm", "trial",
)
CONTENT = st.one_of(
    st.binary(max_size=60), damaged(b'{"thing": "kiln-7", "host": "a", "port": 8883}'),
    JSON.map(lambda value: json.dumps(value).encode()), SETTINGS.map(lambda value: json.dumps(value).encode()),
)


@bounded(120)
@given(content=CONTENT)
@example(content=b'{"thing": "kiln-7", "host": "a", "handlers": [null]}')
def test_any_settings_file_makes_an_agent_or_names_what_is_wrong(content: bytes) -> None:
    Flash.put("settings.json", content)
    path = str(Flash.folder / "settings.json")
    try:
        config = settings.load(path)
        # The same as main.py does, but without certificates.
        link = Link(
            config["thing"], config["host"], config["port"], keepalive=config["keepalive"],
            receive_limit=config["receive_limit"],
        )
        agent = Agent(
            thing=config["thing"], update_interval=config["update_interval"], link=link,
            directory=str(Flash.folder / "journal"),
        )
        agent.use(*config["handlers"], roots=config["roots"])
    except ValueError as error:
        text = str(error)
        assert text.startswith(path) or any(name in text.lower() for name in (*SETTING_NAMES, "handler")), text
        return
    assert all(isinstance(config[name], str) for name in ("thing", "host", "ca", "cert", "key"))


@bounded(120)
@given(given=SETTINGS | st.dictionaries(NAMES, JSON))
def test_any_settings_of_a_job_are_refused_by_name_or_can_be_loaded(given: dict[str, Any]) -> None:
    try:
        settings.check(given)
    except ValueError as error:
        assert any(name in str(error) for name in (*given, *SETTING_NAMES))
        return
    Flash.put("settings.json", json.dumps(given).encode())
    loaded = settings.load(str(Flash.folder / "settings.json"))
    assert {name: loaded[name] for name in given} == given

