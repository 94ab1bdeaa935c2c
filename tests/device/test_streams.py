"""`receive()` with a stream service in memory: whole files, lost and duplicate blocks, broken links, rejections."""

import asyncio

import fast_time
import ujobs.link
from broker import Broker
from cbor_writer import encode
from replaced import Replaced
from streams_service import CONTENT, PREFIX, Service
from ujobs.link import Link
from ujobs.streams import BLOCK, decode, receive


def fetch(prepare=lambda service: None, start=0, content=CONTENT, shortages=0, timeout=0.2, receive_limit=16384):
    """Receive once; return what was written, the service, the offsets reported and the error, if any.

    shortages: number of blocks that find no memory at first.
    """
    without = [MemoryError()] * shortages
    written = bytearray(len(content))
    counts = {}
    offsets = []
    services = []

    def write(offset, block):
        if without:
            raise without.pop()
        written[offset : offset + len(block)] = block
        counts[offset] = counts.get(offset, 0) + 1
        services[0].written += 1

    async def main(clock):
        broker = Broker()
        link = Link(b"kiln-7", "host", timeout=timeout, receive_limit=receive_limit)
        service = Service(broker, content)
        services.append(service)
        prepare(service)
        error = None
        with Replaced(asyncio, open_connection=broker.open_connection):
            task = asyncio.create_task(link.run())
            try:
                await asyncio.wait_for(link.up.wait(), 5)
                await asyncio.wait_for(
                    receive(link, "kiln-7", "app-2", 3, len(content), write, offsets.append, start), 20
                )
            except Exception as found:
                error = found
            finally:
                task.cancel()
                await asyncio.sleep(0)
        assert not link.routes
        assert not link.filters
        return service, error

    service, error = fast_time.run(main)
    assert all(count == 1 for count in counts.values())
    return bytes(written), service, offsets, error


def complete(prepare=lambda service: None, content=CONTENT, **options):
    """Receive the whole file without an error; return the service and the offsets reported."""
    written, service, offsets, error = fetch(prepare, content=content, **options)
    assert error is None, error
    assert written == content
    return service, offsets


def test_a_file_arrives_with_a_short_last_block():
    service, offsets = complete()
    assert offsets == sorted(offsets)
    assert offsets[-1] == len(CONTENT)
    assert {request["f"] for request in service.requests} == {3}


def test_replies_are_subscribed_to_before_the_first_request():
    service, _ = complete(content=CONTENT[:BLOCK])
    packets = [(name, body) for name, body in service.broker.packets if name in ("subscribe", "publish")]
    assert [name for name, _ in packets] == ["subscribe", "subscribe", "publish"]
    assert [body[4:-1] for name, body in packets[:2]] == [PREFIX + b"data/cbor", PREFIX + b"rejected/cbor"]


def test_small_and_even_sizes():
    for size in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 4 * BLOCK):
        complete(content=CONTENT[:size])


def test_a_stream_resumes_from_a_block_in_the_middle():
    written, service, _, error = fetch(start=10 * BLOCK)
    assert error is None
    assert written == bytes(10 * BLOCK) + CONTENT[10 * BLOCK :]
    assert service.requests[0]["o"] == 10


def one_by_one(service, seconds=0.001):
    """Prepare a service to send its blocks one after the other."""
    send = service.broker.send
    waiting = []

    async def work():
        while waiting:
            await asyncio.sleep(seconds)
            send(*waiting.pop(0))

    def later(topic, payload):
        waiting.append((topic, payload))
        if len(waiting) == 1:
            asyncio.create_task(work())

    service.broker.send = later


def test_the_next_blocks_are_requested_before_the_last_have_arrived():
    service, _ = complete(one_by_one)
    wanted = [request["n"] for request in service.requests]
    assert wanted[0] == 8
    assert sum(wanted) == 41
    assert any(under_way > n for under_way, n in zip(service.under_way, wanted))
    # AWS sends at most 128 KB per request; here that is the limit for all requests together.
    assert 8 < max(service.under_way) <= 131072 // BLOCK
    # Twice as many each time: a slow link is not flooded.
    assert service.under_way[:2] == [8, 16]


def test_blocks_that_are_under_way_on_a_slow_link_are_not_requested_again():
    # One block takes three quarters of the timeout, and half of eight blocks three timeouts.
    service, _ = complete(lambda service: one_by_one(service, 0.15), content=CONTENT[: 20 * BLOCK])
    assert [(request["o"], request["n"]) for request in service.requests] == [(0, 8), (8, 12)]


def test_the_last_blocks_wake_the_waiting_task_once():
    # All of them have been requested together, and there is nothing to do until the last has come.
    offsets = complete(one_by_one, content=CONTENT[: 8 * BLOCK])[1]
    assert offsets == [0, 8 * BLOCK]


def test_blocks_that_have_arrived_are_not_waited_for():
    # If the waiting task were not woken, this would take minutes.
    complete(timeout=600)


def test_only_lost_blocks_are_requested_again():
    def prepare(service):
        service.lose = 3

    service, _ = complete(prepare)
    assert (0, b"\x07\0\0\0", 3) in [(request["o"], request["b"], request["n"]) for request in service.requests]
    assert sum([request["n"] for request in service.requests]) == 41 + 3


def test_blocks_that_are_lost_far_apart_are_requested_again():
    # A request has bits for 32 blocks.
    lost = [0, 35]

    def prepare(service):
        send = service.broker.send

        def lossy(topic, payload):
            index = decode(memoryview(payload))["i"]
            if index in lost:
                lost.remove(index)
            else:
                send(topic, payload)

        service.broker.send = lossy

    complete(prepare)
    assert not lost


def test_a_block_without_memory_is_requested_again():
    service, _ = complete(shortages=2)
    assert (0, b"\x03\0\0\0", 2) in [(request["o"], request["b"], request["n"]) for request in service.requests]
    assert isinstance(fetch(shortages=1000)[3], OSError)


def test_a_block_whose_message_has_no_memory_is_requested_again():
    missing = [BLOCK] * 3

    def scarce(*arguments):
        if arguments and isinstance(arguments[0], int) and arguments[0] > BLOCK and missing:
            missing.pop()
            raise MemoryError
        return bytearray(*arguments)

    with Replaced(ujobs.link, bytearray=scarce):
        complete()
    assert not missing


def test_a_receive_limit_below_a_block_is_named_before_anything_is_requested():
    written, service, _, error = fetch(receive_limit=4096)
    assert isinstance(error, ValueError) and "receive_limit" in str(error), error
    assert not service.requests
    complete(receive_limit=1024, content=CONTENT[:500])
    least = int(str(error).split(" ")[-2])
    complete(receive_limit=least, content=CONTENT)


def test_duplicate_blocks_in_any_order_are_accepted():
    def prepare(service):
        service.copies = 2
        service.backwards = True

    complete(prepare)


def test_blocks_and_rejections_of_other_requests_and_files_are_ignored():
    def prepare(service):
        real, answer = service.block, service.published

        def block(request, index):
            send = service.broker.send
            for change in ({"c": "other"}, {"f": 4}, {"i": index + 1000}, {"i": "1"}):
                fields = {"c": request["c"], "f": 3, "i": index, "p": b""}
                fields.update(change)
                send(PREFIX + b"data/cbor", encode(fields))
            return real(request, index)

        def published(topic, payload):
            service.broker.send(PREFIX + b"rejected/cbor", encode({"o": "InvalidRequest", "c": "other"}))
            answer(topic, payload)

        service.block = block
        service.broker.on_publish = published

    complete(prepare, content=CONTENT[: 3 * BLOCK])


def test_a_late_duplicate_of_a_block_is_ignored():
    def prepare(service):
        real = service.block

        def block(request, index):
            if index > 20:
                service.broker.send(PREFIX + b"data/cbor", real(request, 0))
            return real(request, index)

        service.block = block

    complete(prepare)


def test_a_link_that_loses_all_blocks_of_a_request_gets_smaller_ones():
    def prepare(service):
        one_by_one(service)
        service.lose = 8

    service, _ = complete(prepare)
    # Half of eight blocks, doubled once they have arrived, four of them under way still.
    assert [request["n"] for request in service.requests[:3]] == [8, 8, 4]


def test_a_stream_that_sends_nothing_times_out():
    def prepare(service):
        service.lose = 1000

    _, service, _, error = fetch(prepare)
    assert isinstance(error, OSError)
    assert len(service.requests) == 3


def test_a_stream_waits_for_a_broken_link():
    def prepare(service):
        real = service.block

        def block(request, index):
            if service.sent == 10:
                service.broker.wires[-1].end()
            return real(request, index)

        service.block = block

    service, _ = complete(prepare)
    assert len(service.broker.wires) == 2


def test_a_rejection_is_an_error_with_its_reason():
    for code, kind in (("ResourceNotFound", ValueError), ("InternalError", OSError)):
        for names in (("o", "m"), ("code", "message")):

            def prepare(service, code=code, names=names):
                service.answer = lambda request: {names[0]: code, names[1]: "no such stream", "c": request["c"]}

            _, _, _, error = fetch(prepare)
            assert isinstance(error, kind), error
            assert code in str(error) and "no such stream" in str(error), error


def test_blocks_of_the_wrong_size_or_kind_are_refused():
    for change in ({"p": b"abc"}, {"p": 5}, {"p": "x" * BLOCK}, None):

        def prepare(service, change=change):
            real = service.block

            def block(request, index):
                fields = dict(decode(memoryview(real(request, index))))
                fields.update(change or {})
                return encode(fields) if change else b"[]"

            service.block = block

        written, _, _, error = fetch(prepare, content=CONTENT[:BLOCK])
        assert isinstance(error, ValueError), change
        assert written == bytes(BLOCK)
