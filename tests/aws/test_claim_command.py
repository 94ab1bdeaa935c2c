"""`ujobs claim create` on `ujobs serve` and on MiniStack: output, files, and what it creates in the cloud."""

import json
from pathlib import Path

from typer.testing import CliRunner

import clouds
from ujobs_tools.aws import claims, fleet
from ujobs_tools.commands.claim import app

FILES = {f"{name}.{suffix}" for name in ("ca", "cert", "key") for suffix in ("pem", "der")}


def run(*arguments: str | Path) -> tuple[int, str]:
    """Return exit code and output."""
    result = CliRunner().invoke(app, ["create", *map(str, arguments)])
    return result.exit_code, result.output


def refused(*arguments: str | Path) -> str:
    """Return the single line of output of a command that fails."""
    code, output = run(*arguments)
    assert code in (1, 2), output
    assert len(output.strip().splitlines()) == 1, output
    return output


def test_claim_create_writes_files_and_creates_template_and_policy(cloud: clouds.Cloud, tmp_path: Path) -> None:
    code, output = run("made", "--endpoint-url", cloud.endpoint_url, "--out", tmp_path)
    assert code == 0, output
    assert {file.name for file in tmp_path.iterdir()} == FILES
    assert '"claim": {"template": "made"}' in output
    iot = cloud.iot()
    found = iot.describe_provisioning_template(templateName="made")
    assert found["enabled"]
    assert found["templateArn"] in output
    resources = json.loads(found["templateBody"])["Resources"]
    policy = json.loads(iot.get_policy(policyName=resources["policy"]["Properties"]["PolicyName"])["policyDocument"])
    thing = fleet.create_thing("claim-thing", tmp_path / "thing", cloud.endpoint_url)
    assert resources["policy"]["Properties"]["PolicyName"] == thing.policy
    assert policy == json.loads(iot.get_policy(policyName=thing.policy)["policyDocument"])
    document = json.loads(iot.get_policy(policyName="ujobs-claim-made")["policyDocument"])
    prefix = thing.arn.partition(":thing/")[0]
    assert document == json.loads(claims.claim_policy(prefix, "made"))


def test_custom_template(cloud: clouds.Cloud, tmp_path: Path) -> None:
    template = tmp_path / "template.json"
    template.write_text(claims.default_template("kiln", "some-policy"))
    out = tmp_path / "out"
    code, output = run("own", "--template", template, "--endpoint-url", cloud.endpoint_url, "--out", out)
    assert code == 0, output
    assert cloud.iot().describe_provisioning_template(templateName="own")["templateBody"] == template.read_text()


def test_a_failure_leaves_nothing_behind(cloud: clouds.Cloud, tmp_path: Path) -> None:
    template = tmp_path / "template.json"
    template.write_text("{")
    assert f"{template} is not JSON" in refused("broken", "--template", template, "--out", tmp_path / "out")
    template.write_text("{}")
    common = ("--endpoint-url", cloud.endpoint_url, "--out", tmp_path / "out")
    said = refused("broken", "--template", template, *common)
    assert f"{cloud.endpoint_url} does not accept this CreateProvisioningTemplate request (InvalidRequest" in said
    assert "could not be undone" not in said
    assert not (tmp_path / "out").exists()
    assert run("twice", *common)[0] == 0
    again = refused("twice", "--endpoint-url", cloud.endpoint_url, "--out", tmp_path / "again")
    assert 'template "twice" already exists' in again
    assert "could not be undone" not in again
    assert "keys are never overwritten" in refused("third", *common)


def test_without_a_cloud(tmp_path: Path) -> None:
    assert "1 to 36 characters" in refused("a/b", "--out", tmp_path)
    assert "1 to 36 characters" in refused("x" * 37, "--out", tmp_path)
    assert "AWSIoTThingsRegistration" in refused("line", "--out", tmp_path)
    role = "arn:aws:iam::000000000000:role/provisioning"
    assert "Amazon Root CA 1" in refused("line", "--out", tmp_path, "--role-arn", role)
    assert "missing.json" in refused("line", "--out", tmp_path, "--template", tmp_path / "missing.json")
    body = tmp_path / "large.json"
    body.write_text("{" + " " * claims.MAX_BODY + "}")
    assert "the limit is 10240" in refused("line", "--out", tmp_path, "--template", body, "--role-arn", role)
