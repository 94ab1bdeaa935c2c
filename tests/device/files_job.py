"""A `files` job on a board with an HTTP server in memory."""

import asyncio
import hashlib
import os
from binascii import hexlify

from broker import until
from cloud import Cloud, run
from restarts import remove_all
from temporary import temporary
from web import File, Web, beside_broker

FOLDER = temporary("files")
CONTENT = bytes((n * 11 + n // 250) & 255 for n in range(100000))
URL = "http://files.example.com/"


def source(name="new", content=CONTENT, **fields):
    entry = {
        "path": FOLDER + "/" + name, "url": URL + name, "size": len(content),
        "sha256": hexlify(hashlib.sha256(content).digest()).decode(),
    }
    entry.update(fields)
    return entry


def stored(name="new"):
    try:
        with open(FOLDER + "/" + name, "rb") as file:
            return file.read()
    except OSError:
        return None


def names():
    try:
        return sorted(os.listdir(FOLDER))
    except OSError:
        return []


async def finished(agent, cloud):
    await until(lambda: cloud.done() and agent.journal.acknowledged)


def work(document, web=None, scenario=finished, cloud=None, keep=False, options=None):
    """Run one files job, or continue the one in `cloud` as after a reset; return its execution.

    keep: keep the existing files and journal.
    """
    web = web or Web(File(CONTENT))

    async def main(agent, cloud):
        asyncio.open_connection = beside_broker(asyncio.open_connection, web)
        await scenario(agent, cloud)

    if not keep:
        remove_all(FOLDER)
    if cloud is None:
        cloud = Cloud()
        document = dict(document)
        document["operation"] = "files"
        cloud.queue("files-1", document)
    options = {"roots": (FOLDER,)} if options is None else options
    run(main, lambda agent: agent.use("files", **options), cloud=cloud, keep=keep)
    return cloud.executions[0]
