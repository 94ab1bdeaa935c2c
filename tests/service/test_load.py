"""Many things work at the same time, the service is killed meanwhile, and more things connect than it has room for."""

import contextlib
import resource
from pathlib import Path

import pytest
from control_plane import ControlPlane
from many_things import Things
from mqtt_wire import WireClient
from service_process import serving

from ujobs_lab.bench.servers import ujobs_serve
from ujobs_tools.service import broker

PATIENCE = 60.0  # seconds


def test_every_job_succeeds_once_though_the_service_is_killed_again_and_again(tmp_path: Path) -> None:
    names = [f"thing-{number}" for number in range(50)]
    jobs = {f"job-{number}": names for number in range(3)}
    with ujobs_serve(tmp_path) as service:
        control = ControlPlane(service.endpoint_url, service.authority)
        contexts = {name: control.create_thing(name) for name in names}
        for job_id in jobs:
            control.create_job(job_id, names)
        with Things(contexts, service.mqtts) as things:
            things.connect()
            tally = things.tally
            for goal in (20, 100):
                things.run_until(lambda goal=goal: len(tally.done) >= goal, f"{goal} jobs", PATIENCE)
                assert len(tally.done) < 150, "the service is killed while jobs are left"
                tally.cut_off.clear()
                service.kill()
                service.start()
                things.run_until(lambda: len(tally.cut_off) == 50, "all connections lost", PATIENCE)
            things.run_until(lambda: len(tally.done) == 150, "all jobs", PATIENCE)
        assert tally.wrong == []
        assert tally.done == {(thing, job_id) for thing in names for job_id in jobs}
        assert [line for job_id in jobs for line in control.problems(job_id, names)] == []


def test_more_connections_than_the_usual_limit_on_open_files(tmp_path: Path) -> None:
    count = 1100
    needed = count + broker.SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"this system allows a process {hard} open files")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    with ujobs_serve(tmp_path) as service:  # starts with a soft limit of 1024
        names = [f"thing-{number}" for number in range(count)]
        with Things(dict.fromkeys(names), service.mqtt) as things:
            things.connect()
            things.run_until(lambda: things.all_answered, "all things connected", PATIENCE)
            assert not things.tally.losses


def test_connections_beyond_the_limit_on_open_files_are_refused_one_by_one(tmp_path: Path) -> None:
    with serving(tmp_path) as service, contextlib.ExitStack() as clients:
        hard = resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (broker.SPARE_FILES + 20, hard))
        connected = [clients.enter_context(WireClient(service.found["mqtt"])) for _ in range(20)]
        for number, client in enumerate(connected):
            assert client.connect(f"thing-{number}") == (0, 0)
        for _ in range(20):
            with WireClient(service.found["mqtt"]) as refused:
                assert refused.is_closed()
        for client in connected:
            client.ping()
        lines = [line for line in service.output().splitlines() if "WARNING" in line]
    assert len(lines) == 20
    assert all(line.endswith("connection closed: more than 20 connections") for line in lines), lines
