"""Updates of application and firmware: successful, rolled back, and with resets at random times."""

import time

from ujobs_tools.aws.executions import details_of
from ujobs_tools.qualify.application import application
from ujobs_tools.qualify.bench import Bench
from ujobs_tools.qualify.case import FILES, FIRMWARE, RESET_LINE, TWO_PARTITIONS, Case, Unexpected, share
from ujobs_tools.qualify.transfer import Streams, entry

_PATIENCE = 240.0  # seconds for an update with its trial
_BROKEN = b"raise ValueError('this version does not start')\n"
_PARTS = 5  # parts of --resets; this case gets one
_LONGEST = 6.0  # seconds from the start of the update to its last reboot


def _application(number: int) -> dict[str, bytes]:
    return application() | {"qualified.py": f"VERSION = {number}\n".encode()}


def _create(bench: Bench, streams: Streams, number: int, files: dict[str, bytes]) -> str:
    stream = streams.stream(f"app-{number}", *files.values())
    entries = [entry(path, content, file=at) for at, (path, content) in enumerate(files.items())]
    return bench.account.create({"operation": "app", "version": str(number), "stream": stream, "files": entries})


def _running(bench: Bench) -> str:
    return bench.job({"operation": "facts"})["version"]


def _taken(bench: Bench) -> str:
    with Streams(bench) as streams:
        start = time.monotonic()
        bench.account.expect(_create(bench, streams, 1, _application(1)), "SUCCEEDED", _PATIENCE, version="1")
        bench.figure("seconds", time.monotonic() - start)
        found = _running(bench)
    if found != "1":
        raise Unexpected(f"SUCCEEDED, but version {found} runs")
    return "SUCCEEDED, version 1 runs"


def _rolled_back(bench: Bench) -> str:
    before = _running(bench)
    with Streams(bench) as streams:
        files = _application(2) | {"app.py": _BROKEN}
        found = details_of(bench.account.expect(_create(bench, streams, 2, files), "FAILED", _PATIENCE))
        after = _running(bench)
    if after != before:
        raise Unexpected(f"FAILED, but version {after} runs, not {before}")
    return f"FAILED, {found.get('reason')}; version {after} runs again"


def _with_resets(bench: Bench) -> str:
    account, random = bench.account, bench.random("updates")
    count = share(bench.choices.resets, _PARTS)
    said = []
    with Streams(bench) as streams:
        for at in range(count):
            number = 10 + at
            moment = random.uniform(0, _LONGEST)
            job = _create(bench, streams, number, _application(number))
            bench.reset_after(moment, _PATIENCE)
            found = account.wait(job, _PATIENCE)
            runs = _running(bench)
            taken = found["status"] == "SUCCEEDED"
            if taken != (runs == str(number)):
                raise Unexpected(f"{found['status']} {details_of(found)}, but version {runs} runs, not {number}")
            said.append(found["status"])
            bench.say(f"         {at + 1} of {count}: {1000 * moment:.0f} ms, {found['status']}, version {runs} runs")
    return f"{count} resets: {said.count('SUCCEEDED')} SUCCEEDED, {said.count('FAILED')} FAILED; versions match"


def _firmware(bench: Bench) -> str:
    image = bench.choices.firmware
    assert image is not None
    content = image.read_bytes()
    before = bench.job({"operation": "facts"}).get("partition", "")
    with Streams(bench) as streams:
        stream = streams.stream("firmware", content)
        start = time.monotonic()
        file = {name: value for name, value in entry("", content, file=0).items() if name != "path"}
        job = bench.account.create({"operation": "firmware", "version": "1", "stream": stream, **file})
        bench.account.expect(job, "SUCCEEDED", 1200)
        bench.figure("seconds", time.monotonic() - start)
        after = bench.job({"operation": "facts"}).get("partition", "")
    if after == before:
        raise Unexpected(f"SUCCEEDED, but {after} runs as before")
    return f"SUCCEEDED, {after} runs instead of {before}"


CASES = (
    Case("updates.app", "an application by stream: SUCCEEDED, and the new version runs", _taken, (FILES,),
         lambda resets: 2),
    Case("updates.rollback", "an application that does not start: FAILED, and the previous version runs", _rolled_back,
         (FILES,), lambda resets: 3),
    Case("updates.resets", "resets at random times of updates: the status matches the version", _with_resets,
         (FILES, RESET_LINE), lambda resets: 2 * share(resets, _PARTS)),
    Case("updates.firmware", "firmware for the other partition: SUCCEEDED, and the board runs from it", _firmware,
         (FILES, TWO_PARTITIONS, FIRMWARE), lambda resets: 3),
)
