"""`JobsClient` alone, for programs that drive jobs themselves."""

import asyncio

import ujson
from broker import until
from cloud import PREFIX, Cloud
from ujobs.client import JobsClient
from ujobs.link import Link
from ujobs.protocol import JobsError


def run(scenario, attempts=3):
    """Run scenario(client, cloud) with a client that is connected."""

    async def main():
        cloud = Cloud()
        asyncio.open_connection, real = cloud.broker.open_connection, asyncio.open_connection
        link = Link(b"thing", "host", timeout=0.2)
        client = JobsClient(link, "thing", attempts)
        task = asyncio.create_task(link.run())
        await link.up.wait()
        try:
            await scenario(client, cloud)
        finally:
            task.cancel()
            asyncio.open_connection = real
            await asyncio.sleep(0)

    asyncio.run(main())


async def fails(kind, awaitable):
    try:
        await awaitable
    except kind as error:
        return error
    raise AssertionError("no exception")


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


def test_one_subscription_covers_replies_and_notifications():
    async def scenario(client, cloud):
        filters = [body[4:-1] for name, body in cloud.broker.packets if name == "subscribe"]
        assert filters == [PREFIX + b"#"]

    run(scenario)


def test_the_longest_thing_name_can_be_subscribed():
    async def main():
        cloud = Cloud()
        asyncio.open_connection, real = cloud.broker.open_connection, asyncio.open_connection
        link = Link(b"t" * 128, "host", timeout=0.2)
        JobsClient(link, "t" * 128)
        await link.connect()
        link._close()
        asyncio.open_connection = real
        name, body = cloud.broker.packets[-1]
        assert name == "subscribe"
        assert body[4:-1] == b"$aws/things/" + b"t" * 128 + b"/jobs/#"

    asyncio.run(main())


def test_notifications_reach_their_callbacks():
    async def scenario(client, cloud):
        nexts, changes = [], []
        client.on_notify_next = nexts.append
        client.on_notify = changes.append
        cloud.queue("a", {"operation": "x"})
        cloud.broker.send(PREFIX + b"notify", b'{"timestamp": 1, "jobs": {}}')
        cloud.broker.send(PREFIX + b"notify-next", b'{"timestamp": 1}')
        cloud.broker.send(PREFIX + b"notify-next", b"{")
        await until(lambda: len(nexts) == 3)
        assert nexts[0].job_id == "a"
        assert nexts[1] is None
        assert nexts[2] is False
        assert changes == [{"timestamp": 1, "jobs": {}}]

    run(scenario)


def test_rejections_are_raised_with_code_and_state():
    async def scenario(client, cloud):
        error = await fails(JobsError, client.update("none", "FAILED"))
        assert error.code == "ResourceNotFound"
        cloud.queue("a", {})
        error = await fails(JobsError, client.update("a", "IN_PROGRESS", expected_version=8))
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


def test_a_rejection_without_token_still_counts():
    async def scenario(client, cloud):
        cloud.broker.on_publish = lambda topic, payload: cloud.broker.send(
            topic + b"/rejected", b'{"code": "InvalidJson", "message": "no"}')
        error = await fails(JobsError, client.get_pending())
        assert error.code == "InvalidJson"

    run(scenario)


def test_silence_is_an_error_after_the_last_attempt():
    async def scenario(client, cloud):
        cloud.lose_requests = 10
        await fails(OSError, client.get_pending())
        assert len(cloud.requests) == 2
        assert cloud.requests[0] == cloud.requests[1]

    run(scenario, attempts=2)


def test_an_update_whose_reply_was_lost_is_known_as_applied():
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
        assert "stepTimeoutInMinutes" in str(await fails(ValueError, client.start_next(0)))
        assert "jobId" in str(await fails(ValueError, client.update("a b", "FAILED")))
        assert "status" in str(await fails(ValueError, client.update("a", "QUEUED")))
        assert cloud.requests == []

    run(scenario)
