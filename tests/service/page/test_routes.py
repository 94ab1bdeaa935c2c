"""The live page over HTTP, without a browser: files, headers, event streams, actions and permissions."""

import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from page_service import PageService

from ujobs_tools.host.processes import wait_until
from ujobs_tools.service.page import routes
from ujobs_tools.service.page.routes import Options

REPOSITORY = Path(__file__).parents[3]
FORMS = json.loads((Path(routes.__file__).parent / "forms.json").read_text())


@contextmanager
def serving(folder: Path, options: Options) -> Iterator[PageService]:
    found = PageService(folder, options)
    try:
        yield found
    finally:
        found.stop()


@pytest.mark.parametrize("path", ["/", "/_ujobs/page/page.js", "/_ujobs/page/page.css", "/_ujobs/page/forms.json"])
def test_the_page_loads_nothing_from_other_servers(served: PageService, path: str) -> None:
    with urllib.request.urlopen(served.url + path) as response:
        policy = response.headers["Content-Security-Policy"]
        text = response.read().decode()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    # The URL of a namespace is not fetched.
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert forbidden not in text


def test_the_page_is_not_the_answer_to_s3(served: PageService) -> None:
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=any/20260921/us-east-1/s3/aws4_request"}
    request = urllib.request.Request(f"{served.url}/?list-type=2", headers=signed | {"Host": "bucket.localhost"})
    with urllib.request.urlopen(request) as response:
        assert b"<ListBucketResult" in response.read()
    with pytest.raises(urllib.error.HTTPError, match="501") as refused:
        urllib.request.urlopen(urllib.request.Request(f"{served.url}/", headers=signed))
    with refused.value as response:
        assert b"<Code>NotImplemented</Code>" in response.read()


def test_a_stream_begins_with_the_service_and_the_state_of_the_view(served: PageService) -> None:
    served.job("j", "kiln")
    with served.stream(view="jobs") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        name, hello = stream.event()
        assert (name, hello["http"], hello["readOnly"], hello["faults"]) == ("hello", served.url, "", {})
        assert stream.event()[1]["jobs"][0]["jobId"] == "j"


def test_changes_come_without_being_asked_for(served: PageService) -> None:
    with served.stream(view="jobs") as stream:
        stream.until(lambda state: not state["jobs"])
        served.job("j", "kiln")
        stream.until(lambda state: state["jobs"] and state["jobs"][0]["counts"] == {"QUEUED": 1})
        served.report("j", "kiln", "FAILED", reason="no sensor")
        stream.until(lambda state: state["jobs"][0]["counts"] == {"FAILED": 1})


def test_things_and_connections_come_as_well(served: PageService) -> None:
    with served.stream(view="things") as stream:
        stream.until(lambda state: not state["things"])
        served.iot.create_thing(thingName="kiln")
        stream.until(lambda state: [thing["name"] for thing in state["things"]] == ["kiln"])
        served.run(lambda service: service.page.presence.told("kiln", "kiln", None))
        stream.until(lambda state: state["things"][0]["connected"])


def test_a_view_of_a_missing_object_shows_it_once_it_exists(served: PageService) -> None:
    with served.stream(view="job", job="j") as stream:
        stream.until(lambda state: "j" in state.get("error", ""))
        served.job("j", "kiln")
        stream.until(lambda state: state.get("counts") == {"QUEUED": 1})


def test_a_service_that_stops_ends_its_streams(tmp_path: Path) -> None:
    served = PageService(tmp_path / "data")
    with served.stream(view="jobs") as stream:
        stream.until(lambda state: True)
        stopping = threading.Thread(target=served.stop)
        stopping.start()
        with pytest.raises(EOFError):
            stream.until(lambda state: False)
        stopping.join()


def test_a_closed_browser_leaves_no_stream(served: PageService) -> None:
    with served.stream(view="jobs") as stream:
        stream.until(lambda state: True)
        assert served.run(lambda service: len(service.page.changes.streams)) == 1

    def ended() -> bool:
        served.run(lambda service: service.page.changes.happened())
        return served.run(lambda service: not service.page.changes.streams)

    served.iot.create_thing(thingName="kiln")
    served.job("j", "kiln")
    wait_until(ended, "the stream's end", 10)


def test_a_job_is_created_canceled_and_deleted_as_boto3_does_it(served: PageService) -> None:
    arn = served.iot.create_thing(thingName="kiln")["thingArn"]
    job = {"jobId": "j", "targets": [arn], "document": "{}", "timeoutConfig": {"inProgressTimeoutInMinutes": 5}}
    status, made = served.post("do/CreateJob", job)
    assert (status, made["jobId"]) == (200, "j")
    assert served.iot.describe_job(jobId="j")["job"]["timeoutConfig"] == {"inProgressTimeoutInMinutes": 5}
    served.data.start_next_pending_job_execution(thingName="kiln")
    execution = {"jobId": "j", "thingName": "kiln"}
    assert served.post("do/CancelJobExecution", execution)[0] == 409
    assert served.post("do/CancelJobExecution", {**execution, "force": True}) == (200, {})
    assert served.iot.describe_job_execution(**execution)["execution"]["status"] == "CANCELED"
    assert served.post("do/DeleteJobExecution", {**execution, "executionNumber": 1}) == (200, {})
    assert served.post("do/DeleteJob", {"jobId": "j", "force": True}) == (200, {})
    assert served.iot.list_jobs()["jobs"] == []


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("do/CreateJob", {"jobId": "a b", "targets": ["x"], "document": "{}"}, 400, "jobId"),
        ("do/CreateJob", {"jobId": "j"}, 400, "targets"),
        ("do/CreateJob", {"jobId": 7, "targets": []}, 400, "jobId"),
        ("do/CreateJob", [], 400, "object"),
        ("do/CreateJob", {"jobId": "j", "targets": ["x"], "abortConfig": {"criteriaList": []}}, 400, "abortConfig"),
        ("do/CancelJob", {"jobId": "none"}, 404, "none"),
        ("do/DeleteThing", {"thingName": "kiln"}, 404, "DeleteThing"),
        ("cut-power", {"thing": "kiln"}, 404, "kiln"),
        ("cut-power", {}, 400, "thing"),
        ("trouble/throttle", {"thing": "kiln"}, 404, "--faults"),
    ],
)
def test_a_refused_action_has_a_reason(
    served: PageService, path: str, body: Any, status: int, says: str
) -> None:
    answered, reply = served.post(path, body)
    assert answered == status
    assert says in reply["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"},
        {"Origin": "http://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "elsewhere.example"},
    ],
)
def test_foreign_pages_cannot_act(served: PageService, headers: dict[str, str]) -> None:
    served.job("j", "kiln")
    assert served.post("do/CancelJob", {"jobId": "j"}, **headers)[0] == 403
    assert served.iot.describe_job(jobId="j")["job"]["status"] == "IN_PROGRESS"


def test_a_link_on_another_site_may_lead_to_the_page_but_no_script_there_reads_it(served: PageService) -> None:
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    with urllib.request.urlopen(urllib.request.Request(served.url, headers=followed)) as response:
        assert response.status == 200
    stream = urllib.request.Request(f"{served.url}/_ujobs/page/events?view=jobs", headers=followed)
    with pytest.raises(urllib.error.HTTPError, check=lambda error: error.code == 403):
        urllib.request.urlopen(stream)


def test_a_read_only_page_refuses_actions_and_says_why(tmp_path: Path) -> None:
    with serving(tmp_path / "data", Options(read_only=True)) as served:
        served.job("j", "kiln")
        status, reply = served.post("do/CancelJob", {"jobId": "j"})
        assert (status, "--page-password" in reply["message"]) == (401, True)
        assert served.iot.describe_job(jobId="j")["job"]["status"] == "IN_PROGRESS"
        with served.stream(view="jobs") as stream:
            assert "--page-password" in stream.event()[1]["readOnly"]


def test_actions_need_the_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "_WRONG_PASSWORD_DELAY", 0.0)
    with serving(tmp_path / "data", Options(password="größer")) as served:
        served.job("j", "kiln")
        for wrong in ({}, {"X-Ujobs-Password": "guess"}, {"X-Ujobs-Password": ""}):
            assert served.post("do/CancelJob", {"jobId": "j"}, **wrong)[0] == 401
        assert served.iot.describe_job(jobId="j")["job"]["status"] == "IN_PROGRESS"
        assert served.post("do/CancelJob", {"jobId": "j"}, **{"X-Ujobs-Password": "gr%C3%B6%C3%9Fer"})[0] == 200


def test_the_power_of_a_board_in_this_process_can_be_cut(served: PageService) -> None:
    cut: list[str] = []
    served.iot.create_thing(thingName="kiln")
    with served.stream(view="thing", thing="kiln") as stream:
        stream.until(lambda state: not state["power"])
        board = served.run(lambda service: service.page.presence.add_board("kiln", lambda: cut.append("kiln")))
        served.run(lambda service: board.line("\x1b[2J<b>hello</b>"))
        shown = stream.until(lambda state: state["console"])
        assert (shown["power"], shown["console"][0]["text"]) == (True, "\x1b[2J<b>hello</b>")
    assert served.post("cut-power", {"thing": "kiln"}) == (200, {})
    assert cut == ["kiln"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{\n "a": 1,\n "b": nine}', {"line": 3, "message": "Expecting value (column 7)"}),
        ('{"a": NaN}', {"line": 1, "message": "NaN is not JSON"}),
        ("[" * 100_000, {"line": 1, "message": "nested too deeply"}),
        ("{}", {}),
    ],
)
def test_invalid_json_is_reported_with_its_line(served: PageService, text: str, found: dict[str, Any]) -> None:
    assert served.post("check", {"text": text}) == (200, found)


def test_forms_are_there_for_the_built_in_handlers_with_members_that_their_pages_have() -> None:
    handlers = {path.stem for path in (REPOSITORY / "lib" / "ujobs" / "handlers").glob("[a-z]*.py")}
    # The page creates AWS's own documents from managed templates.
    assert {form["operation"] for form in FORMS} == handlers - {"steps"}
    for form in FORMS:
        page = (REPOSITORY / "docs" / "handlers" / f"{form['operation']}.md").read_text()
        for field in form["fields"]:
            assert f'"{field["name"]}"' in page
