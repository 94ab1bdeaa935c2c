"""The application on the board under test (MicroPython): a subscription, a publication, and a job's work."""

import asyncio

TOPIC = b"advisor/trigger"


def setup(agent):
    """Register the handler and the callback for the cases; main.py calls this once."""
    link = agent.link
    link.filters.append((TOPIC, 1))
    link.set_callback(lambda topic, payload: print(f"app: {len(payload)} bytes on {topic.decode()}"))
    agent.on("advisor")(advisor)
    agent.publishing = asyncio.create_task(publish(link))


async def publish(link):
    """Publish a message at QoS 0 and one at QoS 1."""
    await link.up.wait()
    await link.publish("advisor/hello", "0")
    await link.publish("advisor/hello", "1", qos=1)


async def advisor(job):
    """The handler of the cases' jobs."""
    return {"answer": str(job.document["question"])}
