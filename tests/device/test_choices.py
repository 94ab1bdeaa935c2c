"""firmware/choices.py: with several networks or hosts, the board tries the last one that worked first."""

import asyncio
import os
import sys

import ujobs.trial as trial
from replaced import Replaced
from restarts import ROOT, remove_all

sys.path.append(__file__.rsplit("/", 1)[0] + "/../../firmware")
import choices  # noqa: E402

sys.path.pop()


class Link:
    """A link that connects to one host only. hosts: that connect() was called for."""

    def __init__(self, reachable):
        self.reachable = reachable
        self.server = "unset"
        self.hosts = []

    async def connect(self):
        self.hosts.append(self.server)
        if self.server != self.reachable:
            raise OSError(113)


def connect(link, times):
    for _ in range(times):
        try:
            asyncio.run(link.connect())
        except OSError:
            pass


def on_flash(scenario):
    remove_all(ROOT)
    os.mkdir(ROOT)
    with Replaced(trial, root=ROOT):
        scenario()
    remove_all(ROOT)


def test_hosts_are_tried_in_turn_starting_with_the_last_that_worked():
    def scenario():
        config = {"host": ["a", "b", "c"]}
        assert choices.hosts(config) == ["a", "b", "c"]
        link = Link("b")
        choices.take_turns(link, choices.hosts(config))
        connect(link, 3)
        assert link.hosts == ["a", "b", "b"]
        assert choices.hosts(config) == ["b", "a", "c"]
        link.reachable = "a"
        connect(link, 4)
        assert link.hosts[3:] == ["b", "c", "a", "a"]
        assert choices.hosts(config) == ["a", "b", "c"]

    on_flash(scenario)


def test_a_single_host_is_left_to_the_link():
    def scenario():
        assert choices.hosts({"host": "a"}) == choices.hosts({"host": ["a"]}) == ["a"]
        link = Link("a")
        choices.take_turns(link, ["a"])
        connect(link, 2)
        assert link.hosts == ["unset", "unset"]
        assert os.listdir(ROOT) == []

    on_flash(scenario)


def test_networks_are_tried_in_order_starting_with_the_last_that_worked():
    def scenario():
        assert choices.networks({"wifi": None}) == []
        assert choices.networks({"wifi": {"ssid": "home"}}) == [("home", "")]
        config = {"wifi": [{"ssid": "home", "password": "secret-1"}, {"ssid": "shed"}, {"ssid": "café"}]}
        choices.joined(("café", ""))
        assert [name for name, _ in choices.networks(config)] == ["café", "home", "shed"]
        # A network that is no longer in the settings is ignored.
        assert choices.networks({"wifi": config["wifi"][:2]}) == [("home", "secret-1"), ("shed", "")]

    on_flash(scenario)


def test_an_unchanged_choice_is_not_written_again():
    def scenario():
        written = []
        real = trial.write
        with Replaced(trial, write=lambda name, text: (written.append(name), real(name, text))):
            for name in ("a", "a", "b", "b", "b"):
                choices.joined((name, ""))
        assert len(written) == 2

    on_flash(scenario)


def test_a_flash_that_cannot_be_written_does_not_keep_the_board_offline():
    def full(name, text):
        raise OSError(28)

    def scenario():
        with Replaced(trial, write=full):
            link = Link("b")
            choices.take_turns(link, ["a", "b"])
            connect(link, 2)
        assert link.hosts == ["a", "b"]

    on_flash(scenario)
