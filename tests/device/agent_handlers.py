"""Handlers for the agent's tests, which record their calls in agent.seen."""

import asyncio

import ujobs.job
from broker import until
from cloud import DIRECTORY, Cloud, remove, run
from ujobs.agent import Reject


def handlers(agent, seen=None):
    """Register the handlers, which record their calls in agent.seen. seen: the list to use for that."""
    agent.seen = [] if seen is None else seen

    @agent.on("quick")
    async def quick(job):
        agent.seen.append(job.job_id)
        return {"answer": str(job.document.get("n"))}

    @agent.on("nothing")
    def nothing(job):
        agent.seen.append(job.job_id)

    @agent.on("fail")
    async def fail(job):
        raise OSError("sensor\nis\tgone")

    @agent.on("reject")
    def reject(job):
        raise Reject("at most 100")

    @agent.on("long")
    async def long(job):
        agent.seen.append(job.job_id)
        for done in range(job.document["n"]):
            await job.progress(done, job.document["n"])
            await asyncio.sleep(0.05)

    @agent.on("plain")
    def plain(job):
        for done in range(job.document["n"]):
            job.tick(done, job.document["n"])
            ujobs.job.time.sleep_ms(50)

    @agent.on("for-ever", on_restart="rerun")
    async def forever(job):
        agent.seen.append(job.attempt)
        while True:
            await job.progress()
            await asyncio.sleep(0.02)

    @agent.on("once", on_restart="fail")
    async def once(job):
        agent.seen.append(job.attempt)
        await asyncio.sleep(60)

    @agent.on("steps", on_restart="resume", max_attempts=5)
    async def steps(job):
        agent.seen.append(job.checkpoint)
        if job.attempt < 3:
            job.save({"step": job.attempt})
            await asyncio.sleep(60)
        return {"attempts": str(job.attempt)}


async def all_done(agent, cloud):
    await until(cloud.done)
    await until(lambda: agent.journal.acknowledged)


def finish(*documents, setup=handlers, receive_limit=16384, **functions):
    """Queue jobs with these documents, run an agent until all have ended, and return the cloud. functions: more
    handlers, by operation."""
    cloud = Cloud()
    for number, document in enumerate(documents):
        cloud.queue("job-%d" % number, document)

    def register(agent):
        setup(agent)
        for operation, function in functions.items():
            agent.on(operation)(function)

    return run(all_done, register, cloud, receive_limit=receive_limit)


def reset_while_running(document, resets, setup, calls):
    """Reset the board `resets` times, each time after its handler has added to `calls`, then let the job finish. Return
    its execution."""
    cloud = Cloud()
    remove(DIRECTORY)
    cloud.queue("a", document)

    async def interrupted(agent, cloud):
        before = len(calls)
        await until(lambda: len(calls) > before)

    for _ in range(resets):
        run(interrupted, setup, cloud, keep=True)
    run(all_done, setup, cloud, keep=True)
    remove(DIRECTORY)
    return cloud.executions[0]


def hold_replies(send, held):
    """Return what replaces broker.send: accepting replies go to the list `held`."""

    def hold(topic, payload, qos=0):
        if topic.endswith(b"/accepted"):
            held.append((topic, payload, qos))
        else:
            send(topic, payload, qos)

    return hold
