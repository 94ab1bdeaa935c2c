"""MiniStack's gaps that no scenario shows: `ujobs serve` follows AWS's rule, and MiniStack still deviates from it as
described in ministack_gaps.py."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from gap_probes import PROBES, Place
from ministack_gaps import GAPS, closed

import clouds
from ujobs_tools.aws import fleet

CLOCK_SPEED = 200  # a step timeout of one minute expires after 0.3 s


@pytest.fixture(scope="module")
def places(ministack: clouds.Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Place]]:
    """`ujobs serve` with a fast clock, and MiniStack."""
    folder = tmp_path_factory.mktemp("probes")
    with ExitStack() as stack:
        serve = stack.enter_context(clouds.ujobs_serve(folder, "--clock-speed", str(CLOCK_SPEED)))
        found = [
            Place(cloud, fleet.create_thing("probed", folder / name, cloud.endpoint_url))
            for name, cloud in (("serve-thing", serve), ("ministack-thing", ministack))
        ]
        yield found[0], found[1]


@pytest.mark.parametrize("gap", PROBES)
def test_gap(places: tuple[Place, Place], gap: str) -> None:
    probe = PROBES[gap]
    serve, ministack = places
    assert probe.try_on(serve) == probe.aws
    found = probe.try_on(ministack)
    assert found != probe.aws, closed(gap)
    assert found == probe.ministack, f"MiniStack no longer behaves as described in the gap {gap!r}"


def test_every_gap_shows_in_a_scenario_or_has_a_probe() -> None:
    assert {gap.name for gap in GAPS if gap.seen is None} == set(PROBES)
