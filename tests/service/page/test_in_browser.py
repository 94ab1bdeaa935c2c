"""The live page in a real browser: its content, its actions and its accessibility."""

import json
import os
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from browser import Page
from page_service import PageService

from ujobs_lab.external import mosquitto
from ujobs_tools.service.page.routes import Options

MARKUP = "<img src=x onerror=\"document.title='taken'\"><b>bold</b> [red]x[/red]"
VIEWS = ("jobs", "jobs/j", "jobs/j/kiln-1/1", "things", "things/kiln-1", "wire", "wire/kiln-1", "new", "trouble")


def run_all(served: PageService) -> None:
    """Create a job with executions in several statuses."""
    served.job("j", *(f"kiln-{number}" for number in range(6)), document={"operation": "x"}, description="All kilns")
    served.report("j", "kiln-0", "SUCCEEDED", progress="3/3")
    served.report("j", "kiln-1", "FAILED", reason="no sensor answers")
    served.report("j", "kiln-2", "REJECTED", reason="busy")
    served.report("j", "kiln-3", "IN_PROGRESS", progress="1/3")


def test_jobs_appear_and_change_without_a_reload(served: PageService, page: Page) -> None:
    page.open(served.url)
    page.sees("No jobs yet.")
    served.job("blink-1", "kiln")
    page.sees("blink-1", "1 QUEUED")
    served.report("blink-1", "kiln", "SUCCEEDED")
    page.sees("COMPLETED", "1 SUCCEEDED")
    assert page.complaints() == []


def test_an_execution_shows_its_versions_and_its_timer(served: PageService, page: Page) -> None:
    served.job("j", "kiln")
    served.data.start_next_pending_job_execution(thingName="kiln", stepTimeoutInMinutes=5)
    page.open(served.url, "jobs/j/kiln/1")
    page.sees("QUEUED version 1, by the service", "IN PROGRESS version 2, by the device", "4 min")
    served.report("j", "kiln", "FAILED", reason="no sensor")
    page.sees("FAILED version 3, by the device", "reason: no sensor")
    assert page.complaints() == []


def test_board_output_is_shown_as_text(served: PageService, page: Page) -> None:
    served.job("j", "kiln")
    served.report("j", "kiln", "FAILED", reason=MARKUP)
    board = served.run(lambda service: service.page.presence.add_board("kiln"))
    served.run(lambda service: board.line(MARKUP))
    for route in ("jobs/j", "jobs/j/kiln/1", "things/kiln"):
        page.open(served.url, route)
        page.sees(MARKUP)
        assert page.script("return document.querySelectorAll('main img, main b').length") == 0
        assert page.driver.title != "taken"
        assert page.complaints() == []


def test_a_long_reason_does_not_break_the_headings(served: PageService, page: Page) -> None:
    served.job("j", "kiln")
    served.report("j", "kiln", "FAILED", reason="R" * 1000)
    page.open(served.url, "jobs/j")
    page.sees("How many", "R" * 1000)
    heights = page.script("return [...document.querySelectorAll('main th')].map((th) => th.clientHeight)")
    assert max(heights) < 60  # two lines


def test_an_address_that_was_cut_short_is_not_found(served: PageService, page: Page) -> None:
    page.open(served.url, "jobs/%E0%A4%A")
    page.sees("Not found")
    assert page.complaints() == []


def create_in_form(page: Page, served: PageService, job_id: str, kind: str, **fields: str) -> dict[str, Any]:
    """Create a job with the page's form for its kind of document; returns the document."""
    served.iot.create_thing(thingName="kiln")
    page.open(served.url, "new")
    page.fill("#job-id", job_id)
    page.choose("#kind", kind)
    for name, value in fields.items():
        page.fill(f"#field-{name}", value)
    page.press("Create")
    page.sees(f"Job {job_id}", "1 QUEUED")
    assert page.complaints() == []
    return json.loads(served.iot.get_job_document(jobId=job_id)["document"])


def test_a_job_is_made_in_the_form_of_a_handler(served: PageService, page: Page) -> None:
    document = create_in_form(
        page, served, "tidy-1", "files", delete="/data/old.bin\n/data/älter.bin", list="/data"
    )
    assert document == {"operation": "files", "delete": ["/data/old.bin", "/data/älter.bin"], "list": "/data"}
    assert served.iot.describe_job(jobId="tidy-1")["job"]["targets"][0].endswith("thing/kiln")


def test_a_job_is_made_from_a_managed_template(served: PageService, page: Page) -> None:
    template = "arn:aws:iot:us-east-1::jobtemplate/AWS-Download-File:1.0"
    url = "https://example.com/a.bin"
    document = create_in_form(page, served, "fetch-1", template, downloadUrl=url, filePath="/data/a.bin")
    assert url in json.dumps(document)


def test_errors_in_a_document_are_shown_with_their_line(served: PageService, page: Page) -> None:
    served.iot.create_thing(thingName="kiln")
    page.open(served.url, "new")
    page.fill("#document", '{\n  "operation": "x",\n  "times": nine\n}')
    page.press("Create")
    page.until(lambda: "line 3" in page.element("#wrong").text, "the line")
    assert page.script("return getSelection().toString()").strip() == '"times": nine'
    page.fill("#document", '{"operation": "x"}')
    page.fill("#job-id", "not a job id")
    page.press("Create")
    page.until(lambda: "jobId" in page.element("#wrong").text, "what the service says")


def test_input_is_kept_while_the_page_changes(served: PageService, page: Page) -> None:
    served.iot.create_thing(thingName="kiln")
    page.open(served.url, "new")
    page.fill("#job-id", "half-typed")
    served.iot.create_thing(thingName="other")
    options = "return document.querySelectorAll('#thing-names option').length"
    page.until(lambda: page.script(options) == 2, "the new thing")
    assert page.script("return document.getElementById('job-id').value") == "half-typed"
    assert page.script("return document.activeElement.id") == "job-id"


def test_the_page_shows_the_same_call_for_the_aws_cli_and_boto3(served: PageService, page: Page) -> None:
    served.iot.create_thing(thingName="kiln")
    page.open(served.url, "new")
    page.fill("#job-id", "it-s")
    page.fill("#document", '{"operation": "say", "text": "it\'s $HOME, ü", "on": true}')
    page.press("Copy as AWS CLI or boto3…")
    cli, boto3 = page.script("return [...document.querySelectorAll('dialog pre')].map(pre => pre.textContent)")
    assert cli.startswith("aws iot create-job")
    assert f"--endpoint-url {served.url}" in cli
    calls: list[dict[str, Any]] = []

    class Iot:
        def create_job(self, **parameters: Any) -> None:
            calls.append(parameters)

    exec(boto3.replace("import boto3", ""), {"boto3": type("boto3", (), {"client": lambda *_, **__: Iot()})})
    assert calls[0]["jobId"] == "it-s"
    assert json.loads(calls[0]["document"]) == {"operation": "say", "text": "it's $HOME, ü", "on": True}
    words = shlex.split(cli)
    assert words[words.index("--document") + 1] == calls[0]["document"]
    assert words[words.index("--targets") + 1] == calls[0]["targets"][0]


def test_cancel_force_and_delete_need_a_confirmation(served: PageService, page: Page) -> None:
    served.job("j", "kiln", "other")
    served.report("j", "kiln", "IN_PROGRESS", progress="1/3")
    page.open(served.url, "jobs/j")
    page.press("Cancel…")
    assert "aws iot cancel-job" in page.element("dialog").text
    page.press("Close")
    assert served.iot.describe_job(jobId="j")["job"]["status"] == "IN_PROGRESS"
    page.press("Cancel…")
    page.press("Do it")
    page.sees("1 CANCELED", "1 IN PROGRESS")
    page.open(served.url, "jobs/j/kiln/1")
    page.press("Cancel with force…")
    page.press("Do it")
    page.sees("CANCELED version 4, by the service")
    page.open(served.url, "jobs/j")
    page.press("Delete…")
    page.press("Do it")
    page.sees("No jobs yet.")
    assert page.complaints() == []


def test_a_refusal_is_shown_next_to_its_button(served: PageService, page: Page) -> None:
    served.job("j", "kiln")
    page.open(served.url, "jobs/j")
    page.press("Cancel…")
    served.iot.cancel_job(jobId="j")
    page.press("Do it")
    page.until(lambda: "cannot be canceled" in page.element("#refused").text, "the refusal")


def test_the_stream_survives_a_restart_of_the_service(tmp_path: Path, page: Page) -> None:
    first = PageService(tmp_path / "data")
    first.job("before", "kiln")
    page.open(first.url)
    page.sees("before")
    first.stop()
    page.until(lambda: "Not connected" in page.element("#link").text, "that the service is gone")
    second = PageService(tmp_path / "data", port=first.port)
    try:
        second.job("after", "kiln")
        page.sees("before", "after")
        assert page.element("#link").text == "Live"
    finally:
        second.stop()


def test_the_page_can_show_a_thousand_executions(served: PageService, page: Page) -> None:
    def fill(service: Any) -> None:
        engine = service.engine
        arn = engine.create_thing_group("all")["thingGroupArn"]
        for number in range(1000):
            engine.create_thing(f"t{number}")
            engine.add_thing_to_thing_group(thingGroupName="all", thingName=f"t{number}")
        engine.create_job("many", [arn], "{}")

    served.run(fill)
    page.open(served.url, "jobs/many")
    page.sees("1000 QUEUED")
    for _ in range(2):
        page.press("Show more")
    page.until(lambda: len(page.rows()) == 1000, "all rows")
    served.report("many", "t500", "FAILED", reason="no sensor")
    page.sees("999 QUEUED", "1 FAILED", "no sensor")
    assert page.complaints() == []


def test_a_board_in_the_same_process_has_its_console_and_its_power(served: PageService, page: Page) -> None:
    cut: list[str] = []
    served.iot.create_thing(thingName="kiln")
    board = served.run(lambda service: service.page.presence.add_board("kiln", lambda: cut.append("kiln")))
    page.open(served.url, "things/kiln")
    served.run(lambda service: board.line("agent: connected"))
    page.sees("agent: connected")
    page.press("Cut the power…")
    page.press("Do it")
    page.until(lambda: cut == ["kiln"], "the power cut")


def test_actions_need_the_password(tmp_path: Path, page: Page) -> None:
    served = PageService(tmp_path / "data", Options(password="größer"))
    try:
        served.job("j", "kiln")
        page.open(served.url, "jobs/j")
        page.press("Cancel…")
        page.press("Do it")
        page.until(lambda: "password" in page.element("#refused").text, "the refusal")
        page.press("Close")
        page.fill("#password input", "größer")
        page.press("Cancel…")
        page.press("Do it")
        page.sees("1 CANCELED")
    finally:
        served.stop()


def test_a_read_only_page_has_no_action_buttons(tmp_path: Path, page: Page) -> None:
    served = PageService(tmp_path / "data", Options(read_only=True))
    try:
        served.job("j", "kiln")
        page.open(served.url, "jobs/j")
        page.sees("1 QUEUED")
        assert "--page-password" in page.element("#notice").text
        assert "Cancel…" not in page.text()
    finally:
        served.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_is_accessible(tmp_path: Path, page: Page, scheme: str) -> None:
    served = PageService(tmp_path / "data", faults=True)
    try:
        run_all(served)
        served.run(lambda service: service.record.add("kiln-1", True, "$aws/things/kiln-1/jobs/get", b"{}"))
        # The dark scheme only changes colours.
        for width in (1280, 360) if scheme == "light" else (1280,):
            page.prefer(scheme, width)
            for view in VIEWS:
                page.open(served.url, view)
                assert page.violations() == [], f"{view} at {width}"
                overflow = page.script("return document.documentElement.scrollWidth - window.innerWidth")
                assert overflow <= 0, f"{view} is {overflow} wider than {width}"
        assert page.complaints() == []
    finally:
        page.prefer("light")
        served.stop()


def test_the_keyboard_reaches_everything_and_focus_follows_the_view(served: PageService, page: Page) -> None:
    served.job("j", "kiln")
    page.open(served.url)
    page.sees("1 QUEUED")
    page.script("document.querySelector('main a[href=\"#/jobs/j\"]').focus()")
    page.driver.switch_to.active_element.send_keys("\n")
    page.sees("Job j")
    assert page.script("return document.activeElement.id") == "main"
    page.script("[...document.querySelectorAll('button')].find(b => b.textContent === 'Cancel…').focus()")
    page.driver.switch_to.active_element.send_keys("\n")
    inside = "return document.getElementById('dialog').contains(document.activeElement)"
    page.until(lambda: page.script(inside), "focus in the dialog")
    page.driver.switch_to.active_element.send_keys("\ue00c")  # Escape
    page.until(lambda: not page.script("return document.getElementById('dialog').open"), "a closed dialog")


def test_the_mosquitto_command_of_a_message_repeats_it(served: PageService, page: Page) -> None:
    program = mosquitto.find("mosquitto_pub")
    if program is None:
        pytest.skip("mosquitto_pub is not there: make clients")
    served.job("j", "kiln")
    note = {"note": "it's \"$HOME\" 100 %"}
    topic, port = "$aws/things/kiln/jobs/j/update", str(served.service.ports["mqtt"])
    message = json.dumps({"status": "IN_PROGRESS", "statusDetails": note})
    subprocess.run([program, "-p", port, "-i", "kiln", "-q", "1", "-t", topic, "-m", message], check=True, timeout=120)
    page.open(served.url, "wire/kiln")
    page.sees(topic)
    page.press("mosquitto_pub")
    command = page.script("return document.querySelector('dialog pre').innerText")
    assert command.startswith("mosquitto_pub ")
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["sh", "-c", command], env=os.environ | {"PATH": path}, check=True, timeout=120)
    execution = served.iot.describe_job_execution(jobId="j", thingName="kiln")["execution"]
    assert execution["versionNumber"] == 3
    assert execution["statusDetails"]["detailsMap"] == note
    assert page.complaints() == []


def test_a_job_in_stages_can_be_cancelled_before_it_begins(served: PageService, page: Page) -> None:
    night = [{"startTime": "cron(0 0 29 FEB ? *)", "durationInMinutes": 60}]
    tomorrow = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + 86400))
    schedule = {"startTime": tomorrow, "maintenanceWindows": night}
    served.job("nightly", "kiln", targetSelection="CONTINUOUS", schedulingConfig=schedule)
    page.open(served.url, "jobs/nightly")
    page.sees("SCHEDULED", "In stages", "next window: ")
    page.press("Cancel…")
    page.press("Do it")
    page.sees("CANCELED")
    assert page.complaints() == []
