"""Common parts of the programs that talk to a real service: TLS, and the result that they print. Runs on MicroPython
only.

Options from the host: thing, host, port; certificates, a folder with ca, cert and key as .der; without it there is no
TLS.
"""

import gc
import json
import time


def tls(options: dict):
    """Return a TLS context, or None if the options have no certificates."""
    folder = options.get("certificates")
    if not folder:
        return None
    import tls

    def read(name):
        with open(folder + name, "rb") as file:
            return file.read()

    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    context.load_verify_locations(read("/ca.der"))
    context.load_cert_chain(read("/cert.der"), read("/key.der"))
    return context


class Watch:
    """Times jobs, from the start of the first to the start of the last, or the progress updates of one job."""

    def __init__(self):
        self.times = -1
        self._began = self._took = 0

    def job(self) -> None:
        """Record the start of a job."""
        self.times += 1
        now = time.ticks_us()
        if not self.times:
            self._began = now
        self._took = time.ticks_diff(now, self._began)

    def progress_updates(self, count: int) -> None:
        """Record that the only job has sent so many progress updates."""
        self.times = count
        self._took = time.ticks_diff(time.ticks_us(), self._began)

    def show(self) -> None:
        """Print the time, the number of repetitions, and the heap in use."""
        gc.collect()
        print(json.dumps({"microseconds": self._took, "times": self.times, "held": gc.mem_alloc()}))
