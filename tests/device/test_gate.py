"""`agent.gate` holds jobs back: held jobs stay QUEUED, other jobs run, and updates ask again before a restart."""

import sys

import ujobs.agent
import ujobs.gate
import ujobs.trial as trial
from agent_handlers import handlers
from broker import until
from cloud import PREFIX, Cloud, idle, run
from replaced import Replaced
from restarts import with_board
from test_update_failures import OLD, Update
from ujobs.agent import Reject


def gated(gate, jobs, scenario, cloud=None):
    """Run scenario(agent, cloud) with this gate and these documents in the queue."""
    cloud = cloud or Cloud()
    for number, document in enumerate(jobs):
        cloud.queue("job-%d" % number, document, queued_at=1000 + number)

    def setup(agent):
        handlers(agent)
        agent.gate = gate

    return run(scenario, setup, cloud)


def test_an_accepted_job_is_described_and_started():
    for answer in (None, True):
        asked = []

        def gate(job, asked=asked, answer=answer):
            asked.append((job.document, job.job_id, job.queued_at, job.restarting))
            return answer

        async def scenario(agent, cloud):
            await until(cloud.done)
            await until(lambda: idle(agent))

        cloud = gated(gate, [{"operation": "quick", "n": 1}], scenario)
        assert cloud.statuses() == ["SUCCEEDED"]
        assert asked == [({"operation": "quick", "n": 1}, "job-0", 1000, False)]
        names = [name for name, _ in cloud.requests]
        assert names[:3] == ["$next/get", "job-0/update", "job-0/update"]
        assert "start-next" not in names
        assert cloud.requests[1][1]["stepTimeoutInMinutes"] == 10
        assert [body["expectedVersion"] for body in cloud.updates()] == [1, 2]


def test_a_held_job_stays_queued_and_is_asked_about_again():
    answers = [0.05, 0.05, None]

    async def gate(job):
        return answers.pop(0)

    async def scenario(agent, cloud):
        await until(lambda: len(answers) == 2)
        assert cloud.statuses() == ["QUEUED"]
        assert cloud.updates() == []
        await until(cloud.done)

    with Replaced(ujobs.gate, _SHORTEST=0.01):
        assert gated(gate, [{"operation": "quick"}], scenario).statuses() == ["SUCCEEDED"]


def test_an_urgent_job_behind_a_held_one_is_run():
    def gate(job):
        return None if job.document.get("urgent") else 3000

    async def scenario(agent, cloud):
        await until(lambda: cloud.executions[1]["status"] == "SUCCEEDED")
        # A job that arrives while the agent waits runs after its notification.
        await until(lambda: agent._patience == 3000)
        # Some brokers send replies to subscribers only.
        assert PREFIX + b"get/+" in cloud.broker.filters and PREFIX + b"notify" in cloud.broker.filters
        cloud.queue("late", {"operation": "quick", "urgent": True}, queued_at=2000)
        await until(lambda: cloud.executions[2]["status"] == "SUCCEEDED")

    jobs = [{"operation": "quick"}, {"operation": "quick", "urgent": True}]
    assert gated(gate, jobs, scenario).statuses() == ["QUEUED", "SUCCEEDED", "SUCCEEDED"]


def test_the_gate_can_reject_a_job():
    def gate(job):
        if "n" not in job.document:
            raise Reject("not on\nthis board")

    async def scenario(agent, cloud):
        await until(cloud.done)

    cloud = gated(gate, [{"operation": "quick"}, {"operation": "quick", "n": 1}], scenario)
    assert cloud.statuses() == ["REJECTED", "SUCCEEDED"]
    assert cloud.executions[0]["statusDetails"] == {"reason": "not on this board"}


def holding(asked):
    """A gate that holds every job for 3,000 s, and appends the job id of each call to `asked`."""

    def gate(job):
        asked.append(job.job_id)
        return 3000

    return gate


def test_a_gate_that_returns_false_is_asked_again_after_a_minute():
    for answer in (False, 0):
        asked = []

        def gate(job, asked=asked, answer=answer):
            asked.append(job.job_id)
            return answer if len(asked) < 4 else None

        async def scenario(agent, cloud):
            await until(cloud.done, 600)
            assert 180 <= cloud.clock.seconds() < 240

        gated(gate, [{"operation": "quick"}], scenario)


def test_a_document_that_is_no_object_is_rejected_without_the_gate():
    async def scenario(agent, cloud):
        await until(cloud.done)

    cloud = gated(lambda job: job.document.get("later"), [[1], "x", 5, None, {"operation": "quick"}], scenario)
    assert cloud.statuses() == ["REJECTED"] * 4 + ["SUCCEEDED"]


def test_a_held_job_that_is_cancelled_is_forgotten():
    asked = []

    async def scenario(agent, cloud):
        await until(lambda: agent._patience == 3000)
        cloud.end(cloud.executions[0])
        await until(lambda: idle(agent) and agent._patience == 3600)
        assert asked == ["job-0"]

    assert gated(holding(asked), [{"operation": "quick"}], scenario).statuses() == ["CANCELED"]


def test_a_late_empty_list_does_not_postpone_a_held_job():
    asked = []

    async def scenario(agent, cloud):
        await until(lambda: agent._patience == 3000)
        cloud.broker.send(b"$aws/things/thing/jobs/notify", b'{"timestamp":1,"jobs":{}}', 1)
        await until(lambda: len(asked) == 2 and agent._patience == 3000)

    assert gated(holding(asked), [{"operation": "quick"}], scenario).statuses() == ["QUEUED"]


def test_a_policy_without_the_topics_of_the_queue_does_not_end_the_agent():
    cloud = Cloud()

    async def scenario(agent, cloud):
        await until(lambda: cloud.broker.filters)
        cloud.broker.suback = 0x80
        cloud.queue("held", {"operation": "quick"})
        await until(lambda: cloud.broker.count("subscribe") > 3)
        agent.gate = lambda job: None
        await until(cloud.done)

    with Replaced(ujobs.agent, _RETRY=0.01):
        assert gated(lambda job: 3000, [], scenario, cloud).statuses() == ["SUCCEEDED"]


def test_a_gate_that_fails_holds_and_does_not_end_the_agent():
    for answer in (lambda job: 1 // 0, lambda job: "later", lambda job: job.nothing):
        async def scenario(agent, cloud):
            await until(lambda: agent._patience == 60)
            agent.gate = lambda job: True
            agent._patience = 0
            agent._wake.set()
            await until(cloud.done)

        assert gated(answer, [{"operation": "quick"}], scenario).statuses() == ["SUCCEEDED"]


def test_the_hold_survives_a_reset_and_a_started_job_is_not_asked_about_again():
    cloud = Cloud()
    asked = []

    def gate(job):
        asked.append(job.job_id)
        return 3000 if len(asked) < 3 else None

    async def held(agent, cloud):
        await until(lambda: agent._patience == 3000)

    for _ in range(2):
        gated(gate, [] if cloud.executions else [{"operation": "for-ever"}], held, cloud)
        assert cloud.statuses() == ["QUEUED"]

    async def started(agent, cloud):
        await until(lambda: agent.seen == [1])

    gated(gate, [], started, cloud)
    assert cloud.statuses() == ["IN_PROGRESS"]
    assert len(asked) == 3

    async def handed_out(agent, cloud):
        await until(lambda: agent.seen)

    # A board without journal learns of it from the service.
    gated(gate, [], handed_out, cloud)
    assert len(asked) == 3


def test_lost_replies_cost_only_time():
    async def scenario(agent, cloud):
        await until(cloud.done, 20)

    for lost in (1, 2):
        cloud = Cloud()
        cloud.lose_replies = lost
        assert gated(lambda job: None, [{"operation": "quick"}], scenario, cloud).statuses() == ["SUCCEEDED"]


def test_an_update_asks_again_before_it_restarts_the_board():
    update = Update("app")
    for answers, status in (([0.01, 0.01, None], "SUCCEEDED"), ([Reject("not now")], "REJECTED")):
        def gate(job, answers=answers):
            if not job.restarting:
                return None
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        def scenario(board, answers=answers, status=status):
            assert board.finish() == status, board.reason()
            assert answers == []
            assert (board.resets, trial.boot()) == ((1, "/app-b") if status == "SUCCEEDED" else (0, "/app"))

        def setup(agent, gate=gate):
            agent.use("app")
            agent.gate = gate

        with Replaced(ujobs.gate, _SHORTEST=0.01):
            with_board(scenario, update.document, setup, update.answer, {"/app/app.py": OLD})


def test_a_job_that_waits_for_the_gate_says_so_in_its_status_details():
    answers = [30, 30, None]

    async def restarts(job):
        await ujobs.gate.ready(job)

    def setup(agent):
        agent.on("restarts", step_timeout=1)(restarts)
        agent.gate = lambda job: answers.pop(0) if job.restarting else None

    async def scenario(agent, cloud):
        await until(cloud.done, 100)

    cloud = Cloud()
    cloud.queue("a", {"operation": "restarts"})
    run(scenario, setup, cloud)
    assert answers == []
    messages = [body.get("statusDetails", {}).get("message") for body in cloud.renewals()]
    assert "waits for the gate" in messages, messages


def test_lists_that_cannot_be_read_do_not_end_the_agent():
    def gate(job):
        return None if job.document.get("urgent") else 0.01

    for wrong in ({}, {"queuedJobs": {}}, {"queuedJobs": [5]}, {"queuedJobs": [{"jobId": "a/b"}]}):
        cloud = Cloud()
        answer, given = cloud._answer, [wrong]

        def reply(suffix, body, answer=answer, given=given):
            return given.pop() if suffix == "get" and given else answer(suffix, body)

        async def scenario(agent, cloud, given=given):
            await until(lambda: cloud.executions[1]["status"] == "SUCCEEDED")
            assert not given

        cloud._answer = reply
        with Replaced(ujobs.agent, _RETRY=0.01), Replaced(ujobs.gate, _SHORTEST=0.01):
            gated(gate, [{"operation": "quick"}, {"operation": "quick", "urgent": True}], scenario, cloud)


def test_without_a_gate_nothing_of_it_is_imported():
    async def scenario(agent, cloud):
        await until(cloud.done)
        assert "ujobs.gate" not in sys.modules

    kept = sys.modules.pop("ujobs.gate")
    try:
        cloud = gated(None, [{"operation": "quick"}], scenario)
        assert [name for name, _ in cloud.requests][0] == "start-next"
    finally:
        sys.modules["ujobs.gate"] = kept
