"""A board whose power can be cut: the real agent and the real littlefs on simulated flash, network and time.

A reset drops all modules, tasks and open files; only flash, cloud and time survive. Time stops while code runs, and
jumps ahead when all tasks wait. Runs on MicroPython only.
"""

import asyncio
import builtins
import random
import sys
import time

import partitions
import vfs
from nor_flash import ALL, NorFlash, Power
from ota_flash import OtaFlash

from board_ticks import Ticks
from broker import Broker
from jobs_service import JobsService

_HEADROOM = 1000000  # milliseconds
_LOG = 80  # lines of the log
FLASH = "/flash"


class PowerCut(BaseException):
    """The processor stops."""


class Reset(BaseException):
    """The processor restarts, by machine.reset() or by the watchdog."""


class Stuck(Exception):
    """All tasks wait forever."""


class _Clock(Ticks):
    # The module `time` for the library. As on a board, its ticks start at another value after each reset.
    def __init__(self, board):
        self._board = board
        # MicroPython's scheduler uses the real time for ready tasks: it must not be ahead of this clock.
        self._offset = time.ticks_ms() + _HEADROOM - board.now

    def ticks(self):
        """The ticks for MicroPython's scheduler, which wrap around much later here than on a board."""
        return self._offset + self._board.now

    def sleep_ms(self, milliseconds):
        self._board.now += milliseconds

    def advance(self, milliseconds):
        # The event loop is idle. Without power, it does not get here.
        if self._board.power.off:
            raise PowerCut
        if self._board.on_step():
            return  # and its effects come first
        if milliseconds < 0:
            raise Stuck
        self._board.now += milliseconds


class _Machine:
    HARD_RESET = 2

    def reset(self):
        raise Reset

    def reset_cause(self):
        return self.HARD_RESET


class _Network(Broker):
    # The power can also fail at each message: before it leaves, or right after the cloud has received it.
    def __init__(self, board):
        super().__init__()
        self._board = board
        self.on_publish = board.service.received

    def received(self, wire, kind, body):
        power = self._board.power
        self._board.on_step()
        if not power.off and (kind >> 4 != 3 or power.lasts(whole=True) == ALL):
            super().received(wire, kind, body)
        if power.off:
            raise PowerCut


class Board:
    """content: of the flash, a bytearray that is used in place. now: start of the time, milliseconds. sectors: of the
    application partitions, see OtaFlash.

    power, flash: of the current boot. service: the cloud. log: the last lines that the board printed. starts: number of
    boots. on_step(): called before each wait and each message of the board, when events from outside can reach it;
    returns whether it has done something.
    """

    def __init__(self, content: bytearray, now: int = 0, sectors: "dict | None" = None):
        self.content = content
        self.sectors = {} if sectors is None else sectors
        self.on_step = lambda: False
        self.now = now
        self.power = Power()
        self.service = JobsService(lambda topic, payload, qos: self._network.send(topic, payload, 1), self.seconds)
        self.flash = None
        self.log = []
        self.starts = 0
        self._network = _Network(self)
        self.open_connection = None

    def forget_messages(self) -> None:
        """Drop the broker's record of past messages."""
        self._network.packets.clear()
        self._network.published.clear()

    def seconds(self) -> float:
        """The time."""
        return self.now / 1000

    def start(self, before, setup, over, limit: int = 4 * 3600) -> str:
        """Boot once; return "over", "cut" (power loss), "reset", or the error.

        before(): called once the flash is mounted. setup(agent): registers handlers. over(agent): whether all is done,
        called every second. limit: seconds of the board's time.
        """
        self.starts += 1
        self.flash = NorFlash(self.content, self.power)
        self._network = _Network(self)
        try:
            # The bootloader writes to flash as well.
            partitions.Partition.bootloader = partitions.Bootloader(OtaFlash(self.sectors, self, PowerCut))
        except PowerCut:
            return "cut"
        try:
            vfs.mount(vfs.VfsLfs2(self.flash), FLASH)
        except OSError as error:
            return "the file system does not mount: %s" % error
        real_print, builtins.print = print, self._print
        try:
            _fresh(self)
            before()
            end = asyncio.run(self._main(setup, over, self.now + limit * 1000))
        except PowerCut:
            end = "cut"
        except Reset:
            end = "reset"
        except Exception as error:
            sys.print_exception(error)
            end = "the program ended: %s %s" % (type(error).__name__, error)
        finally:
            builtins.print = real_print
            vfs.umount(FLASH)
            self.flash.let_go()
            # Without their event loop, the tasks of this boot cannot continue.
            asyncio.new_event_loop()
        return "cut" if self.power.off else end

    async def _main(self, setup, over, end):
        import ujobs.trial as trial
        from ujobs.agent import Agent
        from ujobs.link import Link

        trial.root = FLASH
        trial.boot()
        asyncio.open_connection = self._connect
        agent = Agent("thing", link=Link(b"thing", "cloud"), directory=FLASH + "/ujobs-journal")
        setup(agent)
        running = asyncio.create_task(agent.run())
        while self.now < end:
            self.service.expire()
            if running.done():
                await running
                return "the agent ended"
            if agent.link.up.is_set():
                trial.confirm()
            if over(agent):
                return "over"
            await asyncio.sleep(1)
        return "not finished after %d s" % (end // 1000)

    async def _connect(self, host, port, ssl=None, server_hostname=None):
        where = self._network.open_connection if host == "cloud" else self.open_connection
        return await where(host, port, ssl=ssl, server_hostname=server_hostname)

    def _print(self, *words, **named):
        self.log.append(" ".join([str(word) for word in words]))
        del self.log[:-_LOG]


def _fresh(board: Board) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] in ("ujobs", "umqtt", "app")]:
        del sys.modules[name]
    clock = _Clock(board)
    sys.modules["time"] = clock
    sys.modules["machine"] = _Machine()
    sys.modules["esp32"] = partitions
    asyncio.new_event_loop()
    asyncio.core.ticks = clock.ticks
    asyncio.core._io_queue.wait_io_event = clock.advance
    random.seed(board.starts)
