"""The board's policy in the cloud, and a message that the service rejects."""

from ujobs_tools.deploy.provision import CONNECTED
from ujobs_tools.qualify.bench import Bench
from ujobs_tools.qualify.case import Case, Unexpected

_PATIENCE = 120.0  # seconds


def _anothers_topic(bench: Bench) -> str:
    account, board = bench.account, bench.board
    other = f"{account.prefix}-other"
    arn = account.iot.create_thing(thingName=other)["thingArn"]
    account.iot.create_job(jobId=f"{other}-job", targets=[arn], document='{"operation": "blink"}')
    try:
        since = len(board.lines)
        bench.job({"operation": "publish", "topic": f"$aws/things/{other}/jobs/start-next"}, seconds=_PATIENCE)
        board.wait_for("ujobs: no link", _PATIENCE, since)
        board.wait_for(CONNECTED, _PATIENCE, since)
        found = account.iot.describe_job_execution(thingName=other, jobId=f"{other}-job")["execution"]["status"]
    finally:
        account.iot.delete_job(jobId=f"{other}-job", force=True)
        account.iot.delete_thing(thingName=other)
    if found != "QUEUED":
        raise Unexpected(f"the other thing's job is {found}: its policy lets the board act for others")
    bench.job({"operation": "blink", "times": 1})
    return "the connection was closed, the other thing's job is still QUEUED, the board has connected again"


def _refused(bench: Bench) -> str:
    said = bench.job({"operation": "oversize", "length": 1025})
    if not said["answer"].startswith("InvalidRequest"):
        raise Unexpected(said["answer"])
    return f"{said['answer']}; the job SUCCEEDED"


CASES = (
    Case("mqtt.policy", "another thing's topics are refused, its jobs untouched, and the board connects again",
         _anothers_topic, executions=lambda resets: 3),
    Case("mqtt.oversize", "status details over the service's limit are rejected, and the job continues", _refused),
)
