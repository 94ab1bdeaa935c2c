"""Users' mistakes with files, addresses and options: the message names the mistake."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import clouds
from ujobs_tools.cli import app
from ujobs_tools.host.processes import ujobs


def refused(*arguments: str | Path) -> str:
    """Return the last line of a command that ends with exit code 1 or 2; there must be no traceback."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code in (1, 2), result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert "[Errno" not in result.output
    return result.output.strip().splitlines()[-1]


def not_served(*options: str | Path) -> str:
    """Return the message of `ujobs serve` about an invalid option."""
    environment = os.environ | {"COLUMNS": "200"}
    ended = subprocess.run(ujobs("serve", *options), capture_output=True, text=True, timeout=120, env=environment)
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    return ended.stderr


def test_the_mqtt_port_as_endpoint(cloud: clouds.Cloud, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{cloud.mqtts}"
    said = f"{url} does not speak HTTP"
    assert said in refused("thing", "list", "--endpoint-url", url)
    assert said in refused("thing", "create", "kiln-7", "--out", tmp_path / "out", "--endpoint-url", url)


def test_https_to_a_service_without_tls(cloud: clouds.Cloud, tmp_path: Path) -> None:
    url = cloud.endpoint_url.replace("http:", "https:")
    said = f"{url} does not speak TLS: use the endpoint URL that ujobs serve printed, with http://"
    assert said in refused("thing", "list", "--endpoint-url", url)
    assert said in refused("thing", "create", "kiln-7", "--out", tmp_path / "out", "--endpoint-url", url)


def test_an_invalid_endpoint_is_quoted(tmp_path: Path) -> None:
    said = refused("thing", "create", "kiln-7", "--out", tmp_path / "out", "--endpoint-url", "127.0.0.1:8080")
    assert "endpoint URL '127.0.0.1:8080' must be http://HOST:PORT" in said


def test_files_are_named(cloud: clouds.Cloud, tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    job = ("job", "create", "never", "--thing", "none", "--endpoint-url", cloud.endpoint_url, "--document-file")
    assert refused(*job, binary) == f"ujobs job create: {binary} is not a text file"
    assert refused(*job, tmp_path / "missing") == f"ujobs job create: {tmp_path / 'missing'}: No such file or directory"
    claim = ("claim", "create", "line", "--out", tmp_path / "out", "--endpoint-url", cloud.endpoint_url, "--template")
    assert refused(*claim, binary) == f"ujobs claim create: {binary} is not a text file"


@pytest.mark.parametrize("name", ["", "my kiln", "http://kiln", "kiln:8883", "a" * 254])
def test_invalid_names_for_the_certificate(name: str) -> None:
    assert "is neither a host name nor an address" in not_served("--name", name)


def test_other_invalid_options_of_serve(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert "--data" in not_served("--data", file)
    assert "--s3-url" in not_served("--s3-url", "localhost:4566")


def test_the_address_of_a_service_on_all_addresses_is_on_this_machine(cloud: clouds.Cloud) -> None:
    url = cloud.endpoint_url.replace("localhost", "127.0.0.1").replace("127.0.0.1", "0.0.0.0")
    result = CliRunner().invoke(app, ["thing", "list", "--endpoint-url", url])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(("name", "value"), [("AWS_PROFILE", "absent"), ("AWS_CONFIG_FILE", "damaged")])
def test_a_wrong_aws_configuration_stops_only_what_needs_it(tmp_path: Path, name: str, value: str) -> None:
    (tmp_path / "damaged").write_text("[[no configuration")
    environment = os.environ | {name: value, "COLUMNS": "200"}
    code = (
        "from ujobs_tools.aws import cloud\ntry:\n    cloud.client('iot')\n"
        "except cloud.CloudError as error:\n    print(error)"
    )
    ended = subprocess.run(
        (sys.executable, "-c", code), capture_output=True, text=True, timeout=120, env=environment, cwd=tmp_path,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert value in ended.stdout
