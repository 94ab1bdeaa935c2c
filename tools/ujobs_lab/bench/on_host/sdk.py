"""A device that does jobs with the AWS IoT Device SDK for Python v2, in the steps of the SDK's own sample for Jobs.

It subscribes to the next job and to both replies of both requests, starts the next job, reports SUCCEEDED, and starts
another one when the report is accepted. The sample's pause for work is left out."""

import json
import os
import threading
from typing import Any

from awscrt import mqtt
from awsiot import iotjobs, mqtt_connection_builder

from ujobs_lab.bench.on_host import no_delay

_PATIENCE = 10.0  # seconds


class Device:
    """options: those of on_board/connecting.py; jobs, after which `done` is set, 0: never; no_delay, whether to set
    TCP_NODELAY."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._thing = options["thing"]
        self._left = options["jobs"]
        self._no_delay = options.get("no_delay", False)
        self.done = threading.Event()
        # Callbacks run in the SDK's own thread, the first request in this one.
        self._lock = threading.Lock()
        self._working = False
        self._waiting = False
        folder = options["certificates"]
        self.connection = mqtt_connection_builder.mtls_from_path(
            endpoint=options["host"], port=options["port"], client_id=self._thing, clean_session=True,
            keep_alive_secs=60, ca_filepath=f"{folder}/ca.pem", cert_filepath=f"{folder}/cert.pem",
            pri_key_filepath=f"{folder}/key.pem",
        )
        self._jobs = iotjobs.IotJobsClient(self.connection)

    def run(self) -> None:
        """Connect, subscribe, and request the first job."""
        self.connection.connect().result(_PATIENCE)
        if self._no_delay:
            # The SDK has no option for it, and does not expose its sockets.
            no_delay.set_on_every_socket()
        once, job = {"thing_name": self._thing}, {"thing_name": self._thing, "job_id": "+"}
        jobs = self._jobs
        self._subscribe(jobs.subscribe_to_next_job_execution_changed_events,
                        iotjobs.NextJobExecutionChangedSubscriptionRequest(**once), self._changed)
        start_next = iotjobs.StartNextPendingJobExecutionSubscriptionRequest(**once)
        self._subscribe(jobs.subscribe_to_start_next_pending_job_execution_accepted, start_next, self._started)
        self._subscribe(jobs.subscribe_to_start_next_pending_job_execution_rejected, start_next, self._refused)
        update = iotjobs.UpdateJobExecutionSubscriptionRequest(**job)
        self._subscribe(jobs.subscribe_to_update_job_execution_accepted, update, self._updated)
        self._subscribe(jobs.subscribe_to_update_job_execution_rejected, update, self._refused)
        self._start_next()

    def _subscribe(self, subscribe: Any, request: Any, callback: Any) -> None:
        subscribe(request, mqtt.QoS.AT_LEAST_ONCE, callback)[0].result(_PATIENCE)

    def _start_next(self) -> None:
        with self._lock:
            if self._working:
                self._waiting = True
                return
            self._working = True
            self._waiting = False
        request = iotjobs.StartNextPendingJobExecutionRequest(thing_name=self._thing)
        self._jobs.publish_start_next_pending_job_execution(request, mqtt.QoS.AT_LEAST_ONCE)

    def _changed(self, event: iotjobs.NextJobExecutionChangedEvent) -> None:
        if event.execution:
            self._start_next()

    def _started(self, reply: iotjobs.StartNextJobExecutionResponse) -> None:
        execution = reply.execution
        if execution is None or execution.job_document is None:
            self._idle()
            return
        request = iotjobs.UpdateJobExecutionRequest(
            thing_name=self._thing, job_id=execution.job_id, status=iotjobs.JobStatus.SUCCEEDED,
            expected_version=execution.version_number, execution_number=execution.execution_number,
            status_details={"steps": str(len(execution.job_document["steps"]))},
        )
        self._jobs.publish_update_job_execution(request, mqtt.QoS.AT_LEAST_ONCE)

    def _updated(self, reply: iotjobs.UpdateJobExecutionResponse) -> None:
        self._left -= 1
        if self._left == 0:
            self.done.set()
        self._idle()

    def _idle(self) -> None:
        with self._lock:
            self._working = False
            waiting = self._waiting
        if waiting:
            self._start_next()

    def _refused(self, error: iotjobs.RejectedError) -> None:
        raise SystemExit(f"rejected: {error.code} {error.message}")


def main() -> None:
    device = Device(json.loads(os.environ["UJOBS_BENCH"]))
    device.run()
    device.done.wait()
    device.connection.disconnect().result(_PATIENCE)
    print(json.dumps({}))


if __name__ == "__main__":
    main()
