"""Random sequences of actions by devices, operators, clock and restarts, and the rules that must always hold: versions
only grow, statuses follow the allowed transitions to one terminal status, nothing is lost, notifications alone show
what is pending, and each target of a CONTINUOUS job has an execution of it."""

import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from engine_service import Service
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ujobs_tools.service.errors import ApiError
from ujobs_tools.service.model import PENDING, TERMINAL

THINGS = ("kiln", "oven")
ABOVE = {"plant": {"plant"}, "hall": {"plant", "hall"}}
LEGAL = {
    "QUEUED": {"QUEUED", "IN_PROGRESS", *TERMINAL},
    "IN_PROGRESS": {"IN_PROGRESS", *TERMINAL} - {"REMOVED"},
    **{status: {status} for status in TERMINAL},
}

things = st.sampled_from(THINGS)
groups = st.sampled_from(sorted(ABOVE))
jobs = st.sampled_from([f"job-{index}" for index in range(4)])
details = st.none() | st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=3)
step_timeouts = st.none() | st.integers(1, 3)
retries = st.none() | st.builds(
    lambda kind, number: {"criteriaList": [{"failureType": kind, "numberOfRetries": number}]},
    st.sampled_from(["FAILED", "TIMED_OUT", "ALL"]), st.integers(0, 2),
)
Key = tuple[str, str, int]


class JobsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.service = Service(str(Path(self.directory.name) / "jobs.db"))
        self.service.open = self._open  # type: ignore[method-assign]
        self._listen()
        for thing in THINGS:
            self.service.engine.create_thing(thing)
        for group, above in ABOVE.items():
            self.service.engine.create_thing_group(group, next(iter(above - {group}), None))
        self.members: dict[str, set[str]] = {thing: set() for thing in THINGS}
        self.targets: dict[str, set[str]] = {}
        self.deleted: set[tuple[str, str]] = set()
        self.known: dict[Key, tuple[str, int]] = {}
        self.told_pending: dict[str, set[tuple[str, int]]] = {thing: set() for thing in THINGS}
        self.told_next: dict[str, tuple[str, int] | None] = dict.fromkeys(THINGS)

    def _open(self) -> None:
        Service.open(self.service)
        self._listen()

    def _listen(self) -> None:
        self.service.engine.on_notification = self._notified

    def teardown(self) -> None:
        self.service.engine.store.close()
        self.directory.cleanup()

    def _notified(self, thing: str, suffix: str, payload: dict[str, Any]) -> None:
        if suffix == "notify":
            pending = {
                (item["jobId"], item["executionNumber"]) for items in payload["jobs"].values() for item in items
            }
            assert pending != self.told_pending[thing]
            self.told_pending[thing] = pending
        else:
            execution = payload.get("execution")
            front = execution and (execution["jobId"], execution["executionNumber"])
            assert front != self.told_next[thing]
            self.told_next[thing] = front

    def _try(self, call: Any, *expected: str) -> Any:
        try:
            return call()
        except ApiError as error:
            if error.code not in expected:
                raise
            return None

    @rule(
        job=jobs, chosen=st.sets(things | groups, min_size=1), retry=retries, minutes=st.none() | st.integers(1, 4),
        selection=st.sampled_from(["SNAPSHOT", "CONTINUOUS"]),
    )
    def create(self, job: str, chosen: set[str], retry: Any, minutes: int | None, selection: str) -> None:
        timeout = None if minutes is None else {"inProgressTimeoutInMinutes": minutes}
        done = self._try(
            lambda: self.service.engine.create_job(
                job, self._arns(chosen), "{}", targetSelection=selection, jobExecutionsRetryConfig=retry,
                timeoutConfig=timeout,
            ),
            "ResourceAlreadyExists",
        )
        if done is not None:
            self.targets[job] = chosen

    def _arns(self, chosen: set[str]) -> list[str]:
        kinds = {name: "thinggroup" if name in ABOVE else "thing" for name in sorted(chosen)}
        return [self.service.engine.arn(kind, name) for name, kind in kinds.items()]

    @rule(job=jobs, chosen=st.sets(things | groups, min_size=1))
    def add_targets(self, job: str, chosen: set[str]) -> None:
        done = self._try(
            lambda: self.service.engine.associate_targets_with_job(job, self._arns(chosen)),
            "ResourceNotFound", "InvalidRequest",
        )
        if done is not None:
            self.targets[job] = self.targets[job] | chosen

    @rule(thing=things, group=groups)
    def join_or_leave(self, thing: str, group: str) -> None:
        engine, member = self.service.engine, group in self.members[thing]
        change = engine.remove_thing_from_thing_group if member else engine.add_thing_to_thing_group
        if self._try(lambda: change(group, thingName=thing), "InvalidRequest") is not None:
            self.members[thing] ^= {group}

    @rule(thing=things, minutes=step_timeouts, note=details)
    def start_next(self, thing: str, minutes: int | None, note: Any) -> None:
        reply = self.service.engine.start_next(thing, {"stepTimeoutInMinutes": minutes, "statusDetails": note})
        front = self.told_next[thing]
        execution = reply.get("execution")
        assert (execution and (execution["jobId"], execution["executionNumber"])) == front

    @rule(
        thing=things, job=jobs, status=st.sampled_from(["IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED", "QUEUED"]),
        minutes=step_timeouts | st.just(-1), note=details, expected=st.none() | st.integers(1, 5),
    )
    def update(
        self, thing: str, job: str, status: str, minutes: int | None, note: Any, expected: int | None
    ) -> None:
        request = {
            "status": status, "stepTimeoutInMinutes": minutes, "statusDetails": note, "expectedVersion": expected,
            "includeJobExecutionState": True,
        }
        numbers = [number for of, name, number in self.known if (of, name) == (thing, job)]
        before = self.known.get((thing, job, max(numbers, default=0)))
        reply = self._try(
            lambda: self.service.engine.update(thing, job, request),
            "ResourceNotFound", "VersionMismatch", "InvalidStateTransition",
        )
        if reply is not None:
            assert before is not None
            assert before[0] in PENDING
            assert expected in (None, before[1])
            assert reply["executionState"]["versionNumber"] == before[1] + 1
            assert reply["executionState"]["status"] == status

    @rule(thing=things, job=jobs, force=st.booleans())
    def cancel_execution(self, thing: str, job: str, force: bool) -> None:
        self._try(
            lambda: self.service.engine.cancel_job_execution(job, thing, force=force),
            "ResourceNotFound", "InvalidStateTransition",
        )

    @rule(job=jobs, force=st.booleans())
    def cancel(self, job: str, force: bool) -> None:
        self._try(lambda: self.service.engine.cancel_job(job, force=force), "ResourceNotFound", "InvalidRequest")

    @rule(job=jobs, force=st.booleans())
    def delete(self, job: str, force: bool) -> None:
        done = self._try(
            lambda: self.service.engine.delete_job(job, force), "ResourceNotFound", "InvalidStateTransition"
        )
        if done is not None:
            self._forget({key for key in self.known if key[1] == job})
            self.deleted = {key for key in self.deleted if key[1] != job}

    @precondition(lambda self: self.known)
    @rule(data=st.data(), force=st.booleans())
    def delete_execution(self, data: st.DataObject, force: bool) -> None:
        thing, job, number = key = data.draw(st.sampled_from(sorted(self.known)))
        done = self._try(
            lambda: self.service.engine.delete_job_execution(job, thing, number, force), "InvalidStateTransition"
        )
        if done is not None:
            self._forget({key})
            self.deleted.add((thing, job))

    def _forget(self, keys: set[Key]) -> None:
        for key in keys:
            del self.known[key]

    @rule(seconds=st.sampled_from([1, 59, 60, 200]))
    def time_passes(self, seconds: int) -> None:
        self.service.clock.forward(seconds)
        self.service.engine.expire()
        deadline = self.service.engine.next_deadline()
        assert deadline is None or deadline > self.service.clock.now

    @rule()
    def restart(self) -> None:
        self.service.reopen()

    @invariant()
    def all_that_must_hold(self) -> None:
        self.executions_move_on_legally_and_none_is_lost()
        self.histories_tell_each_version_once_and_end_at_a_terminal_status()
        self.a_device_that_only_listens_knows_what_is_pending()
        self.a_snapshot_job_is_in_progress_exactly_while_something_is_pending()
        self.who_is_a_target_of_a_continuous_job_has_an_execution_and_nobody_else_has_one_queued()

    def executions_move_on_legally_and_none_is_lost(self) -> None:
        found: dict[Key, tuple[str, int]] = {}
        for index in range(4):
            try:
                summaries = self.service.engine.list_job_executions_for_job(f"job-{index}")["executionSummaries"]
            except ApiError:
                continue
            for item in summaries:
                thing = item["thingArn"].rpartition("/")[2]
                number = item["jobExecutionSummary"]["executionNumber"]
                execution = self.service.execution(f"job-{index}", thing, number)
                found[thing, f"job-{index}", number] = (execution["status"], execution["versionNumber"])
        assert set(self.known) <= set(found)
        for key, (status, version) in found.items():
            before_status, before_version = self.known.get(key, ("QUEUED", 1))
            assert status in LEGAL[before_status], key
            assert version >= before_version, key
            assert status in (before_status, "REMOVED") or version > before_version, key
            assert status != "REMOVED" or version == before_version, key
            assert (version == before_version) or before_status in PENDING, key
        self.known = found

    def histories_tell_each_version_once_and_end_at_a_terminal_status(self) -> None:
        for (thing, job, number), (status, version) in self.known.items():
            history = self.service.engine.history(thing, job, number)
            removed = [version] if status == "REMOVED" else []
            assert [entry["versionNumber"] for entry in history] == [*range(1, version + 1), *removed]
            assert history[-1]["status"] == status
            assert not any(entry["status"] in TERMINAL for entry in history[:-1])
            assert [entry["at"] for entry in history] == sorted(entry["at"] for entry in history)

    def a_device_that_only_listens_knows_what_is_pending(self) -> None:
        for thing in THINGS:
            pending = self.service.engine.get_pending(thing)
            listed = [
                (item["jobId"], item["executionNumber"]) for item in pending["inProgressJobs"] + pending["queuedJobs"]
            ]
            assert set(listed) == self.told_pending[thing]
            front = self.service.engine.describe(thing, "$next", {}).get("execution")
            assert (front and (front["jobId"], front["executionNumber"])) == self.told_next[thing]
            assert (listed[0] if listed else None) == self.told_next[thing]

    def who_is_a_target_of_a_continuous_job_has_an_execution_and_nobody_else_has_one_queued(self) -> None:
        under_way = [job["jobId"] for job in self.service.engine.list_jobs("IN_PROGRESS", "CONTINUOUS")["jobs"]]
        for job, thing in product(under_way, THINGS):
            numbers = [number for of, name, number in self.known if (of, name) == (thing, job)]
            latest = self.known[thing, job, max(numbers)][0] if numbers else None
            if not self.targets[job] & {thing}.union(*(ABOVE[group] for group in self.members[thing])):
                assert latest != "QUEUED"
            elif (thing, job) not in self.deleted:
                assert latest not in (None, "REMOVED")

    def a_snapshot_job_is_in_progress_exactly_while_something_is_pending(self) -> None:
        for summary in self.service.engine.list_jobs()["jobs"]:
            pending = {
                status for (_, job, _), (status, _) in self.known.items()
                if job == summary["jobId"] and status in PENDING
            }
            if summary["status"] == "CANCELED":
                assert pending <= {"IN_PROGRESS"}
            elif summary["targetSelection"] == "CONTINUOUS":
                assert summary["status"] == "IN_PROGRESS"
            else:
                assert summary["status"] == ("IN_PROGRESS" if pending else "COMPLETED")


JobsMachine.TestCase.settings = settings(max_examples=50, stateful_step_count=50)
TestJobs = JobsMachine.TestCase
