"""Makes CPython behave like MicroPython for device code: `time`, `asyncio` and sockets.

`install()` adds functions that CPython's modules lack: ticks that wrap around, and asyncio streams over non-blocking
sockets that return the bytes that have arrived. It also makes the event loop re-enterable, like MicroPython's, and
makes `const` known without an import, as it is to MicroPython's compiler. Call it once.
"""

import asyncio
import asyncio.tasks
import builtins
import errno
import gc
import socket
import sys
import time
import traceback
import types

from micropython import const

_PERIOD = 1 << 30
HEAP = 65536  # bytes that gc.mem_free() returns


def ticks_ms():
    # Start near the end of the period, so that ticks wrap around in every long test run.
    return (int(time.monotonic() * 1000) + _PERIOD - 3000) % _PERIOD


def ticks_add(ticks, delta):
    return (ticks + delta) % _PERIOD


def ticks_diff(end, start):
    return ((end - start + _PERIOD // 2) % _PERIOD) - _PERIOD // 2


class Socket:
    """A plain socket with MicroPython's stream methods: they return None, not an exception, if there are no bytes."""

    def __init__(self, sock):
        self.sock = sock

    def setblocking(self, flag):
        # On ESP32 this also removes a timeout that was set before.
        self.sock.setblocking(flag)

    def setsockopt(self, level, option, value):
        self.sock.setsockopt(level, option, value)

    def close(self):
        self.sock.close()

    def pending(self):
        return False

    def read(self, size):
        try:
            return self.sock.recv(size)
        except BlockingIOError:
            return None

    def readinto(self, view):
        try:
            return self.sock.recv_into(view)
        except BlockingIOError:
            return None

    def write(self, data):
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return None


class Stream:
    """MicroPython's asyncio.Stream, on the file descriptor events of CPython's loop."""

    def __init__(self, s):
        self.s = s
        self.out_buf = b""

    async def _ready(self, add, remove):
        if self.s.pending():
            return await asyncio.sleep(0)
        descriptor = getattr(self.s, "raw", self.s).sock.fileno()
        if descriptor < 0:
            raise OSError(errno.EBADF)
        waiting = asyncio.get_running_loop().create_future()
        add(descriptor, lambda: waiting.done() or waiting.set_result(None))
        try:
            await waiting
        finally:
            remove(descriptor)

    async def readinto(self, view):
        loop = asyncio.get_running_loop()
        await self._ready(loop.add_reader, loop.remove_reader)
        return self.s.readinto(view)

    def write(self, data):
        done = 0
        if not self.out_buf:
            done = self.s.write(data) or 0
        self.out_buf += bytes(data[done:])

    async def drain(self):
        if not self.out_buf:
            return await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        while self.out_buf:
            await self._ready(loop.add_writer, loop.remove_writer)
            done = self.s.write(self.out_buf)
            if done is None:
                # During a handshake, wait for the other side, do not poll.
                await asyncio.sleep(0.001)
            self.out_buf = self.out_buf[done or 0 :]

    def close(self):
        pass

    async def wait_closed(self):
        self.s.close()


async def open_connection(host, port, ssl=None, server_hostname=None):
    address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    raw = socket.socket(*address[:3])
    raw.setblocking(False)
    code = raw.connect_ex(address[-1])
    if code not in (0, errno.EINPROGRESS):
        raise OSError(code, errno.errorcode[code])
    sock = Socket(raw)
    stream = Stream(sock)
    loop = asyncio.get_running_loop()
    await stream._ready(loop.add_writer, loop.remove_writer)
    if ssl:
        stream.s = ssl.wrap_socket(sock, server_hostname=server_hostname, do_handshake_on_connect=False)
    return stream, stream


async def wait_for(awaitable, timeout):
    """Like MicroPython's and, from 3.12, CPython's: a cancellation is not mistaken for the end of the awaited task."""
    async with asyncio.timeout(timeout):
        return await awaitable


class Loop(asyncio.SelectorEventLoop):
    """An event loop that a running task can run again, like MicroPython's."""

    def run_until_complete(self, future):
        if not self.is_running():
            return super().run_until_complete(future)
        outer = asyncio.current_task(self)
        waiting = len(self._ready)
        asyncio.tasks._leave_task(self, outer)
        try:
            task = asyncio.ensure_future(future, loop=self)
            while not task.done():
                self._run_once()
        finally:
            asyncio.tasks._enter_task(self, outer)
        # The outer iteration of the loop has already counted its callbacks and will remove that many.
        while len(self._ready) < waiting:
            self.call_soon(lambda: None)
        return task.result()


def run(coroutine, _run=asyncio.run):
    """Like MicroPython's asyncio.run(), which a running task can call as well."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return _run(coroutine)
    return loop.run_until_complete(coroutine)


def print_exception(error, file=None):
    traceback.print_exception(error, file=file)
    # Like MicroPython's, it fails when the text of the error does.
    str(error)


class _Policy(asyncio.DefaultEventLoopPolicy):
    _loop_factory = Loop


def install():
    builtins.const = const
    gc.mem_free = lambda: HEAP
    time.ticks_ms = ticks_ms
    time.ticks_add = ticks_add
    time.ticks_diff = ticks_diff
    time.sleep_ms = lambda milliseconds: time.sleep(milliseconds / 1000)
    asyncio.open_connection = open_connection
    asyncio.wait_for = wait_for
    asyncio.run = run
    asyncio.sleep_ms = lambda milliseconds: asyncio.sleep(milliseconds / 1000)
    sys.print_exception = print_exception
    asyncio.core = types.SimpleNamespace(cur_task=None)
    asyncio.set_event_loop_policy(_Policy())
