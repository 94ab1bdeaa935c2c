"""The job types of the scripted session: their documents, their handlers, and their expected results.

`register()` gives an agent all handlers; they have effects only through the witness. Runs on MicroPython only.
"""

import asyncio
import hashlib
import json
import os
from binascii import hexlify

from app_image import image
from partitions import Partition
from witness import Witness, read

from board import FLASH, Reset
from web import File, Web

STEPS = 3
_SEEN = 48  # bytes of an image, more than what all begin with
# Too long for the journal's record.
_GONE = "the sensor at the far end of the furnace is gone, and was not seen again in ten minutes"
_LARGE = "0123456789abcdef" * 64  # a status detail of 1024 characters
_CONTENT = b"".join([b"%d reading\n" % number for number in range(2700)])  # more than the handler's checkpoint interval


class Kind:
    """status: the expected final status; cut: other final statuses allowed after a power loss. details: expected status
    details. repeats: how often one of its effects may happen without a power cut. crashes: whether the program may end
    with a MemoryError, after which a board's main.py resets it."""

    def __init__(
        self, document: dict, status: str = "SUCCEEDED", details: "dict | None" = None, cut: tuple = (),
        repeats: int = 1, crashes: bool = False,
    ):
        self.document = document
        self.status = status
        self.details = details or {}
        self.cut = cut
        self.repeats = repeats
        self.crashes = crashes


def _source(number, name):
    # Each job has other content, because a file that already exists is not fetched again.
    content = b"%d\n" % number + (b"pass\n" if name.endswith(".py") else _CONTENT)
    if name == "image":
        content = image(content)
    return content, {
        "path": name, "url": "http://files/%d/%s" % (number, name), "size": len(content),
        "sha256": hexlify(hashlib.sha256(content).digest()).decode(),
    }


def make(name: str, number: int) -> Kind:
    """Return the Kind with this name for the job with this number."""
    if name == "files":
        source = _source(number, "table")[1]
        source["path"] = FLASH + "/data/table"
        return Kind({"operation": "files", "fetch": [source]}, details={"fetched": "1"})
    if name == "app":
        files = [_source(number, path)[1] for path in ("app.py", "part.py")]
        return Kind({"operation": "app", "version": str(number), "files": files}, details={"version": str(number)})
    if name == "settings":
        return Kind({"operation": "settings", "set": {"number": number}})
    if name == "firmware":
        document = {"operation": "firmware", "version": str(number)}
        document.update(_source(number, "image")[1])
        del document["path"]
        # After a power cut before the new firmware is confirmed, the bootloader rolls back.
        return Kind(document, details={"version": str(number)}, cut=("FAILED",))
    if name == "steps":
        return Kind({"version": "1.0", "steps": [
            _action(0, "runHandler", handler="effect", args=["steps-%d" % number, "0"]),
            _action(1, "runHandler", handler="reboot"),
            _action(2, "runCommand", command="effect,steps-%d,1" % number),
        ]})
    return _PLAIN[name]


def _action(number, kind, **given):
    return {"action": {"name": "step %d" % number, "type": kind, "input": given}}


_PLAIN = {
    "quick": Kind({"operation": "quick", "n": 42}, details={"answer": "42"}),
    "nothing": Kind({"operation": "nothing"}),
    "long": Kind({"operation": "long"}, details={"progress": "3/3"}),
    "plain": Kind({"operation": "plain"}, details={"progress": "3/3"}),
    "large": Kind({"operation": "large"}, details={"first": _LARGE, "second": _LARGE}),
    "fail": Kind({"operation": "fail"}, "FAILED", {"reason": "OSError: " + _GONE}),
    "reject": Kind({"operation": "reject"}, "REJECTED", {"reason": "not on a Sunday"}),
    "unknown": Kind({"operation": "unheard-of"}, "REJECTED"),
    "resume": Kind({"operation": "resume"}, details={"deposited": "3"}),
    "once": Kind({"operation": "once"}, cut=("FAILED",)),
    "reboot": Kind({"operation": "reboot"}, details={"reset_cause": "HARD_RESET"}),
    "hang": Kind({"operation": "hang"}, "FAILED", repeats=3),
    "exhaust": Kind({"operation": "exhaust"}, "FAILED"),
    "hoard": Kind({"operation": "hoard"}, "FAILED", repeats=3, crashes=True),
    "fill": Kind({"operation": "fill"}, "FAILED"),
    "forget": Kind({"operation": "forget"}, repeats=2),
}

# In the order of the session: each job starts with the flash that the previous one left.
SESSION = (
    "quick", "long", "fail", "resume", "large", "reject", "plain", "unknown", "once", "reboot", "steps", "settings",
    "nothing", "files", "app", "firmware",
)
# Memory that a handler holds until the next reset.
hoarded = []
MISBEHAVING = ("hang", "exhaust", "hoard", "fill", "forget")


def first_files() -> None:
    """Write the files that the session's jobs need to an empty flash."""
    os.mkdir(FLASH + "/data")
    with open(FLASH + "/settings.json", "w") as file:
        json.dump({"number": 0}, file)


def web() -> Web:
    """The file server."""

    def answer(connection):
        _, number, name = connection.request.split()[1].decode().split("/")
        return File(_source(int(number), name)[0])(connection)

    return Web(answer, piece=1024)


def installed(name: str) -> object:
    """Return the current state of the flash content that a job type changes; None: it changes nothing."""
    if name == "settings":
        return json.loads(read("/settings.json"))["number"]
    if name == "files":
        return read("/data/table")
    if name == "app":
        slot = read("/app-slot").decode() or "/app"
        return [read(slot + "/" + path) for path in ("app.py", "part.py")]
    if name == "firmware":
        image = bytearray(_SEEN)
        Partition(Partition.RUNNING).readblocks(0, image)
        return bytes(image)
    if name == "resume":
        return read("/effects").decode()
    return None


def new(name: str, number: int) -> object:
    """Return that state after the job has succeeded."""
    if name == "settings":
        return number
    if name == "files":
        return _source(number, "table")[0]
    if name == "app":
        return [_source(number, path)[0] for path in ("app.py", "part.py")]
    if name == "firmware":
        return _source(number, "image")[0][:_SEEN]
    if name == "resume":
        return "resume-%d %d" % (number, STEPS)
    return None


def settled() -> bool:
    """Whether no trial is active: the running version will also run after the next reset."""
    loader = Partition.bootloader
    return not read("/trial") and loader.next_to_boot == loader.running and not loader.unproven


def register(agent, witness: Witness) -> None:
    """Register a handler for each job type."""
    agent.use(
        "app", "files", "firmware", "reboot", "settings", "steps", check_settings=lambda settings: None,
        roots=(FLASH + "/data",),
        functions={"effect": lambda job_id, step: witness.effect(job_id, int(step))},
    )

    def on(step_timeout=10, on_restart="rerun", max_attempts=3):
        def add(function):
            def plain(job):
                witness.started(job)
                try:
                    return function(job)
                finally:
                    witness.ended()

            async def waiting(job):
                witness.started(job)
                try:
                    return await function(job)
                finally:
                    witness.ended()

            name = function.__name__
            agent.on(name, step_timeout, on_restart, max_attempts)(plain if name in _NOT_ASYNC else waiting)

        return add

    _ordinary(on, witness)
    _misbehaving(on, witness)


_NOT_ASYNC = ("nothing", "plain", "reject", "hang", "hoard", "forget")


def _ordinary(on, witness):
    # Imported again at each boot: both belong to that boot.
    import time

    from ujobs.agent import Reject

    @on()
    async def quick(job):
        witness.effect(job.job_id)
        return {"answer": str(job.document["n"])}

    @on()
    def nothing(job):
        witness.effect(job.job_id)

    @on(step_timeout=1)
    async def long(job):
        for step in range(STEPS):
            await job.progress(step, STEPS)
            await asyncio.sleep(45)
        witness.effect(job.job_id)

    @on(step_timeout=1)
    def plain(job):
        for step in range(STEPS * 20):
            job.tick(step // 20, STEPS)
            time.sleep_ms(2000)
        witness.effect(job.job_id)

    @on()
    async def large(job):
        witness.effect(job.job_id)
        return {"first": _LARGE, "second": _LARGE}

    @on()
    async def fail(job):
        witness.effect(job.job_id)
        raise OSError(_GONE.replace(" ", "\n", 1))

    @on()
    def reject(job):
        raise Reject("not on a Sunday")

    @on(on_restart="fail")
    async def once(job):
        witness.effect(job.job_id)
        await asyncio.sleep(5)

    @on(on_restart="resume", max_attempts=10)
    async def resume(job):
        step, _ = job.checkpoint or (0, "")
        while step < STEPS:
            witness.effect(job.job_id, step)
            witness.deposit(job.job_id, step)
            await asyncio.sleep(5)
            # Every other time, longer than littlefs stores in the directory block.
            job.save((step + 1, "x" * (step % 2 * 200)))
            witness.checkpointed(job.job_id, step)
            step += 1
        return {"deposited": str(step)}


def _misbehaving(on, witness):
    @on()
    def hang(job):
        witness.effect(job.job_id)
        # On a board, the watchdog ends an endless loop.
        raise Reset

    @on()
    async def exhaust(job):
        witness.effect(job.job_id)
        taken = []
        while True:
            taken.append(bytearray(100000 // (1 + len(taken) // 200)))

    @on()
    def hoard(job):
        witness.effect(job.job_id)
        size = 1 << 20
        while size > 64:
            try:
                hoarded.append(bytearray(size))
            except MemoryError:
                size //= 2
        raise MemoryError

    @on()
    async def fill(job):
        witness.effect(job.job_id)
        with open(FLASH + "/data/full", "wb") as file:
            while True:
                file.write(bytes(1024))

    @on()
    def forget(job):
        witness.effect(job.job_id)
        for name in os.listdir(FLASH + "/ujobs-journal"):
            os.remove(FLASH + "/ujobs-journal/" + name)
        os.rmdir(FLASH + "/ujobs-journal")
