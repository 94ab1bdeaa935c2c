"""What an application gives a running job never makes its updates be refused, and never blocks the queue."""

from agent_handlers import all_done, finish, handlers
from broker import raises, until
from cloud import DIRECTORY, Cloud, remove, run
from ujobs.agent import Reject

LONG = {"log": "x" * 1000, "more": "y" * 1000}


class Unprintable:
    def __str__(self):
        raise TypeError("no text")

    __repr__ = __str__


def test_a_pair_that_the_service_would_refuse_is_refused_at_the_call():
    async def report(job):
        for key, value, word in (
            ("no such key", "x", "'no such key' must be 1 to 128 characters"), ("", "x", "1 to 128 characters"),
            ("k" * 129, "x", "1 to 128 characters"), (5, "x", "key '5'"), ("list", [3], "text"),
            ("bytes", b"x", "text"),
        ):
            assert word in str(raises(ValueError, job.noted, key, value)), key
        raises(TypeError, job.note, 1, Unprintable())
        for number in range(8):
            job.noted("key%d" % number, number)
        await job.progress(1, 2, "half")
        assert "at most 10 pairs" in str(raises(ValueError, job.noted, "eleventh", "x"))
        assert "at most 10 pairs" in str(raises(ValueError, job.noted, "twelfth", 5))
        job.noted("key7", True)
        job.noted()["no such key"] = "x"
        await job.check_in()
        raise OSError("sensor gone")

    cloud = finish({"operation": "report"}, {"operation": "quick"}, report=report)
    details = {"key%d" % number: str(number) for number in range(7)}
    details.update({"key7": "true", "progress": "1/2", "message": "half"})
    assert [body["statusDetails"] for body in cloud.renewals()] == [details]
    # Ten pairs are full: the reason matters most.
    assert cloud.executions[0]["statusDetails"] == {"reason": "OSError: sensor gone"}
    assert cloud.statuses() == ["FAILED", "SUCCEEDED"]


def test_progress_beside_ten_pairs_fails_its_own_job_only():
    async def full(job):
        for number in range(10):
            job.noted("key%d" % number, "x")
        await job.progress(1, 2)

    cloud = finish({"operation": "full"}, {"operation": "quick"}, full=full)
    assert cloud.statuses() == ["FAILED", "SUCCEEDED"]
    assert cloud.reasons()[0] == "ValueError: statusDetails must have at most 10 pairs: progress"


def test_any_text_of_an_application_becomes_a_reason_that_the_service_accepts():
    odd = ("", "\0\n", "x" * 5000, "\ud83d", "\ufffe", "größer ✓")

    def reject(job):
        raise Reject(odd[job.document["n"]])

    def fail(job):
        job.note(odd[job.document["n"]] or "-", b"\xff", odd[job.document["n"]])
        raise OSError(odd[job.document["n"]])

    documents = [{"operation": operation, "n": n} for operation in ("reject", "fail") for n in range(len(odd))]
    cloud = finish(*documents, reject=reject, fail=fail)
    assert cloud.statuses() == ["REJECTED"] * len(odd) + ["FAILED"] * len(odd)
    assert all(cloud.reasons())


def test_a_checkpoint_that_json_cannot_hold_is_refused_at_the_call():
    def save(job):
        job.save({"step": 1})
        # CPython's json tells it by TypeError.
        raises((TypeError, ValueError), job.save, object())
        return job.checkpoint

    assert finish({"operation": "save"}, save=save).executions[0]["statusDetails"] == {"step": "1"}


async def _begin(agent, cloud):
    await until(lambda: agent.seen)


def _after_a_reset(details, forget):
    # The handler has reported details that make the service's reply too large; then the board is reset.
    cloud = Cloud()
    remove(DIRECTORY)
    execution = cloud.queue("a", {"operation": "for-ever"})
    run(_begin, handlers, cloud, keep=True)
    execution["statusDetails"] = details
    cloud.queue("b", {"operation": "quick"})
    if forget:
        remove(DIRECTORY)
    run(all_done, handlers, cloud, keep=True, receive_limit=2000)
    remove(DIRECTORY)
    return cloud


def test_an_execution_whose_status_details_are_too_large_to_receive_does_not_block_the_queue():
    # REJECTED by a board that does not know of it.
    for forget, status in ((False, "FAILED"), (True, "REJECTED")):
        cloud = _after_a_reset(LONG, forget)
        assert cloud.statuses() == [status, "SUCCEEDED"], forget
        assert "receive_limit" in cloud.reasons()[0]
