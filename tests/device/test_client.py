"""`JobsClient` without the agent, for programs that drive jobs themselves."""

import asyncio

import fast_time
import ujson
from broker import filters, raises_async, until
from cloud import PREFIX, Cloud
from linked import connected
from replaced import Replaced
from ujobs.agent import JobsError
from ujobs.client import JobsClient
from ujobs.link import Link


def run(scenario, **options):
    """Run scenario(client, cloud) with a connected client. options: of the client."""

    cloud, clients = Cloud(), []

    async def main(link, broker):
        await link.up.wait()
        await scenario(clients[0], cloud)

    def before(link, broker):
        clients.append(JobsClient(link, "thing", **options))

    connected(main, before, cloud.broker, timeout=0.2)


def test_the_four_operations():
    async def scenario(client, cloud):
        assert await client.get_pending() == ([], [])
        assert await client.start_next() is None
        assert await client.describe() is None
        cloud.queue("a", {"operation": "x"})
        cloud.queue("b", {"operation": "y"})
        in_progress, queued = await client.get_pending()
        assert [execution.job_id for execution in queued] == ["a", "b"]
        assert in_progress == []
        execution = await client.start_next(5, {"phase": "start"})
        assert (execution.job_id, execution.status, execution.version_number) == ("a", "IN_PROGRESS", 2)
        assert execution.document == {"operation": "x"}
        execution = await client.describe("b", include_document=False)
        assert (execution.status, execution.document) == ("QUEUED", None)
        await client.update("a", "SUCCESS", {"answer": "1"}, expected_version=2, execution_number=1)
        assert cloud.executions[0]["status"] == "SUCCEEDED"
        assert (await client.describe()).job_id == "b"

    run(scenario)


def test_replies_are_subscribed_for_brokers_that_send_them_to_subscribers_only():
    names = [b"start-next/+", b"+/get/+", b"+/update/+", b"get/+", b"notify-next"]

    async def scenario(client, cloud):
        (subscribe,) = [body for name, body in cloud.broker.packets if name == "subscribe"]
        assert filters(subscribe) == [PREFIX + name for name in names]
        for name in names:
            # A lost reply is asked for again; a lost notification is not.
            assert PREFIX + name + bytes((name[:6] == b"notify",)) in subscribe

    run(scenario)
    names.append(b"notify")
    run(scenario, on_notify=lambda changed: None)


def test_the_longest_thing_name_can_be_subscribed():
    async def main(clock):
        cloud = Cloud()
        link = Link(b"t" * 128, "host", timeout=0.2)
        JobsClient(link, "t" * 128)
        with Replaced(asyncio, open_connection=cloud.broker.open_connection):
            await link.connect()
        link._close()
        name, body = cloud.broker.packets[-1]
        assert name == "subscribe"
        assert filters(body)[-1] == b"$aws/things/" + b"t" * 128 + b"/jobs/notify-next"

    fast_time.run(main)


def test_notifications_reach_their_callbacks():
    nexts, changes = [], []

    async def scenario(client, cloud):
        cloud.queue("a", {"operation": "x"})
        cloud.broker.send(PREFIX + b"notify", b'{"timestamp": 1, "jobs": {}}')
        cloud.broker.send(PREFIX + b"notify-next", b'{"timestamp": 1}')
        cloud.broker.send(PREFIX + b"notify-next", b"{")
        cloud.broker.send(PREFIX + b"a/get/accepted", b'{"execution": 5}')
        await until(lambda: len(nexts) == 3)
        assert nexts[0].job_id == "a"
        assert nexts[1] is None
        assert nexts[2] is False
        assert [one["jobId"] for one in changes[0]["jobs"]["QUEUED"]] == ["a"]
        assert changes[1:] == [{"timestamp": 1, "jobs": {}}]

    run(scenario, on_notify=changes.append, on_notify_next=nexts.append)


def test_rejections_are_raised_with_code_and_state():
    async def scenario(client, cloud):
        error = await raises_async(JobsError, client.update("none", "FAILED"))
        assert error.code == "ResourceNotFound"
        cloud.queue("a", {})
        error = await raises_async(JobsError, client.update("a", "IN_PROGRESS", expected_version=8))
        assert error.code == "VersionMismatch"
        assert error.state == {"status": "QUEUED", "versionNumber": 1}

    run(scenario)


def test_replies_are_matched_by_client_token():
    async def scenario(client, cloud):
        real = cloud._published

        def disturbed(topic, payload):
            for body in ({"clientToken": "someone else's"}, {}, {"clientToken": 5}):
                cloud.broker.send(topic + b"/accepted", ujson.dumps(body).encode())
            cloud.broker.send(topic + b"/rejected", b'{"clientToken": "old", "code": "InternalError"}')
            cloud.broker.send(PREFIX + b"start-next/accepted", b"{}")
            real(topic, payload)

        cloud.broker.on_publish = disturbed
        cloud.queue("a", {"n": 1})
        assert (await client.describe()).document == {"n": 1}

    run(scenario)


def test_a_rejection_without_token_is_accepted():
    async def scenario(client, cloud):
        cloud.broker.on_publish = lambda topic, payload: cloud.broker.send(
            topic + b"/rejected", b'{"code": "InvalidJson", "message": "no value"}')
        error = await raises_async(JobsError, client.get_pending())
        assert error.code == "InvalidJson"
        assert "no value" in str(error)

    run(scenario)


def test_no_reply_is_an_error_after_the_last_attempt():
    async def scenario(client, cloud):
        cloud.lose_requests = 10
        await raises_async(OSError, client.get_pending())
        assert len(cloud.requests) == client.attempts
        assert cloud.requests[0] == cloud.requests[-1]

    run(scenario, attempts=2)

    async def as_documented(client, cloud):
        assert client.attempts == 3
        await scenario(client, cloud)

    run(as_documented)


def test_an_update_whose_reply_was_lost_is_recognized_as_applied():
    async def scenario(client, cloud):
        execution = cloud.queue("a", {})
        cloud.lose_replies = 1
        reply = await client.update("a", "IN_PROGRESS", expected_version=1)
        assert reply["executionState"] == {"status": "IN_PROGRESS", "versionNumber": 2}
        assert execution["versionNumber"] == 2

    run(scenario)


def test_concurrent_requests_each_get_their_own_reply():
    async def scenario(client, cloud):
        cloud.queue("a", {})
        cloud.queue("b", {})
        found = await asyncio.gather(client.describe("a"), client.describe("b"), client.get_pending())
        assert (found[0].job_id, found[1].job_id) == ("a", "b")
        assert len(found[2][1]) == 2

    run(scenario)


def test_a_request_survives_a_reconnect():
    async def scenario(client, cloud):
        cloud.queue("a", {})
        real = cloud._published

        def cut(topic, payload):
            cloud.broker.on_publish = real
            cloud.broker.wires[-1].end()

        cloud.broker.on_publish = cut
        client.link.timeout = 3
        assert (await client.describe("a")).job_id == "a"
        assert len(cloud.broker.wires) == 2

    run(scenario)


def test_wrong_arguments_are_refused_before_anything_is_sent():
    async def scenario(client, cloud):
        wrong = [("stepTimeoutInMinutes", client.start_next(minutes)) for minutes in (0, -1, 10081, 1.5, "5", True)]
        wrong += [("stepTimeoutInMinutes", client.update("a", "FAILED", step_timeout=n)) for n in (0, -2, 10081, "5")]
        for job_id in ("", "a" * 65, "a:b", "a/b", "a b", "$next", None):
            wrong.append(("jobId", client.update(job_id, "FAILED")))
        wrong.append(("jobId", client.describe("a/b")))
        for status in ("QUEUED", "TIMED_OUT", "REMOVED", "CANCELED", "FAILURE", "succeeded", "", None):
            wrong.append(("status", client.update("a", status)))
        for number in (-1, 1 << 63, "1"):
            wrong.append(("expectedVersion", client.update("a", "FAILED", expected_version=number)))
            wrong.append(("executionNumber", client.update("a", "FAILED", execution_number=number)))
            wrong.append(("executionNumber", client.describe("a", execution_number=number)))
        for details in (
            {str(n): "x" for n in range(11)}, [], {"": "x"}, {"a b": "x"}, {"k" * 129: "x"}, {"k": ""},
            {"k": "v" * 1025}, {"k": "v" * 1024 + " "}, {"k": "a\n"}, {"k": "\n"}, {"k": "\x85a"},
            {"k": 5}, {"k": None}, {"k": "a\nb"}, {"k": "a\x7f"}, {"k": "\u200b"}, {"k": "\ue000"},
        ):
            wrong.append(("statusDetails", client.update("a", "FAILED", details)))
            wrong.append(("statusDetails", client.start_next(status_details=details)))
        for field, awaitable in wrong:
            assert field in str(await raises_async(ValueError, awaitable)), field
        assert cloud.requests == []

    run(scenario)


def test_the_least_and_the_longest_step_timeout_are_accepted():
    async def scenario(client, cloud):
        cloud.queue("a", {"operation": "x"})
        for minutes in (1, 10080):
            await client.start_next(minutes)
            await client.update("a", "IN_PROGRESS", step_timeout=minutes)
        assert [body["stepTimeoutInMinutes"] for _, body in cloud.requests] == [1, 1, 10080, 10080]

    run(scenario)


def test_all_nine_fields_of_an_update():
    async def scenario(client, cloud):
        await raises_async(JobsError, client.update(
            "fw-7", "FAILED", {"k" * 128: "v" * 1024, "a:b": "größer ✓ 😀"}, 4, 1 << 40, -1, True, True))
        suffix, body = cloud.requests[0]
        assert suffix == "fw-7/update"
        assert len(body.pop("clientToken")) <= 64
        assert body == {
            "status": "FAILED", "statusDetails": {"k" * 128: "v" * 1024, "a:b": "größer ✓ 😀"}, "expectedVersion": 4,
            "executionNumber": 1 << 40, "stepTimeoutInMinutes": -1, "includeJobExecutionState": True,
            "includeJobDocument": True,
        }
        for yes in (1, "yes"):
            await raises_async(JobsError, client.update("fw-7", "FAILED", include_state=yes, include_document=yes))
            body = cloud.requests.pop()[1]
            assert body["includeJobExecutionState"] is body["includeJobDocument"] is True
        await raises_async(JobsError, client.update("fw-7", "IN_PROGRESS"))
        assert sorted(cloud.requests[1][1]) == ["clientToken", "status"]
        await client.describe("$next", 3, False)
        assert cloud.requests[2][0] == "$next/get"
        assert sorted(cloud.requests[2][1]) == ["clientToken", "executionNumber", "includeJobDocument"]

    run(scenario)


def test_malformed_replies_are_value_errors():
    async def scenario(client, cloud):
        found = {"jobId": "a", "versionNumber": 1, "executionNumber": 1}
        for wrong in (
            5, [], {}, {"jobId": 5}, {"versionNumber": "1"}, {"status": 5}, {"statusDetails": []},
            {"approximateSecondsBeforeTimedOut": "soon"},
        ):
            inner = dict(found, **wrong) if wrong and isinstance(wrong, dict) else wrong
            cloud._answer = lambda suffix, body, inner=inner: {"execution": inner}
            await raises_async(ValueError, client.describe("a"))
        cloud._answer = lambda suffix, body: {"queuedJobs": {}}
        await raises_async(ValueError, client.get_pending())

    run(scenario)
