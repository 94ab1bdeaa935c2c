"""A small sample of the link faults of `make faults`, and its checker detects broken promises."""

from ujobs_lab.faults import both, link, real_link, sessions

SEED = 20
SAMPLE = 10  # sessions of each kind


def test_a_sample_of_link_faults_breaks_no_promise() -> None:
    plans = link.plan(SAMPLE, SEED)
    assert len(plans) == 18
    outcomes = sessions.run([faults for plan in plans.values() for faults in plan])
    failed = [outcome for outcome in outcomes if outcome.wrong]
    assert not failed, failed[0]


def test_real_sockets_and_a_restart_of_the_service() -> None:
    outcomes = real_link.run(("cut-down-300", "silent-up-200", "one-byte", "tls-cut-down-600"))
    assert len(outcomes) == 4
    for outcome in outcomes:
        assert not outcome.wrong, outcome


def test_power_and_link_faults_at_once_break_no_promise() -> None:
    outcomes = both.run(SEED, 3, span=3.0)
    assert len(outcomes) == 3
    for outcome in outcomes:
        assert not outcome.wrong, outcome


def test_a_session_that_cannot_end_is_detected() -> None:
    [outcome] = sessions.run([{"lose": 1.0, "seed": SEED}])
    assert "stuck" in outcome.wrong[0]
    assert any("ETIMEDOUT" in line for line in outcome.log)


def test_a_session_that_crashes_is_detected_and_the_next_ones_run() -> None:
    outcomes = sessions.run([{"no such fault": 1}, {}])
    assert "MicroPython" in outcomes[0].wrong[0]
    assert not outcomes[1].wrong
    assert any("no such fault" in line for line in outcomes[0].log)


def test_another_seed_runs_other_random_sessions_without_the_cuts() -> None:
    first, second = (link.plan(3, seed, random_only=True) for seed in (1, 2))
    assert list(first) == ["nothing wrong", *link.PROFILES]
    assert all(first[kind] != second[kind] for kind in link.PROFILES)
