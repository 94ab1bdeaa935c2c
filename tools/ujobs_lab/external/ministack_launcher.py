"""Main program: runs MiniStack with every listener on 127.0.0.1, and ends it with its parent process.

MiniStack 1.5.33 binds HTTP to BIND_HOST, but MQTT over TLS to all interfaces, where it also accepts clients without a
certificate. This program prevents that.
"""

import asyncio
import ctypes
import os
import signal
from typing import Any

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run MiniStack until it is stopped."""
    _end_with_parent()
    _listen_on_loopback()
    from ministack.app import main as ministack

    ministack()


def _end_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:  # the parent has already ended
        raise SystemExit(1)


def _listen_on_loopback() -> None:
    original = asyncio.BaseEventLoop.create_server

    async def create_server(self: Any, factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        if options.get("sock") is None:
            host = "127.0.0.1"
        return await original(self, factory, host, port, **options)

    asyncio.BaseEventLoop.create_server = create_server  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
