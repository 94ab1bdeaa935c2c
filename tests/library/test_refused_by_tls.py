"""A connection whose TLS handshake failed is closed on both interpreters."""

import socket
import threading
from pathlib import Path

from both_interpreters import Attempt, on_both

from ujobs_tools.keys.pki import Authority

# Fails once, and connects to the same port again, without TLS.
PROGRAM = """
import asyncio
from ujobs.certificates import tls_context
from ujobs.link import Link

async def attempt(ca, port):
    link = Link(b"kiln-7", "localhost", int(port), ssl=tls_context(ca))
    running = asyncio.create_task(link.run())
    while not link.failure:
        await asyncio.sleep(0.01)
    running.cancel()
    stream, _ = await asyncio.open_connection("localhost", int(port))
    buffer = bytearray(10)
    count = await stream.readinto(buffer)
    return buffer[:count].decode()
"""
ALERT = b"\x15\x03\x03\x00\x02\x02\x28"  # fatal: handshake_failure


def answer(listening: socket.socket) -> None:
    """Refuse the handshake of the first connection; tell the second one whether the first is closed."""
    first, _ = listening.accept()
    with first:
        assert first.recv(65536)
        first.sendall(ALERT)
        second, _ = listening.accept()
        with second:
            first.settimeout(0)
            try:
                # Another alert may come before the end.
                while first.recv(65536):
                    pass
                second.sendall(b"closed")
            except BlockingIOError:
                second.sendall(b"open")


@on_both(PROGRAM)
def test_a_connection_that_tls_refuses_is_closed_at_once(attempt: Attempt, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ca = authority.ca_path
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,))
        thread.start()
        assert attempt(ca, listening.getsockname()[1]) == "closed"
        thread.join()
