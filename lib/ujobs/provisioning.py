"""Fleet provisioning: a board that has only the claim of its production line gets a certificate and a name of its own.

By AWS's "Device provisioning MQTT API": CreateKeysAndCertificate, then RegisterThing. What the first gives is kept in
one file until everything is in its place. Each step in flash is one rename, the name's in the settings comes last: a
power cut at any point leaves a board that continues its claim, or one with a whole identity.
"""

import asyncio
import os
import random
from binascii import hexlify
from errno import ETIMEDOUT

import ujson

from .agent import EXPECTED, JobsError, check_name, parse
from .certificates import CERTIFICATE, KEY, der_blocks, tls_context
from .flash import make_folders, remove
from .link import Link, explain, log

_PAUSE = 30  # seconds, and up to as much again: a whole line may have been switched on at once
_CREATE = "$aws/certificates/create/json"
_TOKEN = "certificateOwnershipToken"
_GIVEN = ("certificatePem", "privateKey", _TOKEN)
_BAD_TOKEN = "InvalidCertificateOwnershipToken"


class Claim:
    """A board that is no thing yet, and run(), which makes it one.

    link: a Link with the claim certificate, which nothing runs yet. template: name of the provisioning template.
    parameters: dict of text to text, what the template wants to know. cert, key: files that get the board's own
    certificate and key, as DER. settings: JSON file that gets the board's name as `thing`.
    """

    def __init__(
        self, link: Link, template: str, parameters: dict, cert: str = "/cert/cert.der", key: str = "/cert/key.der",
        settings: str = "/settings.json",
    ):
        self._link = link
        self._register = "$aws/provisioning-templates/%s/provision/json" % template
        self._parameters = parameters
        self._cert = cert
        self._key = key
        self._settings = settings
        self._record = cert + ".claim"
        self._asked: "bytes | None" = None
        self._answer: "dict | Exception" = {}
        self._answered = asyncio.Event()
        for topic in (_CREATE, self._register):
            link.routes.append((topic.encode() + b"/", self._received))
            # Not as one filter: AWS has these two only.
            link.filters += [(topic + "/accepted", 1), (topic + "/rejected", 1)]

    async def run(self) -> str:
        """Become a thing, however long that takes; return its name. From the next start on the board is that thing.

        What goes wrong is logged and tried again.
        """
        connection = asyncio.create_task(self._link.run())
        try:
            while True:
                try:
                    record = await self._claim()
                    self._install(record)
                    log("this board is now", record["thingName"])
                    return record["thingName"]
                except EXPECTED as error:
                    log("no thing yet:", explain(error))
                await asyncio.sleep(_PAUSE * (1 + random.random()))
        finally:
            connection.cancel()

    async def _claim(self):
        # Reuse a certificate received before a reset: every new one stays in the account.
        record = _load(self._record)
        while "thingName" not in record:
            kept = bool(record)
            if not kept:
                record = await self._ask(_CREATE, "")
                _check(record, _GIVEN)
                # Fails unless the key belongs to the certificate.
                certificate = record["certificatePem"].encode()
                tls_context(certificate, certificate, record["privateKey"].encode())
                make_folders(self._record)
                _write(self._record, ujson.dumps(record))
            try:
                request = {_TOKEN: record[_TOKEN], "parameters": self._parameters}
                answer = await self._ask(self._register, ujson.dumps(request))
            except JobsError as error:
                if error.code == _BAD_TOKEN:
                    # Expired, or used by a request whose answer did not arrive.
                    remove(self._record)
                    record = {}
                    if kept:
                        continue
                raise
            # With a name that the settings do not accept, the board would not start again.
            check_name("thingName", answer.get("thingName"), 128)
            record["thingName"] = answer["thingName"]
            _write(self._record, ujson.dumps(record))
        return record

    def _install(self, record):
        if not record.get("installed"):
            make_folders(self._key)
            _write(self._key, der_blocks(record["privateKey"].encode(), KEY)[0])
            _write(self._cert, der_blocks(record["certificatePem"].encode(), CERTIFICATE)[0])
            # No second copy of the private key stays in flash, even if the power fails now.
            _write(self._record, ujson.dumps({"installed": True, "thingName": record["thingName"]}))
        with open(self._settings) as file:
            settings = ujson.load(file)
        settings["thing"] = record["thingName"]
        # Last: a board with a name does not claim.
        _write(self._settings, ujson.dumps(settings))
        remove(self._record)

    async def _ask(self, topic, body) -> dict:
        await self._link.up.wait()
        self._asked = topic.encode()
        self._answered.clear()
        try:
            await self._link.publish(topic, body)
            await asyncio.wait_for(self._answered.wait(), self._link.timeout)
        except asyncio.TimeoutError:
            raise OSError(ETIMEDOUT)
        finally:
            self._asked = None
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def _received(self, topic, payload):
        if topic[:-9] != self._asked:
            return
        try:
            if payload is None:
                raise MemoryError("reply larger than receive_limit")
            fields = parse(payload)
            if topic.endswith(b"/rejected"):
                raise JobsError(str(fields.get("errorCode")), str(fields.get("errorMessage")))
            self._answer = fields
        except (MemoryError, ValueError, JobsError) as error:
            self._answer = error
        self._answered.set()


def claim(config: dict) -> Claim:
    """Return the claim that the board's settings describe.

    Of `claim`: template, parameters, and cert and key of the claim ("/cert/claim.der", "/cert/claim-key.der"); besides
    host, port, ca, keepalive, receive_limit, and cert and key. The parameter SerialNumber is the chip's unique id in
    hexadecimal, if not given. Raises OSError if a file cannot be read, ValueError if it is not a certificate or key, or
    if cert or key has another purpose: it is the signing key, or a file that no claim has written.
    """
    # Imported here: ujobs itself runs where there is no board.
    import machine

    given = config["claim"]
    own = [config["cert"], config["key"]]
    if own[0] == own[1] or config.get("signing_key") in own:
        raise ValueError("cert, key and signing_key must be different files")
    if not _exists(own[0] + ".claim"):
        for path in own:
            if _exists(path):
                raise ValueError(path + " exists: a claim overwrites no file")
    serial = hexlify(machine.unique_id()).decode()
    ssl = tls_context(config["ca"], given.get("cert", "/cert/claim.der"), given.get("key", "/cert/claim-key.der"))
    link = Link(
        "claim-" + serial, config["host"], config["port"], keepalive=config["keepalive"], ssl=ssl,
        receive_limit=config["receive_limit"],
    )
    parameters = {"SerialNumber": serial}
    parameters.update(given.get("parameters", {}))
    return Claim(link, given["template"], parameters, config["cert"], config["key"])


def _exists(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def _check(fields, names):
    for name in names:
        if not fields.get(name) or not isinstance(fields[name], str):
            raise ValueError("the reply has no " + name)


def _load(name) -> dict:
    try:
        with open(name) as file:
            record = parse(file.read().encode())
        if not record.get("installed"):
            _check(record, _GIVEN)
        return record
    except (OSError, ValueError):
        return {}


def _write(name, data):
    with open(name + ".tmp", "wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
    os.rename(name + ".tmp", name)
