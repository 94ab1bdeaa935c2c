"""The agent on CPython, through the shims, with a real service over mutual TLS: the shims must behave like a board.

The same checks run on MicroPython. If TLS refuses a connection, both must report the same error.
"""

import asyncio
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from both_interpreters import Attempt, on_both

from ujobs.agent import Agent
from ujobs.link import Link
from ujobs_tools.aws import cloud, fleet
from ujobs_tools.host.processes import read_ready_file, running, ujobs
from ujobs_tools.keys.pki import Authority

CONNECT = on_both("""
import asyncio
from ujobs.certificates import tls_context
from ujobs.link import Link

async def attempt(folder, host, port):
    context = tls_context(*[folder + "/" + name for name in ("ca.der", "cert.der", "key.der")])
    link = Link(b"kiln-7", host, int(port), ssl=context)
    try:
        await link.connect()
        return "connected"
    except Exception as error:
        return " ".join(str(error).split())
    finally:
        link._close()
""")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("service")
    ready = folder / "ready.json"
    with running(ujobs("serve", "--ready-file", ready, "--data", folder / "data")) as process:
        found = read_ready_file(ready, process) | {"data": folder / "data"}
        fleet.create_thing("kiln-7", endpoint_url=found["http"], out=folder / "thing")
        yield found | {"thing": folder / "thing"}


def test_a_job_over_mutual_tls_on_cpython(service: dict[str, Any], tmp_path: Path) -> None:
    client = cloud.client("iot", service["http"])
    arn = client.describe_thing(thingName="kiln-7")["thingArn"]
    client.create_job(jobId="add", targets=[arn], document=json.dumps({"operation": "add", "a": 2, "b": 3}))
    folder = service["thing"]

    async def main() -> None:
        # PEM files; the tests on boards use DER files.
        agent = Agent(
            "kiln-7", "localhost", str(folder / "cert.pem"), str(folder / "key.pem"), str(folder / "ca.pem"),
            port=service["mqtts"], directory=str(tmp_path / "journal"),
        )

        @agent.on("add")
        async def add(job: Any) -> dict[str, str]:
            return {"sum": str(job.document["a"] + job.document["b"])}

        running_agent = asyncio.create_task(agent.run())
        try:
            async with asyncio.timeout(20):
                while not (agent.journal.job_id and agent.journal.acknowledged):
                    await asyncio.sleep(0.02)
        finally:
            running_agent.cancel()

    asyncio.run(main())
    execution = client.describe_job_execution(thingName="kiln-7", jobId="add")["execution"]
    assert execution["status"] == "SUCCEEDED"
    assert execution["statusDetails"]["detailsMap"] == {"sum": "5"}


@CONNECT
def test_the_right_certificates_connect(service: dict[str, Any], attempt: Attempt) -> None:
    assert attempt(service["thing"], "localhost", service["mqtts"]) == "connected"
    assert attempt(service["thing"], "127.0.0.1", service["mqtts"]) == "connected"


@CONNECT
def test_another_ca_is_refused(service: dict[str, Any], attempt: Attempt, tmp_path: Path) -> None:
    folder = copy(service["thing"], tmp_path)
    (folder / "ca.der").write_bytes(Authority(tmp_path / "other").ca_der)
    said = attempt(folder, "localhost", service["mqtts"])
    assert said == "The certificate is not correctly signed by the trusted CA"


@CONNECT
@pytest.mark.parametrize(
    ("days", "hosts", "said"),
    [
        ((-9, -1), ("localhost",), "The certificate validity has expired"),
        ((1, 9), ("localhost",), "The certificate validity starts in the future"),
        ((-1, 9), ("other.example",), "The certificate Common Name (CN) does not match with the expected CN"),
    ],
)
def test_a_wrong_server_certificate_is_refused_by_name(
    service: dict[str, Any], attempt: Attempt, tmp_path: Path, days: tuple[int, int], hosts: tuple[str, ...], said: str
) -> None:
    authority = Authority(tmp_path / "pki")
    folder = copy(service["thing"], tmp_path)
    (folder / "ca.der").write_bytes(authority.ca_der)
    now = datetime.datetime.now(datetime.UTC)
    begin, end = (now + datetime.timedelta(days=day) for day in days)
    issued = authority.issue("server", hosts, begin, end)

    async def serve_and_try() -> str:
        context = authority.server_context(issued)
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        found = await asyncio.to_thread(attempt, folder, "localhost", port)
        server.close()
        return found

    assert asyncio.run(serve_and_try()) == said


def test_a_lost_service_is_one_line_and_a_retry(service: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        link = Link(b"kiln-7", "127.0.0.1", 1)
        task = asyncio.create_task(link.run())
        while "no link to" not in (text := capfd.readouterr().out):
            await asyncio.sleep(0.01)
        task.cancel()
        assert text.count("\n") == 1
        assert "ECONNREFUSED" in text or "refused" in text

    asyncio.run(asyncio.wait_for(main(), 10))


def copy(source: Path, target: Path) -> Path:
    folder = target / "thing"
    folder.mkdir()
    for path in source.glob("*.der"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder
