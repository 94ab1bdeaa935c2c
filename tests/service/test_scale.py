"""The cost of a request does not grow with the amount of data. Costs are instructions of SQLite's virtual machine."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from engine_service import Service

QUEUED = 3000
LISTED = 6_000
PAGE = 250


class Work:
    """Counts instructions. done: how many SQLite has executed."""

    def __init__(self) -> None:
        self.done = 0

    def count(self) -> int:
        self.done += 1
        return 0


@contextmanager
def counting(service: Service) -> Iterator[Work]:
    work, connection = Work(), service.engine.store._connection
    connection.set_progress_handler(work.count, 1)
    try:
        yield work
    finally:
        connection.set_progress_handler(None, 0)


def cost(service: Service, function: Callable[[], Any]) -> int:
    with counting(service) as work:
        function()
    assert work.done
    return work.done


def service_with(jobs: int) -> Service:
    """A service whose thing kiln has this many jobs in its queue, the first of them started."""
    service = Service()
    engine = service.engine
    arn = engine.create_thing("kiln")["thingArn"]
    for number in range(jobs):
        engine.create_job(f"job-{number}", [arn], '{"operation": "x"}')
    engine.start_next("kiln", {})
    service.heard()
    return service


@pytest.fixture(scope="module")
def short() -> Service:
    """A queue that is longer than a list of pending executions, which has at most 15."""
    return service_with(30)


@pytest.fixture(scope="module")
def long() -> Service:
    return service_with(QUEUED)


CHANGES: dict[str, Callable[[Service], Any]] = {
    "ask": lambda service: service.engine.get_pending("kiln"),
    "describe": lambda service: service.engine.describe("kiln", "$next", {}),
    "progress": lambda service: service.progress("job-0", statusDetails={"progress": "1/2"}, stepTimeoutInMinutes=5),
    "end": lambda service: service.report("job-0", "SUCCEEDED"),
    "start": lambda service: service.engine.start_next("kiln", {}),
    "start another": lambda service: service.progress("job-5"),
    "time out": lambda service: (service.clock.forward(300), service.engine.expire()),
    "reject": lambda service: service.report("job-6", "REJECTED"),
    "cancel": lambda service: service.engine.cancel_job("job-7"),
    "delete": lambda service: service.engine.delete_job("job-8", force=True),
    "cancel execution": lambda service: service.engine.cancel_job_execution("job-9", "kiln"),
    "create": lambda service: service.job("new"),
}


def test_the_cost_of_a_change_does_not_depend_on_the_queue(short: Service, long: Service) -> None:
    for name, change in CHANGES.items():
        costs = [cost(service, lambda service=service, change=change: change(service)) for service in (short, long)]
        assert costs[0] == costs[1], name
        assert short.heard() == long.heard(), name


@pytest.fixture(scope="module")
def crowd() -> Service:
    """20,000 jobs, each with an execution; every tenth job has been cancelled. A group has 20,000 things."""
    service = Service()
    store, engine = service.engine.store, service.engine
    arn = engine.create_thing("kiln")["thingArn"]
    group = engine.create_thing_group("all")["thingGroupArn"]
    engine.create_job("one", [arn], "{}")
    template = store.job("one")
    assert template is not None
    with store.transaction():
        for number in range(LISTED):
            template.job_id = f"job-{number}"
            template.status = "IN_PROGRESS" if number % 10 else "CANCELED"
            store.add_job(template)
            store.add_execution("kiln", template.job_id, 1, 0.0)
            store._execute("INSERT INTO things VALUES (?, '', '{}', 1, NULL)", f"thing-{number}")
            store.add_member("all", f"thing-{number}")
            store.add_execution(f"thing-{number}", "one", 1, 0.0)
    engine.create_job("continuous", [group], "{}", targetSelection="CONTINUOUS")
    return service


LISTS: dict[str, Callable[[Service, str | None], dict[str, Any]]] = {
    "jobs": lambda service, token: service.engine.list_jobs(nextToken=token),
    "jobs of a status": lambda service, token: service.engine.list_jobs(status="IN_PROGRESS", nextToken=token),
    "jobs of a selection": lambda service, token: service.engine.list_jobs(
        targetSelection="SNAPSHOT", nextToken=token
    ),
    "of a job": lambda service, token: service.engine.list_job_executions_for_job("one", nextToken=token),
    "of a job and status": lambda service, token: service.engine.list_job_executions_for_job(
        "one", status="QUEUED", nextToken=token
    ),
    "of a thing": lambda service, token: service.engine.list_job_executions_for_thing("kiln", nextToken=token),
    "of a thing and status": lambda service, token: service.engine.list_job_executions_for_thing(
        "kiln", status="QUEUED", nextToken=token
    ),
    "things": lambda service, token: service.engine.list_things(nextToken=token),
    "group": lambda service, token: service.engine.list_things_in_thing_group("all", nextToken=token),
    "group and below": lambda service, token: service.engine.list_things_in_thing_group(
        "all", recursive=True, nextToken=token
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_every_page_of_a_listing_costs_the_same(crowd: Service, name: str) -> None:
    costs: list[int] = []
    token: str | None = None
    seen = 0
    while True:
        with counting(crowd) as work:
            page = LISTS[name](crowd, token)
        costs.append(work.done)
        seen += len(next(value for value in page.values() if isinstance(value, list)))
        token = page.get("nextToken")
        if token is None:
            break
    assert len(costs) >= LISTED * 9 // 10 // PAGE
    assert seen >= LISTED * 9 // 10
    assert max(costs) - min(costs[:-1]) < PAGE, "in instructions: not one more an entry"


def test_a_status_that_few_have_is_not_searched_for(crowd: Service) -> None:
    few = lambda: crowd.engine.list_jobs(targetSelection="CONTINUOUS")  # noqa: E731
    assert len(few()["jobs"]) == 1
    assert cost(crowd, few) < PAGE
    ended = lambda: crowd.engine.list_job_executions_for_thing("kiln", status="SUCCEEDED")  # noqa: E731
    assert ended()["executionSummaries"] == []
    assert cost(crowd, ended) < PAGE
