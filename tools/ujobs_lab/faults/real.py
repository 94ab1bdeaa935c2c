"""Real processes for fault injection: `ujobs serve`, agents on MicroPython behind proxies, and their checker.

The checker uses the service's own record of every execution, and the files in which handlers record their effects.
"""

import contextlib
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ujobs_lab import REPOSITORY
from ujobs_lab.faults.proxy import Profile, Proxy
from ujobs_lab.faults.sessions import PROGRAMS
from ujobs_tools.aws import cloud, fleet
from ujobs_tools.aws.executions import TERMINAL
from ujobs_tools.board import umqtt
from ujobs_tools.board.interpreter import environment, find_micropython
from ujobs_tools.host.processes import kill_group, read_ready_file, running, ujobs

_STATUSES = {"quick": "SUCCEEDED", "long": "SUCCEEDED", "steps": "SUCCEEDED", "broken": "FAILED"}
_EFFECTS = {"quick": [""], "long": [""], "steps": [" 0", " 1", " 2", " 3", " 4"], "broken": [""]}


@dataclass(frozen=True)
class Outcome:
    """faults: the injected faults, in words. wrong: broken promises. log: what the board printed."""

    faults: str
    wrong: list[str]
    log: Sequence[str]


class Service:
    """`ujobs serve` on a folder, always on the same ports, until the end of `with`. found: content of its ready file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._ports: list[str] = []
        self.found: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def restart(self) -> None:
        """Kill it, and start it again with its data."""
        assert self._process is not None
        kill_group(self._process)
        self._start()

    def _start(self) -> None:
        ready = self._folder / "ready.json"
        ready.unlink(missing_ok=True)
        command = ujobs("serve", "--data", self._folder / "data", "--ready-file", ready, *self._ports)
        log = self._stack.enter_context((self._folder / "serve.log").open("ab"))
        self._process = self._stack.enter_context(running(command, log))
        self.found = read_ready_file(ready, self._process)
        http = self.found["http"].rpartition(":")[2]
        for name, port in (("http", http), ("mqtt", self.found["mqtt"]), ("mqtts", self.found["mqtts"])):
            self._ports += [f"--{name}-port", str(port)]


class Board:
    """An agent on MicroPython with its four jobs, until the end of `with`.

    name: thing name; names that begin with "tls" connect with TLS. folder: for all its files. kills: number of power
    cuts.
    """

    def __init__(self, name: str, folder: Path, service: Service, profile: Profile) -> None:
        self.name = name
        self.folder = folder
        self.kills = 0
        self._http = service.found["http"]
        self._iot: Any = cloud.client("iot", self._http)
        self._stack = contextlib.ExitStack()
        self._proxy = Proxy(service.found["mqtts" if name.startswith("tls") else "mqtt"], profile)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        thing = fleet.create_thing(self.name, self.folder, self._http)
        for operation in _STATUSES:
            document = json.dumps({"operation": operation})
            self._iot.create_job(jobId=f"{self.name}-{operation}", targets=[thing.arn], document=document)
        self._stack.enter_context(self._proxy)
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def cut_power(self) -> None:
        """Cut its power, and switch it on again."""
        assert self._process is not None
        kill_group(self._process)
        self.kills += 1
        self._start()

    def worked(self) -> bool:
        """Whether a handler has had an effect."""
        return (self.folder / "effects").exists()

    def ended(self) -> bool:
        """Whether all of its jobs have ended."""
        return all(self._status(operation) in TERMINAL for operation in _STATUSES)

    def judge(self, faults: str) -> Outcome:
        """Compare the records of the service and of the handlers. faults: for the Outcome."""
        wrong = []
        for operation, expected in _STATUSES.items():
            status = self._status(operation)
            if status != expected:
                wrong.append(f"{operation} is {status}")
            url = f"{self._http}/_ujobs/executions/{self.name}/{self.name}-{operation}/history"
            history = [entry["status"] for entry in json.loads(cloud.get(url))["history"]]
            if sum(status in TERMINAL for status in history) > 1:
                wrong.append(f"{operation} went through {history}")
        done = (self.folder / "effects").read_text().splitlines() if self.worked() else []
        wanted = {f"{self.name}-{operation}{step}" for operation, steps in _EFFECTS.items() for step in steps}
        # Only the step that a power cut interrupted may be repeated.
        if set(done) != wanted or len(done) > len(wanted) + self.kills:
            wrong.append(f"with {self.kills} power cuts handlers did {done}")
        return Outcome(faults, wrong, (self.folder / "log").read_text(errors="replace").splitlines())

    def _status(self, operation: str) -> str:
        described = self._iot.describe_job_execution(thingName=self.name, jobId=f"{self.name}-{operation}")
        status: str = described["execution"]["status"]
        return status

    def _start(self) -> None:
        command = [str(find_micropython()), "-X", "heapsize=2m", str(PROGRAMS / "link_program.py"), self.name]
        command += ["localhost", str(self._proxy.port), str(self.folder)]
        command += [str(self.folder) if self.name.startswith("tls") else ""]
        imports = environment(umqtt.find()[0], REPOSITORY / "lib")
        log = self._stack.enter_context((self.folder / "log").open("ab"))
        self._process = self._stack.enter_context(running(command, log, imports))
