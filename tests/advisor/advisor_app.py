"""The application on the board under test (MicroPython): a subscription, a publication, and a job's work."""

import asyncio

TOPIC = b"advisor/trigger"


def setup(agent):
    """Register what the cases need; main.py calls this once."""
    link = agent.link
    link.filters.append((TOPIC, 1))
    link.set_callback(lambda topic, payload: print(f"app: {len(payload)} bytes on {topic.decode()}"))
    agent.on("advisor")(advisor)
    agent.publishing = asyncio.create_task(publish(link))


async def publish(link):
    """Say hello once, at QoS 0 and QoS 1."""
    await link.up.wait()
    await link.publish("advisor/hello", "0")
    await link.publish("advisor/hello", "1", qos=1)


async def advisor(job):
    """What a job asks for."""
    return {"answer": str(job.document["question"])}
