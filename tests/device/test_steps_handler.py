"""The `steps` and `call` jobs: AWS's own job documents, and functions of the application."""

import asyncio
import sys

import ujobs.trial as trial
from replaced import Replaced
from restarts import ROOT, with_board
from ujobs import handlers, sources
from web import File, head

CONTENT = b"table" * 1000


def handler(name, args=(), **fields):
    action = {"name": name, "type": "runHandler", "input": {"handler": name, "args": list(args), "path": "default"}}
    action.update(fields)
    return {"action": action}


def command(text, **fields):
    action = {"name": "Run", "type": "runCommand", "input": {"command": text}}
    action.update(fields)
    return {"action": action}


def steps(*actions, **fields):
    document = {"version": "1.0", "steps": list(actions)}
    document.update(fields)
    return document


class Functions:
    """The functions that the application registers, and their calls."""

    def __init__(self, allowed):
        self.allowed = allowed
        self.calls = []

    def setup(self, agent):
        def blink(*arguments, **named):
            self.calls.append((arguments, named))
            return "done"

        async def measure(channel):
            await asyncio.sleep(0)
            self.calls.append(channel)
            return 21.5

        def broken():
            self.calls.append("broken")
            raise OSError("sensor is gone")

        def resets():
            self.calls.append("resets")
            sys.modules["machine"].reset()

        functions = {"blink": blink, "measure": measure, "broken": broken, "resets": resets}
        agent.use(*self.allowed, functions=functions, roots=(ROOT + "/data",))


def run(document, check, answer=None, allowed=("steps", "call", "reboot", "files")):
    functions = Functions(allowed)

    def scenario(board):
        board.finish()
        check(board, functions.calls)

    with_board(scenario, document, functions.setup, answer)


def test_aws_reboot_restarts_once():
    def check(board, calls):
        assert board.execution["status"] == "SUCCEEDED"
        assert board.resets == 1
        assert board.execution["statusDetails"]["reset_cause"] == "HARD_RESET"

    run(steps(handler("reboot.sh", runAsUser="")), check)


def test_a_reboot_succeeds_only_after_the_reset():
    def scenario(board):
        board.start()
        assert (board.resets, board.execution["status"]) == (1, "IN_PROGRESS")
        assert board.finish() == "SUCCEEDED"
        assert (board.resets, board.execution["statusDetails"]) == (1, {"reset_cause": "HARD_RESET"})

    with_board(scenario, {"operation": "reboot"}, lambda agent: agent.use("reboot"))


def test_steps_resume_after_a_reboot():
    def check(board, calls):
        assert board.execution["status"] == "SUCCEEDED"
        assert board.resets == 1
        assert calls == [(("1",), {}), (("2",), {}), (("end",), {})]
        assert board.execution["statusDetails"]["progress"] == "4/4"

    run(
        steps(command("blink,1"), handler("reboot.sh"), command("blink,2"), finalStep=handler("blink.sh", ["end"])),
        check,
    )


def test_a_finished_step_is_not_repeated_when_the_board_is_reset_before_the_next_one_begins():
    real, cuts = handlers.run, []

    def cut_short(module, *arguments):
        if module == "reboot" and not cuts:
            cuts.append(module)
            sys.modules["machine"].reset()
        return real(module, *arguments)

    def check(board, calls):
        assert board.execution["status"] == "SUCCEEDED"
        assert cuts and calls == [(("1",), {})]

    with Replaced(handlers, run=cut_short):
        run(steps(command("blink,1"), handler("reboot.sh")), check)


def test_a_failed_job_names_the_step():
    def check(board, calls):
        assert board.execution["status"] == "FAILED"
        details = board.execution["statusDetails"]
        assert (details["progress"], details["message"]) == ("1/3", "Measure")

    run(steps(command("blink"), command("broken", name="Measure"), command("blink")), check)


def test_aws_download_file_needs_https_and_a_ca():
    for url, reason in (("http://files.example.com/t", "sha256 is missing"), ("https://files.example.com/t", "ca")):

        def check(board, calls, reason=reason):
            assert board.execution["status"] == "REJECTED"
            assert reason in board.reason(), board.reason()
            assert not board.web.connections

        run(steps(handler("download-file.sh", [url, ROOT + "/data/t"])), check, File(CONTENT))


def test_actions_of_jobs_that_the_board_does_not_allow_are_rejected():
    def check(board, calls):
        assert board.execution["status"] == "REJECTED"
        assert board.resets == 0
        assert not board.web.connections

    run(steps(handler("reboot.sh")), check, allowed=("steps",))
    download = handler("download-file.sh", ["https://files.example.com/t", ROOT + "/data/t"])
    run(steps(download), check, File(CONTENT), allowed=("steps",))


def test_a_function_that_resets_the_board_is_called_a_limited_number_of_times():
    def check(board, calls):
        assert board.execution["status"] == "FAILED"
        assert "reset" in board.reason()
        assert calls == ["resets"] * 3

    run(steps(command("resets")), check)


def test_a_failed_step_ends_the_job_unless_it_is_to_be_ignored():
    def failed(board, calls):
        assert board.execution["status"] == "FAILED"
        assert calls == ["broken"]

    def passed_over(board, calls):
        assert board.execution["status"] == "SUCCEEDED"
        assert calls == ["broken", (("1",), {})]
        assert "sensor is gone" in board.execution["statusDetails"]["stderr"]

    run(steps(command("broken"), command("blink,1"), finalStep=command("blink,end")), failed)
    for ignored in (True, "true"):
        run(steps(command("broken", ignoreStepFailure=ignored), command("blink,1")), passed_over)


def test_words_of_a_command_are_trimmed_and_may_contain_escaped_commas():
    for text, words in (("blink,Hello\\, world,2", ("Hello, world", "2")), (" blink , Hello ,2 ", ("Hello", "2"))):

        def check(board, calls, words=words):
            assert calls == [(words, {})]

        run(steps(command(text)), check)


def test_a_step_that_downloads_gets_a_fresh_url():
    url, fresh = "https://files.example.com/old", "https://files.example.com/fresh"
    document = steps(command("blink"), handler("download-file.sh", [url, ROOT + "/data/x"]))

    def answer(connection):
        if b"/fresh" in connection.request:
            return File(CONTENT)(connection)
        document["steps"][1]["action"]["input"]["args"][0] = fresh
        return head(403, {})

    def check(board, calls):
        assert board.execution["status"] == "SUCCEEDED", board.reason()
        assert board.get("/data/x") == CONTENT
        assert len(board.web.connections) == 2

    with Replaced(sources, check=lambda *arguments: ("TLS", None)):
        run(document, check, answer)


def test_a_download_needs_a_url_and_a_path():
    for arguments in ([], ["https://files.example.com/x"], ["https://files.example.com/x", "/data/x", "more"]):

        def check(board, calls):
            assert board.execution["status"] == "REJECTED"
            assert "download-file takes a URL and a path" in board.reason()

        run(steps(handler("download-file.sh", arguments)), check)


def test_unsupported_actions_are_rejected_before_the_first_step():
    def check(board, calls):
        assert board.execution["status"] == "REJECTED"
        assert calls == []

    for document in (
        steps(), steps(*[command("blink")] * 33), {"version": "1.1", "steps": [command("blink")]}, {"steps": 5},
        steps(command("blink"), handler("install-packages.sh", ["vim"])), steps(command("blink"), 5),
        steps(command("blink"), {"action": {"type": "runHandler"}}), steps(command("blink", type="runScript")),
        steps(command("blink"), handler("blink", input={"handler": "blink", "args": "x"})),
        steps(command("blink"), finalStep=command("sh,-c,rm")),
    ):
        run(document, check)


def test_functions_are_called_by_name_and_by_position():
    def check(board, calls):
        assert board.execution["status"] == "SUCCEEDED"
        assert board.execution["statusDetails"] == {"result": "21.5"}
        assert calls == [3]

    for arguments in ({"channel": 3}, [3]):
        run({"operation": "call", "function": "measure", "arguments": arguments}, check)


def test_invalid_calls_are_rejected():
    for status, document in (
        ("REJECTED", {"function": "none"}), ("REJECTED", {}), ("REJECTED", {"function": ["blink"]}),
        ("REJECTED", {"function": "blink", "arguments": "x"}), ("FAILED", {"function": "measure"}),
        ("FAILED", {"function": "measure", "arguments": {"pin": 1}}), ("FAILED", {"function": "broken"}),
    ):

        def check(board, calls, status=status):
            assert board.execution["status"] == status
            assert trial.current() == ""

        document["operation"] = "call"
        run(document, check)


def test_what_names_no_function_says_so():
    def action(**members):
        return {"version": "1.0", "steps": [{"action": dict({"name": "a", "input": {}}, **members)}]}

    for document, reason in (
        ({"operation": "call"}, "function is missing"), ({"operation": "call", "function": ""}, "function is missing"),
        ({"operation": "call", "function": "none"}, "no function is named none"),
        (action(type="runHandler"), "no function for action (missing)"),
        (action(type="runCommand"), "no function for action (missing)"), (action(), "unknown action type (missing)"),
    ):

        def check(board, calls, reason=reason):
            assert board.execution["status"] == "REJECTED"
            assert board.reason() == reason

        run(document, check)
