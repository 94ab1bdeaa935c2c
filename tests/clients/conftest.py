"""Fixtures of the tests with third-party clients: `ujobs serve`, and things with their certificates."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import clouds
from ujobs_tools.aws import fleet

pytest.register_assert_rewrite("jobs_client", "python_sdk", "javascript_sdk")

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[clouds.Cloud]:
    """`ujobs serve`."""
    with clouds.ujobs_serve(tmp_path_factory.mktemp("serve")) as found:
        yield found


@pytest.fixture(scope="session")
def iot(cloud: clouds.Cloud) -> Any:
    """A boto3 client of its control plane."""
    return cloud.iot()


@pytest.fixture
def open_thing(thing: fleet.Thing, iot: Any) -> fleet.Thing:
    """A thing without jobs, for tests of the broker: its certificate may use any topic, and any client id that is not
    another thing's name."""
    statement = {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}
    fleet.make_policy(iot, "everything", json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    iot.attach_policy(policyName="everything", target=thing.certificate_arn)
    return thing


@pytest.fixture
def thing(cloud: clouds.Cloud, tmp_path: Path) -> fleet.Thing:
    """A new thing without jobs."""
    return fleet.create_thing(f"kiln-{next(_numbers)}", tmp_path / "thing", cloud.endpoint_url)
