"""`ujobs thing create`: its output and its error messages."""

import datetime
import shlex
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

import clouds
from ujobs_tools.aws import fleet
from ujobs_tools.commands.thing import app
from ujobs_tools.keys.pki import Authority


def run(*arguments: str | Path) -> tuple[int, str]:
    """Return exit code and output."""
    result = CliRunner().invoke(app, ["create", *map(str, arguments)])
    return result.exit_code, result.output


def test_it_says_where_things_are(cloud: clouds.Cloud, tmp_path: Path) -> None:
    out = tmp_path / "out folder"
    code, output = run("command-1", "--endpoint-url", cloud.endpoint_url, "--out", out)
    assert code == 0
    assert (out / "key.der").exists()
    assert str(out) in output
    [command] = [line.partition("ujobs board")[2] for line in output.splitlines() if line.startswith("try it")]
    assert str(out) in shlex.split(command), "to be copied as it is"
    assert ":thing/command-1" in output
    assert f"localhost:{cloud.mqtts}" in output if cloud.serve else "IOT_MTLS_PORT" in output


def test_it_names_every_policy_of_the_certificate(cloud: clouds.Cloud, tmp_path: Path) -> None:
    code, output = run("topics-1", "--endpoint-url", cloud.endpoint_url, "--out", tmp_path, "--topic", "sensors/*")
    assert code == 0
    [certificate] = cloud.iot().list_thing_principals(thingName="topics-1")["principals"]
    attached = cloud.iot().list_attached_policies(target=certificate)["policies"]
    said = {line.split()[1] for line in output.splitlines() if line.startswith("policy ")}
    assert said == {policy["policyName"] for policy in attached}
    assert len(said) == 2


def test_a_ca_file_replaces_the_services_ca(cloud: clouds.Cloud, tmp_path: Path) -> None:
    fleet.create_thing("ca-1", tmp_path / "first", cloud.endpoint_url)
    ca = tmp_path / "first" / "ca.der"
    code, _ = run("ca-2", "--endpoint-url", cloud.endpoint_url, "--out", tmp_path / "second", "--ca", ca)
    assert code == 0
    assert (tmp_path / "second" / "ca.pem").read_bytes() == (tmp_path / "first" / "ca.pem").read_bytes()


def refused(*arguments: str | Path) -> str:
    """Return the single line of output of a command that fails before it creates anything."""
    code, output = run(*arguments)
    assert code in (1, 2), output
    assert len(output.strip().splitlines()) == 1, output
    return output


@pytest.mark.parametrize("name", ["", "a/b", "kiln 7", "x" * 129, "grün"])
def test_wrong_names(name: str, tmp_path: Path) -> None:
    said = refused(name, "--out", tmp_path)
    assert f"thing name {name!r} must be 1 to 128 characters of a-z A-Z 0-9 : _ -" in said


def test_nobody_answers(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert f"nothing answers at {url}" in refused("kiln-7", "--endpoint-url", url, "--out", tmp_path)


@pytest.mark.parametrize("url", ["kiln", "ftp://localhost", "http://", "http://localhost:many"])
def test_invalid_endpoints(url: str, tmp_path: Path) -> None:
    assert "endpoint URL" in refused("kiln-7", "--endpoint-url", url, "--out", tmp_path)


def test_aws_needs_its_root_certificate(tmp_path: Path) -> None:
    said = refused("kiln-7", "--out", tmp_path)
    assert "--ca" in said
    assert "Amazon Root CA 1" in said
    assert "docs.aws.amazon.com" in said


def test_aws_without_credentials_region_or_profile(tmp_path: Path, cloud: clouds.Cloud) -> None:
    ca = tmp_path / "thing" / "ca.pem"
    fleet.create_thing("aws-1", ca.parent, cloud.endpoint_url)
    common = ("kiln-7", "--ca", ca, "--out", tmp_path / "out")
    missing = refused(*common)
    assert "no AWS region" in missing
    assert "AWS_ENDPOINT_URL" in missing
    assert "no AWS credentials" in refused(*common, "--region", "eu-west-1")
    assert "nobody" in refused(*common, "--profile", "nobody")


@pytest.mark.parametrize("content", ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_an_invalid_ca_file(content: str, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text(content)
    assert f"CA from {ca}: no certificate in PEM or DER" in refused("kiln-7", "--ca", ca, "--out", tmp_path / "out")


def test_a_ca_file_that_no_server_can_be_checked_with(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    expired = authority.issue("kiln-7", not_before=long_ago, not_after=long_ago + datetime.timedelta(days=1))
    for issued, why in ((authority.issue("kiln-7"), "it is not the certificate of a CA"),
                        (expired, "it expired on 2020-01-02")):
        ca = tmp_path / "ca.der"
        ca.write_bytes(issued.certificate_der)
        assert f"CA from {ca}: {why}" in refused("kiln-7", "--ca", ca, "--out", tmp_path / "out")


def test_a_ca_file_with_several(tmp_path: Path, cloud: clouds.Cloud) -> None:
    fleet.create_thing("bundle-1", tmp_path / "thing", cloud.endpoint_url)
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes((tmp_path / "thing" / "ca.pem").read_bytes() * 2)
    assert "2 certificates; boards need exactly one" in refused("kiln-7", "--ca", bundle, "--out", tmp_path / "out")


def test_invalid_folders(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert str(file) in refused("kiln-7", "--endpoint-url", "http://127.0.0.1:1", "--out", file)
    assert "missing.pem" in refused("kiln-7", "--ca", tmp_path / "missing.pem", "--out", tmp_path / "out")
