"""Fixtures for tests of things, jobs and their commands."""

import pytest

import clouds
from cloud_fixtures import ministack as ministack
from cloud_fixtures import serve as serve


@pytest.fixture(params=clouds.NAMES)
def cloud(request: pytest.FixtureRequest) -> clouds.Cloud:
    """Each of the two clouds; one process of each serves all tests, which a parametrized fixture of the session would
    start again for every file."""
    found: clouds.Cloud = request.getfixturevalue(request.param)
    return found


@pytest.fixture(autouse=True)
def _no_aws_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Hide the user's credentials, region and profile, and keep boto3 from searching the network for some."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    nothing = str(tmp_path_factory.getbasetemp() / "no-such-file")
    monkeypatch.setenv("AWS_CONFIG_FILE", nothing)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", nothing)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
