"""Jobs of `ujobs qualify` that test one part of the board: TLS, MQTT, signatures, sleep, wear, bytes sent."""

import asyncio
import gc
import time

_BLOCK = 4096
_BLOCKS = 6
_running = []  # tasks, held so that they are not collected as garbage
_counted = [0, 0]  # bytes sent and received


async def tls(job, agent):
    """{"operation": "tls", "host": …, "port": …, "ca": Base64}: connects; returns the result."""
    import socket
    from binascii import a2b_base64

    from ujobs.certificates import tls_context

    host, port = job.document["host"], job.document["port"]
    context = tls_context(a2b_base64(job.document["ca"]))
    line = socket.socket()
    try:
        line.settimeout(10)
        line.connect(socket.getaddrinfo(host, port)[0][-1])
        secure = context.wrap_socket(line, server_hostname=host)
        secure.write(b"x")
        secure.close()
    except (OSError, ValueError) as error:
        return {"tls": repr(error)}
    finally:
        line.close()
    return {"tls": "connected"}


async def publish(job, agent):
    """{"operation": "publish", "topic": …}: publishes to the topic."""
    await agent.link.publish(job.document["topic"], '{"clientToken": "qualify"}')


async def oversize(job, agent):
    """{"operation": "oversize", "length": 1025}: sends a status detail of this length; returns the reply."""
    from ujobs.agent import JobsError

    details = {"long": "x" * job.document["length"]}
    try:
        await agent.request(job.job_id + "/update", status="IN_PROGRESS", statusDetails=details)
    except JobsError as error:
        return {"answer": str(error)}
    return {"answer": "accepted"}


async def signature(job, agent):
    """{"operation": "signature", "key": Base64, "digest": hexadecimal, "signature": Base64}: checks it."""
    from binascii import a2b_base64, unhexlify

    from ujobs import verify

    key = verify.load_key(a2b_base64(job.document["key"]))
    digest = unhexlify(job.document["digest"])
    given = a2b_base64(job.document["signature"])
    start = time.ticks_ms()
    right = verify.check(key, digest, given)
    took = time.ticks_diff(time.ticks_ms(), start)
    return {"right": right, "wrong": verify.check(key, bytes(32), given), "ms": took}


async def sleep(job, agent):
    """{"operation": "sleep", "ms": 5000}: deep sleep once the service has this job's result."""
    _running.append(asyncio.create_task(_sleep(agent, job.document["ms"])))


async def _sleep(agent, ms):
    import machine

    while not agent.journal.acknowledged:
        await asyncio.sleep(0.05)
    print("qualify: sleeps")
    machine.deepsleep(ms)


async def wear(job, agent):
    """{"operation": "wear", "jobs": 100}: writes the journal of so many jobs to littlefs in RAM; counts erases."""
    import vfs

    from ujobs.journal import Journal

    device = _Flash()
    vfs.VfsLfs2.mkfs(device)
    vfs.mount(vfs.VfsLfs2(device), "/qualify-ram")
    try:
        before = device.erases
        journal = Journal("/qualify-ram/journal")
        for number in range(job.document["jobs"]):
            found = {"jobId": "kiln-%d" % number, "executionNumber": 1, "versionNumber": 1, "queuedAt": number}
            journal.begin(found, 1)
            journal.set_version(2)
            journal.finish("SUCCEEDED", {"progress": "9/9"})
            journal.acknowledge()
            await job.progress(number)
        return {"erases": device.erases - before}
    finally:
        vfs.umount("/qualify-ram")


class _Flash:
    # A block device in RAM with the block size of the ESP32's flash.
    def __init__(self):
        gc.collect()
        self._blocks = [bytearray(_BLOCK) for _ in range(_BLOCKS)]
        self.erases = 0

    def readblocks(self, number, buffer, offset=0):
        buffer[:] = memoryview(self._blocks[number])[offset : offset + len(buffer)]

    def writeblocks(self, number, buffer, offset=0):
        self._blocks[number][offset : offset + len(buffer)] = buffer

    def ioctl(self, request, value):
        if request == 4:
            return _BLOCKS
        if request == 5:
            return _BLOCK
        if request == 6:
            self.erases += 1
        return 0


async def wire(job, agent):
    """{"operation": "wire"}: returns bytes sent and received since the last such job; the first one starts counting."""
    link = agent.link
    if not hasattr(link, "counted"):
        link.counted = True
        send, fill = link._send, link._fill

        async def counted_send(packet, *arguments):
            _counted[0] += len(packet)
            return await send(packet, *arguments)

        async def counted_fill(view):
            _counted[1] += len(view)
            return await fill(view)

        link._send, link._fill = counted_send, counted_fill
    found = {"sent": _counted[0], "received": _counted[1]}
    _counted[:] = [0, 0]
    return found
