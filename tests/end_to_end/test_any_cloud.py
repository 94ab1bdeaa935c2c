"""What a board does with its jobs, the same in every cloud: `ujobs serve` and MiniStack must agree."""

from board_at_work import BoardAtWork


def test_quick_job(anywhere: BoardAtWork) -> None:
    execution = anywhere.wait_for(anywhere.give("quick", say="hello"))
    assert execution["status"] == "SUCCEEDED"
    assert execution["details"]["said"] == "hello"
    assert execution["versionNumber"] == 3  # queued, in progress, succeeded


def test_failing_job(anywhere: BoardAtWork) -> None:
    execution = anywhere.wait_for(anywhere.give("broken"))
    assert execution["status"] == "FAILED"
    assert execution["details"] == {"reason": "OSError: no sensor answers on the bus"}


def test_rejected_job(anywhere: BoardAtWork) -> None:
    execution = anywhere.wait_for(anywhere.give("refuse"))
    assert execution["status"] == "REJECTED"
    assert execution["details"] == {"reason": "not on a Sunday"}


def test_unknown_operation(anywhere: BoardAtWork) -> None:
    execution = anywhere.wait_for(anywhere.give("dance"))
    assert execution["status"] == "REJECTED"
    assert "dance" in execution["details"]["reason"]


def test_progress_is_seen_while_it_runs(anywhere: BoardAtWork) -> None:
    job_id = anywhere.give("long", seconds=1.5)
    anywhere.wait_for_progress(job_id, 5)
    execution = anywhere.wait_for(job_id)
    assert execution["status"] == "SUCCEEDED"
    assert execution["details"]["steps"] == "15"
    assert execution["versionNumber"] > 4  # keep-alives


def test_queued_jobs_run_one_after_the_other_in_order(anywhere: BoardAtWork) -> None:
    first = anywhere.give("long", seconds=1)
    anywhere.wait_for(first, "IN_PROGRESS")
    queued = [anywhere.give("quick", say=text) for text in ("a", "b", "c")]
    assert {anywhere.execution(job_id)["status"] for job_id in queued} == {"QUEUED"}
    executions = [anywhere.wait_for(job_id) for job_id in (first, *queued)]
    assert {execution["status"] for execution in executions} == {"SUCCEEDED"}
    details = [execution["details"] for execution in executions[1:]]
    assert [found["said"] for found in details] == ["a", "b", "c"]
    turns = [int(found["turn"]) for found in details]
    assert turns == list(range(turns[0], turns[0] + 3))
