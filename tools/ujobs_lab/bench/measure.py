"""The measurement: things connect at the same time, do many jobs at the same time, and then one job after another."""

import os
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ujobs_lab.bench import usage
from ujobs_lab.bench.control import MAX_TARGETS
from ujobs_lab.bench.servers import Server, UjobsServe
from ujobs_lab.bench.things import Things

Jobs = dict[str, list[str]]  # job id -> its things

_PATIENCE = 300.0  # seconds for a phase
_SINGLE_JOBS = 100


@dataclass
class Span:
    """CPU seconds used in a span of time: by the server, by the responder behind it, and by this process."""

    seconds: float = 0.0
    server: float = 0.0
    helper: float = 0.0
    load: float = 0.0


@dataclass
class Result:
    """The result of one measurement. Memory is in bytes. Figures per job are averages over the jobs done at the same
    time. Cores are CPU time divided by wall time. problems: what was lost or wrong, in words.
    """

    name: str
    things: int
    jobs: int
    connects_per_second: float = 0.0
    connect_cpu_ms: float = 0.0
    memory_before: int = 0
    memory_connected: int = 0
    memory_after: int = 0
    jobs_per_second: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    cpu_ms_per_job: float = 0.0
    helper_cpu_ms_per_job: float = 0.0
    server_cores: float = 0.0
    load_cores: float = 0.0
    single_p50_ms: float = 0.0
    single_p99_ms: float = 0.0
    sent_per_job: float = 0.0
    received_per_job: float = 0.0
    bytes_per_job: float = 0.0
    notify: int = 0
    notify_next: int = 0
    connections_lost: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def memory_per_connection(self) -> float:
        """Resident memory for each connected and subscribed thing, bytes."""
        return (self.memory_connected - self.memory_before) / self.things


@dataclass(frozen=True)
class Kill:
    """The result of killing the service under load. done_before, updates_before: jobs and updates acknowledged before.
    serving_again, all_connected, all_done: seconds since the kill. problems: as in Result."""

    jobs: int
    done_before: int
    updates_before: int
    serving_again: float
    all_connected: float
    all_done: float
    problems: list[str]


def measure(
    name: str, server: Server, contexts: Mapping[str, ssl.SSLContext | None], jobs_per_thing: int
) -> tuple[Result, Jobs]:
    """Measure a server to which no thing is connected yet. name: of the measurement, and the prefix of its job ids.

    Returns the result and the jobs. Raises NotReady if a phase takes longer than five minutes.
    """
    names = list(contexts)
    prefix = name.replace(" ", "-")
    many = _jobs(f"{prefix}-many", names, jobs_per_thing)
    single = {f"{prefix}-single-{number}": [thing] for number, thing in enumerate(names[:_SINGLE_JOBS])}
    result = Result(name, len(names), sum(map(len, many.values())))
    secure = any(contexts.values())
    with Things(contexts, server.mqtts if secure else server.mqtt) as things:
        _connect(things, server, result)
        _all_at_once(things, server, many, result)
        _one_at_a_time(things, server, single, result)
        result.memory_after = usage.memory(server.broker)
        tally = things.tally
        result.notify, result.notify_next = tally.notifications["notify"], tally.notifications["notify-next"]
        result.connections_lost = sum(tally.losses.values())
        result.problems += tally.wrong
    return result, many | single


def kill_in_the_middle(
    service: UjobsServe, server: Server, contexts: Mapping[str, ssl.SSLContext | None]
) -> tuple[Kill, Jobs]:
    """Kill the service when half of the jobs are done, and start it again: all things reconnect at the same time."""
    jobs = _jobs("kill", list(contexts), 1)
    for job_id, targets in jobs.items():
        server.create_job(job_id, targets).result()
    with Things(contexts, server.mqtts) as things:
        tally = things.tally
        things.connect()
        things.run_until(lambda: len(tally.done) * 2 >= len(contexts), "half of the jobs", _PATIENCE)
        killed = time.monotonic()
        done, updates = len(tally.done), tally.updates
        tally.cut_off.clear()
        service.kill()
        service.start()
        serving_again = time.monotonic() - killed
        things.run_until(lambda: len(tally.cut_off) == len(contexts), "all connections lost", _PATIENCE)
        things.run_until(lambda: things.all_answered, "all things reconnected", _PATIENCE)
        all_connected = time.monotonic() - killed
        things.run_until(lambda: len(tally.done) == len(contexts), "all jobs done", _PATIENCE)
        all_done = time.monotonic() - killed
    return Kill(len(contexts), done, updates, serving_again, all_connected, all_done, tally.wrong), jobs


def _connect(things: Things, server: Server, result: Result) -> None:
    result.memory_before = usage.memory(server.broker)
    with _span(server) as span:
        things.connect()
        things.run_until(lambda: things.all_answered, "all things connected", _PATIENCE)
    result.memory_connected = usage.memory(server.broker)
    result.connects_per_second = result.things / span.seconds
    result.connect_cpu_ms = span.server / result.things * 1000


def _all_at_once(things: Things, server: Server, jobs: Jobs, result: Result) -> None:
    before = replace(things.traffic)
    with _span(server) as span:
        latencies = _run(things, server, jobs)
    _await_notifications(things, 2 * result.jobs)
    traffic = things.traffic.since(before)
    result.jobs_per_second = result.jobs / span.seconds
    result.p50_ms, result.p99_ms = _percentiles(latencies)
    result.cpu_ms_per_job = span.server / result.jobs * 1000
    result.helper_cpu_ms_per_job = span.helper / result.jobs * 1000
    result.server_cores = span.server / span.seconds
    result.load_cores = span.load / span.seconds
    result.sent_per_job = traffic.sent / result.jobs
    result.received_per_job = traffic.received / result.jobs
    result.bytes_per_job = (traffic.sent_bytes + traffic.received_bytes) / result.jobs


def _one_at_a_time(things: Things, server: Server, jobs: Jobs, result: Result) -> None:
    latencies = [_run(things, server, {job_id: targets})[0] for job_id, targets in jobs.items()]
    _await_notifications(things, 2 * (result.jobs + len(jobs)))
    result.single_p50_ms, result.single_p99_ms = _percentiles(latencies)


def _jobs(prefix: str, names: Sequence[str], rounds: int) -> Jobs:
    groups = [list(names[at : at + MAX_TARGETS]) for at in range(0, len(names), MAX_TARGETS)]
    return {
        f"{prefix}-{number}-{at}": group for number in range(rounds) for at, group in enumerate(groups)
    }


def _run(things: Things, server: Server, jobs: Jobs) -> list[float]:
    """Create jobs; gives the seconds from each CreateJob to each acknowledged SUCCEEDED."""
    began = {job_id: server.create_job(job_id, targets) for job_id, targets in jobs.items()}
    expected = {(thing, job_id) for job_id, targets in jobs.items() for thing in targets}
    done = things.tally.done
    goal = len(done) + len(expected)
    things.run_until(lambda: len(done) >= goal, "all jobs done", _PATIENCE)
    return [done[thing, job_id] - began[job_id].result() for thing, job_id in expected]


def _await_notifications(things: Things, count: int) -> None:
    """Wait for the last messages: two `notify` for each job, and a `notify-next` without a job for each thing."""
    tally = things.tally
    things.run_until(
        lambda: tally.notifications["notify"] >= count and not tally.busy, f"{count} notify", _PATIENCE
    )


def _percentiles(seconds: list[float]) -> tuple[float, float]:
    ordered = sorted(seconds)
    return ordered[len(ordered) // 2] * 1000, ordered[len(ordered) * 99 // 100] * 1000


@contextmanager
def _span(server: Server) -> Iterator[Span]:
    processes = (server.broker, *([] if server.helper is None else [server.helper]), os.getpid())
    before = [usage.cpu_seconds(process) for process in processes]
    span, began = Span(), time.monotonic()
    yield span
    span.seconds = time.monotonic() - began
    taken = [usage.cpu_seconds(process) - start for process, start in zip(processes, before, strict=True)]
    span.server, *helper, span.load = taken
    span.helper = sum(helper)
