"""Fleet provisioning: a board that has only the claim of its production line gets its own certificate and name.

Source: AWS, "Device provisioning MQTT API", CreateKeysAndCertificate and RegisterThing. The certificate that the first
one returns is kept in one file until everything is in its place. Each step in flash is one rename; the name in the
settings comes last. A power cut at any point leaves a board that continues its claim, or one with a whole identity.
"""

import asyncio
import random
from binascii import hexlify

import ujson

from . import trial
from .agent import EXPECTED, JobsError, parse
from .certificates import der_blocks, tls_context
from .checks import check_name
from .flash import make_folders, remove
from .link import ETIMEDOUT, Link, log, until

# Not in a .mpy at -O2, whose compiler knows const.
if __debug__:
    from micropython import const

_PAUSE = const(30)  # seconds, and up to as much again: a whole line may have been switched on at once
_CREATE = const("$aws/certificates/create/json")
_CERTIFICATE = const("certificatePem")
_KEY = const("privateKey")
_TOKEN = const("certificateOwnershipToken")
_NAME = const("thingName")


class Claim:
    """A board that is no thing yet, and run(), which makes it one.

    config: the board's settings. Of `claim` it needs template and parameters, and cert and key of the claim
    ("/cert/claim.der", "/cert/claim-key.der"); besides host, port, ca, and the files cert and key for the board's own.
    The parameter SerialNumber is the chip's unique id in hexadecimal, if not given. settings: the JSON file that gets
    the board's name as `thing`.

    Raises OSError if a file cannot be read, ValueError if it is not a certificate or key, or if cert or key has another
    purpose: it is the signing key, or a file that no claim has written.
    """

    def __init__(self, config: dict, settings: str = "/settings.json"):
        # Imported here: ujobs itself runs where there is no board.
        import machine

        given = config["claim"]
        self._files = files = (config["cert"], config["key"])
        self._record = files[0] + ".claim"
        if files[0] == files[1] or config.get("signing_key") in files:
            raise ValueError("cert, key and signing_key must differ")
        if not trial.read(self._record):
            for path in files:
                try:
                    open(path).close()
                except OSError:
                    continue
                raise ValueError(path + " exists: a claim overwrites no file")
        serial = hexlify(machine.unique_id()).decode()
        context = tls_context(
            config["ca"], given.get("cert", "/cert/claim.der"), given.get("key", "/cert/claim-key.der")
        )
        self._link = link = Link("claim-" + serial, config["host"], config["port"], ssl=context)
        self._parameters = dict({"SerialNumber": serial}, **given.get("parameters", {}))
        self._register = "$aws/provisioning-templates/%s/provision/json" % given["template"]
        self._settings = settings
        for topic in (_CREATE, self._register):
            # Not as one filter: AWS has these two only.
            link.filters += [(topic + "/accepted", 1), (topic + "/rejected", 1)]

    async def run(self) -> str:
        """Become a thing, however long that takes; return its name. From the next boot on the board is that thing.

        Errors are logged, and the claim is retried.
        """
        connection = asyncio.create_task(self._link.run())
        try:
            while True:
                try:
                    record = await self._claim()
                    self._install(record)
                    log("this board is now", record[_NAME])
                    return record[_NAME]
                except EXPECTED as error:
                    log("no thing yet:", error)
                await asyncio.sleep(_PAUSE * (1 + random.random()))
        finally:
            connection.cancel()

    async def _claim(self):
        # Reuse a certificate received before a reset: every new one stays in the account.
        try:
            record = parse(trial.read(self._record).encode())
            if not record.get("installed"):
                _check(record)
        except ValueError:
            record = {}
        while _NAME not in record:
            kept = bool(record)
            if not kept:
                record = await self._ask(_CREATE, "")
                _check(record)
                # Fails unless the key belongs to the certificate.
                certificate = record[_CERTIFICATE].encode()
                tls_context(certificate, certificate, record[_KEY].encode())
                make_folders(self._record)
                trial.write(self._record, ujson.dumps(record))
            try:
                request = {_TOKEN: record[_TOKEN], "parameters": self._parameters}
                answer = await self._ask(self._register, ujson.dumps(request))
            except JobsError as error:
                if error.code == "InvalidCertificateOwnershipToken":
                    # Expired, or used by a request whose answer did not arrive.
                    remove(self._record)
                    record = {}
                    if kept:
                        continue
                raise
            # With a name that the settings do not accept, the board would not start again.
            record[_NAME] = answer.get(_NAME)
            check_name(_NAME, record[_NAME], 128)
            trial.write(self._record, ujson.dumps(record))
        return record

    def _install(self, record):
        if not record.get("installed"):
            cert, key = self._files
            make_folders(key)
            # AWS sends one block each; parameters would precede a key, and issuers follow a certificate.
            trial.write(key, der_blocks(record[_KEY].encode())[-1])
            trial.write(cert, der_blocks(record[_CERTIFICATE].encode())[0])
            # No second copy of the private key stays in flash, even if the power fails now.
            trial.write(self._record, ujson.dumps({"installed": True, _NAME: record[_NAME]}))
        try:
            settings = parse(trial.read(self._settings).encode())
        except ValueError as error:
            raise ValueError("%s: %s" % (self._settings, error))
        settings["thing"] = record[_NAME]
        # Last: a board with a name does not claim.
        trial.write(self._settings, ujson.dumps(settings))
        remove(self._record)

    async def _ask(self, topic, body) -> dict:
        link = self._link
        answer: "dict | Exception" = OSError(ETIMEDOUT)
        answered = asyncio.Event()

        def received(name, payload):
            nonlocal answer
            if name[:-9] == topic.encode():
                answer = parse(payload)
                if name.endswith(b"/rejected"):
                    answer = JobsError(answer.get("errorCode"), answer.get("errorMessage"))
                answered.set()

        link.routes = [(b"", received)]
        await link.up.wait()
        await link.publish(topic, body)
        await until(answered, link.timeout)
        if isinstance(answer, Exception):
            raise answer
        return answer


def _check(record):
    for name in [_CERTIFICATE, _KEY, _TOKEN]:
        if not record.get(name) or not isinstance(record[name], str):
            raise ValueError("the reply has no " + name)
