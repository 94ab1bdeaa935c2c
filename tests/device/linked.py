"""A link to a broker in memory."""

import asyncio

import fast_time
from broker import Broker
from replaced import Replaced
from ujobs.link import Link


def connected(scenario, before=None, broker=None, **options):
    """Run scenario(link, broker) with a new link, in fast time. before(link, broker): called first. options: of Link.

    link.got: (topic, payload) of the messages so far.
    """
    broker = broker or Broker()

    async def main(clock):
        options.setdefault("timeout", 0.3)
        link = Link(b"thing", "host", **options)
        got = link.got = []
        link.set_callback(lambda topic, payload: got.append((topic, bytes(payload))))
        if before:
            before(link, broker)
        with Replaced(asyncio, open_connection=broker.open_connection):
            task = asyncio.create_task(link.run())
            try:
                await scenario(link, broker)
            finally:
                task.cancel()
                await asyncio.sleep(0)

    fast_time.run(main)
