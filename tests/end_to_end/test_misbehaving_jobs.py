"""Jobs that hang the board, exhaust its memory, delete its program or contain secrets: the board continues."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from board_at_work import BoardAtWork, board_at_work
from clouds import Cloud, ujobs_serve
from output_watch import secrets_in

APP = Path(__file__).with_name("misbehaving_app.py")
PRESIGNED = "/table?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0f1e2d3c"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cloud, Path]]:
    """`ujobs serve` and the path of its log."""
    folder = tmp_path_factory.mktemp("misbehaving")
    with ujobs_serve(folder) as found:
        yield found, folder / "serve.log"


@pytest.fixture
def victim(service: tuple[Cloud, Path], request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BoardAtWork]:
    thing = request.node.name.replace("_", "-")[:60]
    wifi = {"ssid": "barn", "password": "old-secret"}
    handlers = ["files", "reboot", "settings", "steps"]
    with board_at_work(service[0], thing, tmp_path, APP, watchdog=2, handlers=handlers, wifi=wifi) as board:
        yield board


def check_alive(board: BoardAtWork) -> None:
    assert board.wait_for(board.give("quick"))["status"] == "SUCCEEDED", board.said()


def test_a_handler_that_hangs(victim: BoardAtWork) -> None:
    job_id = victim.give("hang")
    check_alive(victim)
    execution = victim.execution(job_id)
    assert execution["status"] == "FAILED"
    assert execution["details"]["reason"] == "the board was reset during attempt 2: WDT_RESET, start 3 since power-on"
    assert victim.said().count("board: start, WDT_RESET") == 2


def test_a_handler_that_takes_all_memory(victim: BoardAtWork) -> None:
    execution = victim.wait_for(victim.give("exhaust"))
    assert execution["status"] == "FAILED"
    assert execution["details"]["reason"].startswith("MemoryError")
    check_alive(victim)
    assert "RESET" not in victim.said().partition("ujobs: connected")[2]


def test_a_handler_that_deletes_its_own_files(victim: BoardAtWork) -> None:
    assert victim.wait_for(victim.give("vanish"))["status"] == "SUCCEEDED"
    check_alive(victim)
    # Without its application the board still accepts jobs that can repair it.
    assert victim.wait_for(victim.give("reboot"))["status"] == "SUCCEEDED"
    assert victim.wait_for(victim.give("quick"))["status"] == "REJECTED"
    assert "app: not started" in victim.said()


def test_secrets_are_in_no_log_and_no_status_detail(victim: BoardAtWork, service: tuple[Cloud, Path]) -> None:
    jobs = [
        victim.give("settings", set={"wifi": {"ssid": "barn", "password": "new-secret"}}),
        victim.give("settings", set={"wifi": "new-secret"}),
        victim.give("settings", set={"host": {"new-secret": 1}}),
        victim.give("settings", set={"keepalive": "new-secret"}),
        *(
            victim.give("files", fetch=[{"path": "/data/table", "url": host + PRESIGNED, "sha256": "0" * 64}])
            for host in (service[0].endpoint_url, "https://localhost:port", "http://nobody@localhost")
        ),
    ]
    statuses = [victim.wait_for(job_id)["status"] for job_id in jobs]
    assert statuses[:5] == ["SUCCEEDED", "REJECTED", "REJECTED", "REJECTED", "FAILED"]
    assert statuses[5] == "REJECTED", "there is no port with this name"
    assert statuses[6] in ("REJECTED", "FAILED")
    told = "".join(str(victim.execution(job_id)["details"]) for job_id in jobs)
    for text in (victim.said(), service[1].read_text(), told):
        assert not secrets_in(text)
