"""Runs `ujobs qualify` on the virtual board, and finds what it leaves behind."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import typer
from typer.testing import CliRunner

from ujobs_tools.aws import cloud
from ujobs_tools.board.image import read_files
from ujobs_tools.commands.qualify import qualify
from ujobs_tools.qualify.virtual import CLOCK_SPEED, WIFI_PASSWORD, WIFI_SSID, Virtual

_app = typer.Typer()
_app.command()(qualify)
_BARE = {"/lib/umqtt/simple.mpy"}


class QualifyRun:
    """One run. folder: folder for its reports."""

    def __init__(self, parts: Virtual, folder: Path) -> None:
        self.parts = parts
        self.folder = folder

    def arguments(self, *more: str) -> list[str]:
        """Return the command line for this board and this service."""
        return [
            "--port", self.parts.port, "--endpoint-url", self.parts.url, "--clock-speed", str(CLOCK_SPEED),
            "--wifi-ssid", WIFI_SSID, "--folder", str(self.folder), "--set", "watchdog=30", *more,
        ]

    def __call__(self, *more: str, answer: str | None = None) -> tuple[int, str]:
        """Return exit code and output."""
        environment = {"UJOBS_WIFI_PASSWORD": WIFI_PASSWORD}
        result = CliRunner().invoke(_app, self.arguments(*more), input=answer, env=environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    def results(self) -> dict[str, str]:
        """Return the result of each case, from report.xml."""
        found = {}
        for case in ElementTree.parse(self.folder / "report.xml").getroot().iter("testcase"):
            children = {child.tag for child in case}
            result = "failed" if "failure" in children else "skipped" if "skipped" in children else "passed"
            found[f"{case.get('classname', '').removeprefix('qualify.')}.{case.get('name')}"] = result
        return found

    def left(self) -> tuple[list[str], list[str], list[str], set[str]]:
        """Return what is left: jobs, things and policies in the cloud, files on the board."""
        iot = cloud.client("iot", self.parts.url)
        return (
            [job["jobId"] for job in iot.list_jobs()["jobs"]],
            [thing["thingName"] for thing in iot.list_things()["things"]],
            [policy["policyName"] for policy in iot.list_policies()["policies"]],
            set(read_files(self.parts.image)) - _BARE,
        )


NOTHING: tuple[list[str], list[str], list[str], set[str]] = ([], [], [], set())
