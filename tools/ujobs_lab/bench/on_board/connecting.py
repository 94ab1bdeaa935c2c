"""What the programs that talk to a real service have in common: TLS, and what they print in the end. Runs on
MicroPython only.

Options, as they come from the host: thing, host, port; certificates, a folder with ca, cert and key as .der, without
which there is no TLS.
"""

import gc
import json
import time


def tls(options: dict):
    """Return a TLS context, None when the options name no certificates."""
    folder = options.get("certificates")
    if not folder:
        return None
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    with open(folder + "/ca.der", "rb") as file:
        context.load_verify_locations(cadata=file.read())
    context.load_cert_chain(folder + "/cert.der", folder + "/key.der")
    return context


class Watch:
    """Times jobs, from the beginning of the first to that of the last, or the progress updates that a job sends."""

    def __init__(self):
        self.times = -1
        self._began = self._took = 0

    def job(self) -> None:
        """One begins."""
        self.times += 1
        now = time.ticks_us()
        if not self.times:
            self._began = now
        self._took = time.ticks_diff(now, self._began)

    def progress_updates(self, count: int) -> None:
        """So many have been sent since the job began, which is the only one."""
        self.times = count
        self._took = time.ticks_diff(time.ticks_us(), self._began)

    def show(self) -> None:
        """Print how long it took how many times, and how much heap is in use."""
        gc.collect()
        print(json.dumps({"microseconds": self._took, "times": self.times, "held": gc.mem_alloc()}))
