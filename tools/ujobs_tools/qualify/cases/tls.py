"""TLS servers that the board must refuse: another CA, another host name, an expired certificate."""

import base64
import contextlib
import datetime
import ipaddress
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from ujobs_tools.keys.pki import Authority, Issued
from ujobs_tools.qualify.bench import Bench
from ujobs_tools.qualify.case import LOCAL, Case, Unexpected
from ujobs_tools.qualify.transfer import listening_address

_CONNECTED = "connected"  # from device/probes.py
_LOOK = 0.2  # seconds


@contextlib.contextmanager
def _server(host: str, issued: Issued, folder: Path) -> Iterator[int]:
    """Run a TLS server with this certificate, which accepts every client; yields its port."""
    path = folder / "server.pem"
    path.write_bytes(issued.certificate_pem + issued.private_key_pem)
    path.chmod(0o600)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    stop = threading.Event()

    def serve(listener: socket.socket) -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):  # the board refuses, or there is no connection
                connection, _ = listener.accept()
                connection.settimeout(10)
                with connection, context.wrap_socket(connection, server_side=True) as secure:
                    secure.recv(1)

    with socket.create_server((listening_address(host), 0)) as listener:
        listener.settimeout(_LOOK)
        thread = threading.Thread(target=serve, args=(listener,), name="TLS server", daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            thread.join()


def _case(name: str, expected: str, reason: str, make: Callable[[Authority, str], Issued]) -> Case:
    """reason: part of mbedTLS's error message; "" if the board connects. make: returns the server's certificate."""

    def run(bench: Bench) -> str:
        host = str(bench.settings["host"])
        with tempfile.TemporaryDirectory(prefix="ujobs-qualify-") as folder:
            authority = Authority(Path(folder) / "pki")
            with _server(host, make(authority, host), Path(folder)) as port:
                said = bench.job({
                    "operation": "tls", "host": host, "port": port, "ca": base64.b64encode(authority.ca_der).decode(),
                })["tls"]
        if reason not in said or (said == _CONNECTED) != (not reason):
            raise Unexpected(said)
        return said

    return Case(f"tls.{name}", expected, run, (LOCAL,))


def _right(authority: Authority, host: str) -> Issued:
    return authority.issue("server", hosts=(host,))


def _stranger(authority: Authority, host: str) -> Issued:
    with tempfile.TemporaryDirectory(prefix="ujobs-qualify-") as folder:
        return Authority(Path(folder)).issue("server", hosts=(host,))


def _wrong_name(authority: Authority, host: str) -> Issued:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return authority.issue("server", hosts=("192.0.2.1",))
    return authority.issue("server", hosts=(f"not-{host}",))


def _expired(authority: Authority, host: str) -> Issued:
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    return authority.issue("server", hosts=(host,), not_before=now - 30 * day, not_after=now - 2 * day)


CASES = (
    _case("right", "the right server is accepted", "", _right),
    _case("authority", "a server of another CA is refused", "trusted CA", _stranger),
    _case("name", "a server with another host name is refused", "Common Name", _wrong_name),
    _case("expired", "a server with an expired certificate is refused", "expired", _expired),
)
