"""A Jobs service that lies at random for a while: wrong types, broken JSON, lost, doubled and misdirected messages. The
agent survives, and works through its queue once the service says the truth. On both interpreters, whose JSON differs.
"""

import asyncio
import random

import ujson
from agent_handlers import handlers
from cloud import PREFIX, Cloud, run

# Values in JSON that replace those of a field.
LIES = [
    "1e400", "1.0", "-1", "true", "null", '""', '"x"', "[{}]", "{}", '[{"jobId": "job-1"}]', "[" * 3000 + "]" * 3000,
    '{"a":' * 1500 + "0" + "}" * 1500, '"%s"' % ("x" * 3000), '"\\ud83d\\ude00\\u0000\\n"', "4294967296",
    "9223372036854775808", '"TIMED_OUT"', '"QUEUED"', '"job-1"',
]
FIELDS = [
    "clientToken", "execution", "executionState", "code", "message", "queuedJobs", "inProgressJobs", "jobId",
    "executionNumber", "versionNumber", "queuedAt", "status", "statusDetails", "jobDocument",
    "approximateSecondsBeforeTimedOut", "operation",
]
TOPICS = [
    b"get/accepted", b"notify-next", b"notify", b"start-next/accepted", b"job-0/update/accepted",
    b"job-0/update/rejected", b"$next/get/accepted", b"//", b"/accepted",
]
LYING = 40  # seconds


def one_in(number):
    return random.getrandbits(16) % number == 0


def one_of(options):
    return options[random.getrandbits(16) % len(options)]


class Liar(Cloud):
    """lies: how many of all messages are true for each that is not; 0: all are true."""

    lies = 0

    def __init__(self):
        super().__init__()
        self._publish = self.say

    def _answer(self, suffix, body):
        if self.lies and suffix.endswith("/update") and one_in(2):
            body = dict(body, expectedVersion=99)  # to be refused
        return super()._answer(suffix, body)

    def _reply(self, topic, payload):
        self.say(topic, payload, 0)

    def say(self, topic, payload, qos):
        if self.lies and one_in(self.lies):
            payload = self.falsified(payload)
            if one_in(8):
                topic = PREFIX + one_of(TOPICS)
            if one_in(8):
                self.broker.send(topic, payload, qos)
            if one_in(8):
                return
        self.broker.send(topic, payload, qos)

    def falsified(self, payload):
        if one_in(8):
            return payload[: random.getrandbits(12) % (len(payload) + 1)]
        fields = ujson.loads(payload)
        for _ in range(2):
            inner = one_of([value for value in fields.values() if isinstance(value, dict) and value] + [fields])
            inner[one_of(FIELDS) if one_in(4) else one_of(list(inner))] = "a lie"
        parts = ujson.dumps(fields).split('"a lie"')
        return "".join([part + one_of(LIES) for part in parts[:-1]] + parts[-1:]).encode()


def lied_to(seed):
    random.seed(seed)
    cloud = Liar()
    cloud.lies = 1 + seed % 4

    def setup(agent):
        handlers(agent)
        if seed % 3 == 0:
            agent.gate = lambda job: 5 if one_in(4) else None

    async def scenario(agent, cloud):
        await agent.link.up.wait()
        for number in range(4):
            cloud.queue("job-%d" % number, {"operation": one_of(["quick", "nothing", "long"]), "n": 3})
            await asyncio.sleep(LYING / 4)
        cloud.lies = 0
        # A lie that nothing is pending is believed for an hour.
        for _ in range(1000):
            if cloud.done() and agent.journal.acknowledged:
                del cloud.wrong[:]  # reports of jobs that it was told of
                return
            assert not cloud.task.done(), "the agent has ended"
            await asyncio.sleep(10)
        raise AssertionError(cloud.executions)

    run(scenario, setup, cloud, update_interval=1)


def test_an_agent_survives_a_service_that_lies():
    for seed in range(40):
        try:
            lied_to(seed)
        except BaseException:
            print("seed", seed)
            raise
        finally:
            random.seed()
