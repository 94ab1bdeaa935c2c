"""Sources of files for the board: streams in the cloud, and a web server on this machine."""

import contextlib
import hashlib
import http.server
import threading
from collections.abc import Iterator
from typing import Any

from ujobs_tools.aws import cloud
from ujobs_tools.aws.publishing import LOCAL_BUCKET, LOCAL_ROLE
from ujobs_tools.qualify.bench import Bench


class Streams:
    """Streams with the run's prefix. Use it in a `with` statement, which removes files from the bucket on AWS."""

    def __init__(self, bench: Bench) -> None:
        endpoint, choices = bench.account.endpoint, bench.choices
        self._iot, self._prefix = bench.account.iot, bench.account.prefix
        self._s3: Any = cloud.client("s3", endpoint.url, endpoint.region, endpoint.profile)
        self._bucket, self._role = choices.bucket or LOCAL_BUCKET, choices.role_arn or LOCAL_ROLE
        self._local = endpoint.local
        self._keys: list[str] = []

    def __enter__(self) -> "Streams":
        return self

    def __exit__(self, *_: object) -> None:
        # The local service keeps its files until it is stopped.
        if not self._local:
            for key in self._keys:
                self._s3.delete_object(Bucket=self._bucket, Key=key)

    def stream(self, name: str, *contents: bytes) -> str:
        """Create a stream with these files, numbered from 0; returns its name."""
        stream = f"{self._prefix}-{name}"
        files = []
        for number, content in enumerate(contents):
            key = f"{stream}/{number}"
            self._keys.append(key)
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=content)
            files.append({"fileId": number, "s3Location": {"bucket": self._bucket, "key": key}})
        self._iot.create_stream(streamId=stream, files=files, roleArn=self._role)
        return stream

    def presigned(self, name: str, content: bytes) -> tuple[str, dict[str, Any]]:
        """Upload a file; returns the placeholder that AWS replaces with a presigned URL, and parameters for
        CreateJob."""
        key = f"{self._prefix}-{name}"
        self._keys.append(key)
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=content)
        url = f"https://{self._bucket}.s3.{self._s3.meta.region_name}.amazonaws.com/{key}"
        options = {"presignedUrlConfig": {"roleArn": self._role, "expiresInSec": 3600}}
        return f"${{aws:iot:s3-presigned-url-v2:{url}}}", options


def entry(path: str, content: bytes, **more: Any) -> dict[str, Any]:
    """Return the entry of a job document for a file."""
    return {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest(), **more}


@contextlib.contextmanager
def web_server(host: str, content: bytes) -> Iterator[str]:
    """Serve the content by HTTP, with ranges; yields its URL. host: address of this machine for the board."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers["Range"]
            start = int(wanted[6:].partition("-")[0]) if wanted else 0
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(content) - start))
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            self.wfile.write(content[start:])

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer((listening_address(host), 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="web server", daemon=True)
        thread.start()
        try:
            yield f"http://{host}:{server.server_port}/file"
        finally:
            server.shutdown()
            thread.join()


def listening_address(host: str) -> str:
    """Return the address to listen on for a board that uses the address `host`; loopback for a virtual board."""
    return "127.0.0.1" if host in ("localhost", "127.0.0.1") else ""
