"""The agent with a Jobs service in memory: jobs arrive, run, and end."""

import asyncio

import ujobs.agent
import ujobs.certificates
import ujobs.job
import ujobs.sources
from agent_handlers import all_done, finish, handlers
from broker import raises, until
from cloud import DIRECTORY, PREFIX, idle, remove, run
from replaced import Replaced, with_modules
from ujobs.agent import Agent
from ujobs.journal import Journal
from ujobs.link import Link


def test_a_quick_job_takes_two_requests():
    async def scenario(agent, cloud):
        await until(lambda: idle(agent))
        asked = len(cloud.requests)
        cloud.queue("one", {"operation": "quick", "n": 5})
        await all_done(agent, cloud)
        await until(lambda: idle(agent))
        assert [suffix for suffix, _ in cloud.requests[asked:]] == ["start-next", "one/update"]
        execution = cloud.executions[0]
        assert execution["status"] == "SUCCEEDED"
        assert execution["versionNumber"] == 3
        assert execution["statusDetails"] == {"answer": "5"}
        update = cloud.updates()[-1]
        assert (update["expectedVersion"], update["executionNumber"]) == (2, 1)

    run(scenario, handlers)


def test_an_old_notification_that_nothing_is_pending_does_not_hide_a_job():
    async def scenario(agent, cloud):
        await until(lambda: idle(agent))
        cloud.queue("one", {"operation": "quick"})
        cloud.broker.send(PREFIX + b"notify-next", b'{"timestamp": 1}', 1)
        await all_done(agent, cloud)

    run(scenario, handlers)


def test_a_job_starts_at_once_after_a_notification_or_a_reconnect():
    async def scenario(agent, cloud):
        for reconnects in (False, True):
            await until(lambda: idle(agent))
            cloud.quiet = reconnects
            cloud.queue("job-%d" % reconnects, {"operation": "quick"})
            if reconnects:
                cloud.broker.wires[-1].end()
                await until(lambda: not agent.link.up.is_set())
                await agent.link.up.wait()
            began = cloud.clock.seconds()
            await all_done(agent, cloud)
            assert cloud.clock.seconds() - began < 0.5

    run(scenario, handlers)


def test_queued_jobs_run_in_order():
    order = []
    documents = [{"operation": "note", "n": n} for n in range(3)]
    cloud = finish(*documents, note=lambda job: order.append(job.document["n"]))
    assert order == [0, 1, 2]
    assert cloud.statuses() == ["SUCCEEDED"] * 3


def test_documents_of_aws_need_no_operation():
    cloud = finish(
        {"version": "1.0", "steps": []}, {"afr_ota": {}},
        steps=lambda job: {"handler": "steps"}, firmware=lambda job: {"handler": "firmware"},
    )
    assert [one["statusDetails"] for one in cloud.executions] == [{"handler": "steps"}, {"handler": "firmware"}]


class Broken:
    """A module with a name and no content."""


class Silent(Exception):
    def __str__(self):
        raise TypeError("no text")


def raising(error):
    def handler(job):
        raise error

    return handler


def wrong_key(job):
    job.noted("no such key", "x")
    raise OSError("sensor gone")


async def waiting():
    await asyncio.sleep(60)


async def leak_cancellation(job):
    helper = asyncio.create_task(waiting())
    await asyncio.sleep(0)
    helper.cancel()
    await helper


def test_a_job_that_does_not_succeed_reports_the_reason_and_the_next_one_runs():
    def setup(agent):
        handlers(agent)
        agent.use("call", "reboot")
        agent._handlers["missing"] = ("missing",) + agent._handlers["reboot"][1:]

    cases = (
        ({"operation": "fail"}, "FAILED", "OSError: sensor is gone"),
        ({"operation": "reject"}, "REJECTED", "at most 100"),
        ({"operation": "dance"}, "REJECTED", "operation 'dance' not in handlers: ["),
        ({"operation": "dance"}, "REJECTED", "'quick'"),
        ({"no": "operation"}, "REJECTED", "the job document has no operation"),
        (["not", "an", "object"], "REJECTED", "the job document has no operation"),
        ({"operation": "quick", "text": "x" * 3000}, "REJECTED", "receive_limit"),
        # The service would refuse these status details.
        ({"operation": "list"}, "FAILED", "text or numbers, not list"),
        # Whoever returns it means that the job failed.
        ({"operation": "false"}, "FAILED", "text or numbers, not bool"),
        ({"operation": "key"}, "FAILED", "statusDetails key"),
        ({"operation": "leak"}, "FAILED", "CancelledError"),
        # Errors whose text fails, too.
        ({"operation": "silent"}, "FAILED", "Silent"),
        ({"operation": "silent-value"}, "FAILED", "OSError"),
        # Built-in handlers that are not installed, and that cannot be imported.
        ({"operation": "missing"}, "REJECTED", "missing"),
        ({"operation": "call"}, "FAILED", "run"),
        ({"operation": "quick"}, "SUCCEEDED", ""),
    )
    with with_modules(**{"ujobs.handlers.call": Broken()}):
        cloud = finish(
            *[document for document, _, _ in cases], setup=setup, receive_limit=2000,
            **{
                "list": lambda job: {"blinks": [3]}, "false": lambda job: False, "key": wrong_key,
                "leak": leak_cancellation,
                "silent": raising(Silent()), "silent-value": raising(OSError(Silent())),
            },
        )
    for (document, status, reason), found, why in zip(cases, cloud.statuses(), cloud.reasons()):
        assert (found, reason in why) == (status, True), (document, found, why)


def test_the_console_says_how_a_job_ended():
    lines = []
    with Replaced(ujobs.job, log=lambda *words: lines.append(" ".join([str(word) for word in words]))):
        finish({"operation": "quick"}, {"operation": "fail"})
    assert "job job-0: SUCCEEDED" in lines
    assert "job job-1: FAILED, OSError: sensor is gone" in lines


def test_a_notification_with_a_job_is_noticed_and_a_large_one_not_copied():
    copied = []

    def counted(*arguments):
        data = bytes(*arguments)
        copied.append(len(data))
        return data

    async def scenario(agent, cloud):
        for payload in (b'{"execution": {"jobId": "a"}}', b'{"execution": {"jobDocument": "%s"}}' % (b"x" * 9000)):
            await until(lambda: idle(agent))
            asked = len(cloud.requests)
            cloud.broker.send(PREFIX + b"notify-next", payload, 1)
            await until(lambda asked=asked: len(cloud.requests) > asked)

    with Replaced(ujobs.agent, bytes=counted):
        run(scenario, handlers)
    assert max(copied) <= 257, copied


def test_invalid_messages_do_not_stop_the_agent():
    async def scenario(agent, cloud):
        await until(lambda: idle(agent))
        for suffix in (b"notify-next", b"notify", b"start-next/accepted", b"a/update/rejected", b"x/y/z", b""):
            for payload in (b"", b"{", b"[]", b"null", b'{"execution": 5}', b'{"execution": {"jobId": 5}}', b"\xff"):
                cloud.broker.send(PREFIX + suffix, payload)
        cloud.broker.send(b"$aws/things/other/jobs/notify-next", b"{}")
        cloud.queue("a", {"operation": "quick"})
        await all_done(agent, cloud)
        assert len(cloud.broker.wires) == 1

    run(scenario, handlers)


def test_a_call_with_wrong_arguments_names_the_function():
    async def scenario(agent, cloud):
        agent.use("call", functions={"blink": lambda times: times})
        for job_id, arguments in (("missing", {}), ("surplus", [1, 2]), ("unknown", {"often": 1})):
            cloud.queue(job_id, {"operation": "call", "function": "blink", "arguments": arguments})
        await all_done(agent, cloud)
        for execution in cloud.executions:
            assert execution["status"] == "FAILED"
            assert execution["statusDetails"]["function"] == "blink"
            assert execution["statusDetails"]["reason"].startswith("TypeError: ")

    run(scenario, handlers)


def test_wrong_arguments_are_refused_by_name():
    agent = Agent("thing", link=Link(b"thing", "host"), directory=DIRECTORY)
    assert "ca" in str(raises(ValueError, Agent, "thing", "host"))
    for name in ("a/b", "t" * 129):
        assert "thingName" in str(raises(ValueError, Agent, name, link=agent.link, directory=DIRECTORY))
    assert "on_restart" in str(raises(ValueError, agent.on, "x", on_restart="never"))
    # @agent.on instead of @agent.on("blink"): nothing would say why its jobs are rejected.
    assert "operation" in str(raises(ValueError, agent.on, finish))
    for name, least, most in (("step_timeout", 1, 10080), ("max_attempts", 1, 255), ("time_limit", 1, 7200)):
        for value in (least, most):
            agent.on("x", **{name: value})
        for value in (least - 1, most + 1, "5"):
            error = str(raises(ValueError, agent.on, "x", **{name: value}))
            assert name in error and str(most) in error
    assert "dance" in str(raises(ValueError, agent.use, "dance"))
    for seconds in (0, -1):
        error = raises(ValueError, Agent, "a", link=agent.link, directory=DIRECTORY, update_interval=seconds)
        assert "update_interval" in str(error)
    remove(DIRECTORY)


def test_what_is_not_given_has_the_documented_value():
    made = []

    def tls_context(*arguments):
        made.append(arguments)
        return "TLS"

    with Replaced(ujobs.certificates, tls_context=tls_context):
        agent = Agent("thing", "host", "cert", "key", "ca")
    an_hour = 3600
    assert made == [("ca", "cert", "key")]
    # Downloads verify their server with the same CA, and have no certificate of their own.
    with Replaced(ujobs.certificates, tls_context=tls_context):
        ujobs.sources.check([{"url": "https://files.example.com/a", "sha256": "0" * 64, "size": 1}], agent._options)
    assert made[1:] == [("ca",)]
    # HTTPS does not replace the SHA-256.
    unchecked = [{"url": "https://files.example.com/a", "size": 1}]
    assert "sha256 is missing" in str(raises(ValueError, ujobs.sources.check, unchecked, agent._options))
    assert agent._interval == an_hour
    link = agent.link
    assert (link.client_id, link.server, link.port, link.ssl) == ("thing", "host", 8883, "TLS")
    assert (link.keepalive, link.timeout, link.receive_limit) == (60, 10, 16384)
    agent.on("blink")(len)
    minutes, attempts, a_day = 10, 3, 1440
    assert agent._handlers["blink"] == (len, minutes, "rerun", attempts, a_day)


def test_returned_details_override_noted_ones():
    async def much(job):
        await job.progress(1, 2, "half")
        return {"key%d" % n: "x" for n in range(10)}

    cloud = finish({"operation": "much"}, much=much)
    assert cloud.statuses() == ["SUCCEEDED"]
    assert len(cloud.executions[0]["statusDetails"]) == 10


def test_a_result_is_in_flash_before_a_pending_progress_update_is_answered():
    sent = []

    def setup(agent):
        @agent.on("hurried")
        async def hurried(job):
            agent.link.timeout = 30
            agent._wake.set()
            await until(lambda: sent)
            return {"answer": "42"}

    async def scenario(agent, cloud):
        cloud.broker.on_publish, answer = lambda topic, payload: (
            sent.append(payload) if b"IN_PROGRESS" in payload else answer(topic, payload)
        ), cloud.broker.on_publish
        cloud.queue("one", {"operation": "hurried"})
        await until(lambda: agent.journal.status == "SUCCEEDED")
        assert Journal(DIRECTORY).status == "SUCCEEDED"
        assert cloud.statuses() == ["IN_PROGRESS"]
        agent.link.timeout = 0.3

    run(scenario, setup)
