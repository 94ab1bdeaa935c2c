"""`ujobs thing show` and `ujobs thing delete`: they remove everything from `ujobs thing create`, and nothing else."""

from pathlib import Path

from typer.testing import CliRunner

import clouds
from ujobs_tools.aws import fleet
from ujobs_tools.commands.thing import app


def run(cloud: clouds.Cloud, *arguments: str) -> tuple[int, list[str]]:
    """Return exit code and output lines."""
    result = CliRunner().invoke(app, [*arguments, "--endpoint-url", cloud.endpoint_url])
    return result.exit_code, result.output.splitlines()


def test_a_created_thing_is_shown_and_deleted(cloud: clouds.Cloud, tmp_path: Path) -> None:
    iot = cloud.iot()
    first, second = [
        fleet.create_thing(f"gone-{n}", tmp_path / str(n), cloud.endpoint_url, topics=["removal/*"]) for n in (1, 2)
    ]
    certificate_id = first.certificate_arn.rpartition("/")[2]
    own = [policy["policyName"] for policy in iot.list_attached_policies(target=first.certificate_arn)["policies"]]
    topics = next(name for name in own if name.startswith("ujobs-topics-"))
    code, lines = run(cloud, "show", "gone-1")
    assert code == 0
    assert lines[0].split() == ["thing", first.arn]
    assert ["certificate", first.certificate_arn, "ACTIVE"] in [line.split() for line in lines]
    assert sorted(line.split()[1] for line in lines if line.startswith("policy")) == sorted(own)

    code, lines = run(cloud, "delete", "gone-1")
    assert (code, [line.split(None, 1)[1] for line in lines]) == (
        0, [f"certificate {certificate_id}", "thing gone-1"],
    ), "its policies are the other thing's too"
    code, lines = run(cloud, "delete", "gone-2")
    assert f"policy {topics}" in [line.split(None, 1)[1] for line in lines]
    assert topics not in [policy["policyName"] for policy in iot.list_policies()["policies"]]
    for thing in (first, second):
        for command in ("show", "delete"):
            code, (line,) = run(cloud, command, thing.name)
            assert code == 1
            assert line.startswith(f'ujobs thing {command}: thing "{thing.name}" does not exist at ')
    assert run(cloud, "show", "a/b")[0] == run(cloud, "delete", "a/b")[0] == 2


def test_a_certificate_of_another_thing_stays(cloud: clouds.Cloud, tmp_path: Path) -> None:
    iot = cloud.iot()
    kept = fleet.create_thing("stays", tmp_path / "stays", cloud.endpoint_url)
    iot.create_thing(thingName="leaves")
    iot.attach_thing_principal(thingName="leaves", principal=kept.certificate_arn)
    assert run(cloud, "delete", "leaves") == (0, ["deleted      thing leaves"])
    certificate = iot.describe_certificate(certificateId=kept.certificate_arn.rpartition("/")[2])
    assert certificate["certificateDescription"]["status"] == "ACTIVE"
    assert iot.list_thing_principals(thingName="stays")["principals"] == [kept.certificate_arn]
