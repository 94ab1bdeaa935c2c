"""A thing of `ujobs serve` for a measurement, and its jobs."""

import contextlib
import itertools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ujobs_lab.bench.documents import document_text
from ujobs_lab.bench.servers import UjobsServe
from ujobs_tools.aws import cloud, fleet
from ujobs_tools.host.processes import wait_until

_PATIENCE = 10.0  # seconds
_names = itertools.count(1)


class Work:
    """A new thing and its jobs. folder: for its certificates; created if missing."""

    def __init__(self, service: UjobsServe, folder: Path) -> None:
        self.service = service
        self.thing = fleet.create_thing(f"measured-{next(_names)}", folder / "thing", service.endpoint_url)
        self._iot = cloud.client("iot", service.endpoint_url)

    def allow_observer(self) -> None:
        """Allow the thing's certificate to connect with any client id, which the device policy does not allow."""
        statement = {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        with contextlib.suppress(self._iot.exceptions.ResourceAlreadyExistsException):
            self._iot.create_policy(policyName="observer", policyDocument=document)
        self._iot.attach_policy(policyName="observer", target=self.thing.certificate_arn)

    def offer(self, count: int, size: int = 1024) -> list[str]:
        """Create `count` jobs with documents of about `size` bytes; returns their ids."""
        text = document_text(size)
        return [self.create(text)[0] for _ in range(count)]

    def create(self, text: str) -> tuple[str, float]:
        """Create a job with this document; returns its id and the time.monotonic() before CreateJob."""
        job_id = f"job-{next(_names)}"
        began = time.monotonic()
        self._iot.create_job(jobId=job_id, targets=[self.thing.arn], document=text)
        return job_id, began

    def cancel(self, job_id: str) -> None:
        """Cancel a job, even if it is in progress."""
        self._iot.cancel_job(jobId=job_id, force=True)

    def check(self, job_ids: Sequence[str]) -> None:
        """Wait until all of these jobs have SUCCEEDED: a device by hand does not wait for the reply to its last update.

        Raises NotReady.
        """
        for job_id in job_ids:
            wait_until(lambda job_id=job_id: self.status(job_id) == "SUCCEEDED", f"SUCCEEDED of {job_id}", _PATIENCE)

    def status(self, job_id: str) -> str:
        """The status of the thing's execution of a job."""
        found = self._iot.describe_job_execution(jobId=job_id, thingName=self.thing.name)
        status: str = found["execution"]["status"]
        return status

    def options(self, secure: bool, **more: Any) -> dict[str, Any]:
        """Connection options for the programs of on_board/. secure: over TLS. more: further options."""
        options = {"thing": self.thing.name, "host": "localhost" if secure else "127.0.0.1"}
        if secure:
            options |= {"port": self.service.mqtts, "certificates": str(self.thing.directory)}
        else:
            options |= {"port": self.service.mqtt}
        return options | more
