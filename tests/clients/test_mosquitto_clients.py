"""mosquitto's command-line clients over mutual TLS: jobs run from a shell, and the guarantees of MQTT 3.1.1.

A subscriber first creates a persistent session and disconnects (`-E`); later messages wait for it. So tests need not
wait for subscribers to be ready."""

import json
import subprocess
from typing import Any

import pytest

from installed import require
from ujobs_lab.external.mosquitto import find
from ujobs_tools.aws.fleet import Thing

PATIENCE = 10  # seconds


class Shell:
    """Runs mosquitto's clients as one thing. jobs: the prefix of its Jobs topics."""

    def __init__(self, thing: Thing) -> None:
        self.thing = thing
        self.jobs = f"$aws/things/{thing.name}/jobs/"
        files = {"--cafile": "ca.pem", "--cert": "cert.pem", "--key": "key.pem"}
        self.connection = ["-h", thing.host, "-p", str(thing.port)]
        for option, name in files.items():
            self.connection += [option, str(thing.directory / name)]

    def command(self, program: str, *options: str) -> list[str]:
        """The command line of a client."""
        path = find(program)
        require(path, program, "install mosquitto-clients; with apt-get `make clients` does")
        return [str(path), *self.connection, *options]

    def run(self, program: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run a client until it ends."""
        return subprocess.run(self.command(program, *options), capture_output=True, text=True, timeout=PATIENCE)

    def publish(self, topic: str, message: str, *options: str) -> int:
        """Publish at QoS 1; returns the exit code of mosquitto_pub, 0 if acknowledged."""
        return self.run("mosquitto_pub", "-q", "1", "-t", topic, "-m", message, *options).returncode

    def ask(self, suffix: str, outcome: str, message: str) -> dict[str, Any]:
        """Send a request and wait for its reply on the same connection."""
        topic = self.jobs + suffix
        options = ["-V", "mqttv311", "-q", "1", "-W", str(PATIENCE), "-t", topic, "-e", f"{topic}/{outcome}"]
        asked = self.run("mosquitto_rr", *options, "-m", message)
        assert asked.returncode == 0, asked.stderr
        reply: dict[str, Any] = json.loads(asked.stdout)
        return reply


class Subscriber:
    """A persistent session with subscriptions at QoS 1."""

    def __init__(self, shell: Shell, client_id: str, *filters: str) -> None:
        self._shell = shell
        self._options = ["-c", "-q", "1", "-i", f"{shell.thing.name}-{client_id}"]
        for name in filters:
            self._options += ["-t", name]
        assert shell.run("mosquitto_sub", *self._options, "-E").returncode == 0

    def messages(self, count: int, *options: str) -> list[tuple[str, str, int, int]]:
        """Wait for this many messages; returns topic, payload, QoS and retain flag of each."""
        how = ["-F", "%j", "-C", str(count), "-W", str(PATIENCE), *options]
        received = self._shell.run("mosquitto_sub", *self._options, *how)
        assert received.returncode == 0, received.stderr
        found = [json.loads(line) for line in received.stdout.splitlines()]
        return [(item["topic"], item["payload"], item["qos"], item["retain"]) for item in found]


@pytest.fixture
def shell(open_thing: Thing) -> Shell:
    """Clients that connect as a thing without jobs."""
    return Shell(open_thing)


def test_a_job_runs_from_the_shell(shell: Shell, iot: Any) -> None:
    job_id = f"{shell.thing.name}-one"
    watcher = Subscriber(shell, "watcher", shell.jobs + "#")
    iot.create_job(jobId=job_id, targets=[shell.thing.arn], document='{"operation": "x"}')
    started = shell.ask("start-next", "accepted", '{"clientToken": "a", "stepTimeoutInMinutes": 5}')
    assert (started["clientToken"], started["execution"]["jobId"]) == ("a", job_id)
    assert started["execution"]["jobDocument"] == {"operation": "x"}
    update = {"status": "SUCCEEDED", "expectedVersion": "2", "statusDetails": {"by": "mosquitto_pub"}}
    assert shell.publish(f"{shell.jobs}{job_id}/update", json.dumps(update)) == 0
    ended = iot.describe_job_execution(thingName=shell.thing.name, jobId=job_id)["execution"]
    assert (ended["status"], ended["statusDetails"]["detailsMap"]) == ("SUCCEEDED", {"by": "mosquitto_pub"})
    # Replies go only to the client that sent the request, whatever others have subscribed to.
    messages = watcher.messages(4)
    assert [topic.removeprefix(shell.jobs) for topic, *_ in messages] == ["notify", "notify-next"] * 2
    first, following, last, nothing = (json.loads(payload) for _, payload, *_ in messages)
    assert [job["jobId"] for job in first["jobs"]["QUEUED"]] == [job_id]
    assert following["execution"]["jobDocument"] == {"operation": "x"}
    assert last["jobs"] == {}
    assert nothing.keys() == {"timestamp"}


def test_qos_1_messages_wait_for_a_disconnected_client(shell: Shell) -> None:
    topic = f"{shell.thing.name}/queue"
    reader = Subscriber(shell, "reader", f"{shell.thing.name}/+")
    for number in range(3):
        assert shell.publish(topic, str(number)) == 0
    assert shell.run("mosquitto_pub", "-q", "0", "-t", topic, "-m", "lost").returncode == 0
    assert shell.publish(topic, "3") == 0
    assert reader.messages(4) == [(topic, str(number), 1, 0) for number in range(4)]


def test_a_retained_message_is_sent_to_later_subscribers(shell: Shell) -> None:
    topic = f"{shell.thing.name}/state"
    assert shell.publish(topic, "old", "-r") == 0
    assert shell.publish(topic, "new", "-r") == 0
    assert Subscriber(shell, "late", topic).messages(1) == [(topic, "new", 1, 1)]
    assert shell.run("mosquitto_pub", "-q", "1", "-t", topic, "-r", "-n").returncode == 0
    later = Subscriber(shell, "later", topic)
    assert shell.publish(topic, "after") == 0
    assert later.messages(1) == [(topic, "after", 1, 0)]


def test_the_will_of_a_killed_client_is_published(shell: Shell) -> None:
    here, gone = f"{shell.thing.name}/here", f"{shell.thing.name}/gone"
    watcher = Subscriber(shell, "watcher", f"{shell.thing.name}/#")
    will = ["--will-topic", gone, "--will-payload", "no more", "--will-qos", "1", "--will-retain"]
    command = shell.command("mosquitto_pub", "-l", "-q", "1", "-t", here, *will)
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as talker:
        assert talker.stdin is not None
        print("up", file=talker.stdin, flush=True)
        try:
            assert watcher.messages(1) == [(here, "up", 1, 0)]
        finally:
            talker.kill()
    assert watcher.messages(1) == [(gone, "no more", 1, 0)]
    assert Subscriber(shell, "late", gone).messages(1) == [(gone, "no more", 1, 1)]
