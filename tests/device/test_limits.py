"""Limits of a job document on a board: its size, its nesting, and its number of parts."""

import gc
import sys

import ujobs.agent
import ujobs.checks
import ujobs.trial as trial
from agent_handlers import all_done, finish, handlers
from broker import raises
from cloud import Cloud, run
from replaced import Replaced
from restarts import ROOT, remove_all
from ujobs.flash import make_folders
from ujobs.sources import check_plain

# The last one just fits into the receive limit; CPython's own parser does not accept that depth.
DEEPEST = 7000
DEPTHS = (40, 400, DEEPEST) if sys.implementation.name == "micropython" else (40, 400)


class DeepCloud(Cloud):
    """A cloud that replaces the word DEEP in its messages by nested lists, too deep for a recursive function on a
    board."""

    def __init__(self, depth):
        super().__init__()
        self._deep = b"[" * depth + b"]" * depth
        self._send = self.broker.send
        self.broker.send = self._send_deep

    def _send_deep(self, topic, payload, qos=0):
        self._send(topic, payload.replace(b'"DEEP"', self._deep), qos)


def setup(agent):
    handlers(agent)
    agent.use(
        "app", "call", "files", "settings", "steps", functions={"show": lambda *given: str(given)},
        roots=(ROOT + "/data",), check_settings=check_settings,
    )


def check_settings(settings):
    if not isinstance(settings.get("wifi"), dict):
        raise ValueError("setting wifi has the wrong type")


def step(**given):
    return {"version": "1.0", "steps": [{"action": {"name": "one", "type": "runHandler", "input": given}}]}


def test_documents_nested_too_deep_are_rejected():
    source = {"path": ROOT + "/data/x", "url": "http://x/", "sha256": "0" * 64}
    documents = (
        "DEEP", ["DEEP"], {"operation": "DEEP"}, {"operation": ["DEEP", "DEEP"]}, {"x": "DEEP"},
        {"operation": "files", "fetch": "DEEP"}, {"operation": "files", "fetch": ["DEEP"]},
        {"operation": "files", "fetch": [dict(source, path="DEEP")]}, {"operation": "files", "delete": "DEEP"},
        {"operation": "files", "fetch": [dict(source, url="DEEP")]}, {"operation": "files", "list": "DEEP"},
        {"operation": "app", "files": [dict(source, path="DEEP")]}, {"operation": "app", "files": "DEEP"},
        {"operation": "settings", "set": "DEEP"}, {"operation": "settings", "remove": "DEEP"},
        {"operation": "settings", "set": {"wifi": "DEEP"}}, {"operation": "call", "function": "DEEP"},
        # The depth is the only fault of this document.
        {"operation": "settings", "set": {"wifi": {"ssid": "DEEP"}}},
        {"operation": "call", "function": "show", "arguments": ["DEEP"]}, {"steps": "DEEP"}, step(handler="DEEP"),
        step(handler="show", args="DEEP"), step(handler="download-file", args=["DEEP", "DEEP"]),
    )
    for depth in DEPTHS:
        remove_all(ROOT)
        make_folders(ROOT + "/settings.json")
        with open(ROOT + "/settings.json", "w") as file:
            file.write('{"host": "a"}')
        trial.root = ROOT
        cloud = DeepCloud(depth)
        for number, document in enumerate(documents):
            if depth < DEEPEST and "ssid" in str(document):
                continue
            cloud.queue("deep-%d" % number, document)
            cloud.queue("quick-%d" % number, {"operation": "quick"})
        try:
            run(all_done, setup, cloud=cloud)
            with open(ROOT + "/settings.json") as file:
                assert file.read() == '{"host": "a"}'
            assert not trial.current()
        finally:
            trial.root = ""
            remove_all(ROOT)
        for execution in cloud.executions:
            if execution["jobId"].startswith("quick"):
                assert execution["status"] == "SUCCEEDED", execution
            elif execution["status"] != "SUCCEEDED":
                assert execution["status"] in ("FAILED", "REJECTED"), execution
                assert ujobs.checks.details_of(execution["statusDetails"]) == execution["statusDetails"]
                assert execution["statusDetails"]["reason"]


def test_deeply_nested_messages_are_refused():
    async def scenario(agent, cloud):
        await all_done(agent, cloud)
        for suffix in (b"notify-next", b"notify", b"start-next/accepted", b"start-next/rejected"):
            for payload in (b'"DEEP"', b'{"execution": "DEEP"}', b'{"clientToken": "DEEP"}', b'{"code": "DEEP"}'):
                cloud.broker.send(b"$aws/things/thing/jobs/" + suffix, payload)
        cloud.queue("a", {"operation": "quick"})
        await all_done(agent, cloud)
        assert len(cloud.broker.wires) == 1

    for depth in DEPTHS:
        cloud = run(scenario, handlers, cloud=DeepCloud(depth))
        assert cloud.statuses() == ["SUCCEEDED"]


def test_the_number_of_parts_is_limited():
    one_step, path = step(handler="show")["steps"][0], ROOT + "/data/x"
    cloud = finish(
        {"version": "1.0", "steps": [one_step] * 32}, {"version": "1.0", "steps": [one_step] * 33},
        {"operation": "files", "delete": [path] * 64}, {"operation": "files", "delete": [path] * 65}, setup=setup,
    )
    assert cloud.statuses() == ["SUCCEEDED", "REJECTED", "SUCCEEDED", "REJECTED"], cloud.executions
    assert "32" in cloud.reasons()[1] and "64" in cloud.reasons()[3], cloud.reasons()


def test_a_document_that_does_not_fit_into_memory_fails_its_job():
    real = ujobs.agent.parse

    def parse(payload):
        # 16 KB of text can become hundreds of KB of lists.
        if len(payload) > 2000:
            raise MemoryError("memory allocation failed")
        return real(payload)

    with Replaced(ujobs.agent, parse=parse):
        cloud = finish({"operation": "quick", "lists": [[]] * 1000}, {"operation": "quick"})
    assert cloud.statuses() == ["REJECTED", "SUCCEEDED"]
    assert "memory" in cloud.executions[0]["statusDetails"]["reason"]


def test_checking_a_string_leaves_nothing_in_memory():
    # MicroPython never frees one-character strings.
    points = range(0x4E00, 0x4E00 + 1000)
    strange = b"".join([bytes((0xE0 | n >> 12, 0x80 | n >> 6 & 63, 0x80 | n & 63)) for n in points]).decode()
    for use in (
        ujobs.checks.clean,
        lambda text: ujobs.checks.details_of({"key": text}),
        lambda text: raises(ValueError, ujobs.checks.details_of, {text + "!": "value"}),
        lambda text: raises(ValueError, check_plain, "//" + text[:200]),
    ):
        use("plain –")  # imports the modules needed for it
        before = used()
        use(strange)
        use("plain –")  # the collector may still find the last text on the C stack
        held = used() - before
        assert held < 500, held


def used():
    gc.collect()
    # CPython does not report it.
    return gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0
