"""A board with a claim becomes a thing, whatever the service replies and wherever the power is cut."""

import asyncio
import os
from binascii import b2a_base64

import fast_time
import ujobs.provisioning as provisioning
import ujobs.trial as trial
import ujson
from broker import Broker, filters, raises
from cloud import remove
from replaced import Replaced, with_modules
from temporary import temporary
from ujobs.certificates import der_blocks

FOLDER = temporary("claim")
CERT, KEY, SETTINGS, RECORD = [FOLDER + name for name in ("/cert.der", "/key.der", "/settings.json", "/cert.der.claim")]
CREATE = b"$aws/certificates/create/json"
REGISTER = b"$aws/provisioning-templates/line/provision/json"
PARAMETERS = {"SerialNumber": "77"}


class Cut(Exception):
    """The power is cut."""


def pem(label, content):
    return "-----BEGIN %s-----\n%s-----END %s-----\n" % (label, b2a_base64(content).decode(), label)


class Service:
    """Replies as AWS does. requests: topics, in order. certificates: of each issued certificate, its thing, once there
    is one. answers: for the next requests, functions that return the reply to a topic, if any; None: the usual reply.
    step: called with a function that does the service's part of a request."""

    def __init__(self):
        self.broker = Broker()
        self.broker.on_publish = self._published
        self.requests = []
        self.bodies = []
        self.certificates = []
        self.tokens = {}
        self.answers = []
        self.step = lambda function: function()

    def _published(self, topic, payload):
        self.requests.append(topic)
        self.bodies.append(payload)
        answer = self.answers.pop(0) if self.answers else None
        if answer is None:
            return self.answer(topic, payload)
        reply = answer(topic)
        if reply:
            self.broker.send(*reply)

    def answer(self, topic, payload=b""):
        outcome, fields = self.step(lambda: self._create() if topic == CREATE else self._register(ujson.loads(payload)))
        self.broker.send(topic + outcome, ujson.dumps(fields).encode())

    def _create(self):
        number = len(self.certificates)
        self.certificates.append(None)
        token = "token-%d" % number
        self.tokens[token] = number
        return b"/accepted", {
            "certificateId": "id", "certificatePem": pem("CERTIFICATE", b"cert-%d" % number),
            "privateKey": pem("EC PRIVATE KEY", b"key-%d" % number), "certificateOwnershipToken": token,
        }

    def _register(self, request):
        number = self.tokens.pop(request["certificateOwnershipToken"], None)
        if number is None:
            return b"/rejected", {
                "statusCode": 400, "errorCode": "InvalidCertificateOwnershipToken", "errorMessage": "no such token",
            }
        name = "kiln-" + request["parameters"]["SerialNumber"]
        self.certificates[number] = name
        return b"/accepted", {"deviceConfiguration": {}, "thingName": name}


def read(name):
    try:
        with open(name, "rb") as file:
            return file.read()
    except OSError:
        return None


def fresh():
    remove(FOLDER)
    os.mkdir(FOLDER)
    with open(SETTINGS, "w") as file:
        ujson.dump({"claim": {"template": "line"}, "port": 8883}, file)
    return Service()


def check_pair(ca, cert, key):
    """Replaces the TLS context, which accepts real keys only: checks that certificate and key have the same number."""
    if der_blocks(cert)[0] != der_blocks(key)[0].replace(b"key", b"cert"):
        raise ValueError("it does not belong to the certificate")


class Machine:
    def unique_id(self):
        return b"\x77"


def config(**settings):
    """The settings of a board with a claim."""
    found = {
        "claim": {"template": "line"}, "host": "host", "port": 8883, "ca": "/ca", "cert": CERT, "key": KEY,
        "keepalive": 60, "receive_limit": 8192,
    }
    found.update(settings)
    return found


def claimed(function):
    """Call a function on a board that does not check the files of a claim. function: called with a list of the files of
    each claim: certificate, key and CA."""
    files = []

    def tls_context(ca, cert, key):
        files.append((cert, key, ca))

    with Replaced(provisioning, tls_context=tls_context), with_modules(machine=Machine()):
        return function(files)


def start(service):
    """Boot the board once; return the thing name, and the seconds."""

    async def main(clock):
        claim = claimed(lambda files: provisioning.Claim(config(), SETTINGS))
        network = Replaced(asyncio, open_connection=service.broker.open_connection)
        with network, Replaced(provisioning, tls_context=check_pair):
            return await claim.run(), clock.seconds()

    return fast_time.run(main)


def check_identity(service):
    """Check that certificate, key and thing name belong together, on the board and in the service."""
    with open(SETTINGS) as file:
        settings = ujson.load(file)
    number = int(read(CERT)[5:])
    assert read(CERT) == b"cert-%d" % number
    assert read(KEY) == b"key-%d" % number
    assert settings == {"claim": {"template": "line"}, "port": 8883, "thing": "kiln-77"}
    assert service.certificates[number] == "kiln-77"


def test_the_claim_connects_with_tls():
    fresh()
    with Replaced(provisioning, tls_context=lambda *files: "TLS"), with_modules(machine=Machine()):
        link = provisioning.Claim(config(), SETTINGS)._link
    assert (link.client_id, link.server, link.port, link.ssl) == ("claim-77", "host", 8883, "TLS")


def test_a_board_becomes_a_thing():
    service = fresh()
    name, seconds = start(service)
    assert name == "kiln-77"
    assert seconds < 1
    check_identity(service)
    assert sorted(os.listdir(FOLDER)) == ["cert.der", "key.der", "settings.json"]
    assert service.requests == [CREATE, REGISTER]
    assert service.bodies[0] == b""
    assert ujson.loads(service.bodies[1]) == {"certificateOwnershipToken": "token-0", "parameters": PARAMETERS}
    (subscribe,) = [body for name, body in service.broker.packets if name == "subscribe"]
    outcomes = (b"/accepted", b"/rejected")
    assert filters(subscribe) == [topic + outcome for topic in (CREATE, REGISTER) for outcome in outcomes]


def counted(service, cut_at, before):
    """Counts the steps in the service and in flash; cuts the power before or after the cut_at-th step."""
    count = [0]

    def step(function):
        count[0] += 1
        if count[0] == cut_at and before:
            raise Cut
        found = function()
        if count[0] == cut_at:
            raise Cut
        return found

    class Os:
        def rename(self, old, new):
            step(lambda: os.rename(old, new))

    remove = provisioning.remove
    removing = Replaced(provisioning, remove=lambda name: step(lambda: remove(name)))
    with removing, Replaced(trial, os=Os()), Replaced(service, step=step):
        start(service)
    return count[0]


def test_a_power_cut_anywhere_leaves_the_claim_or_a_complete_identity():
    service = fresh()
    steps = counted(service, 0, True)
    assert steps == 9
    for cut_at in range(1, steps + 1):
        for before in (True, False):
            service = fresh()
            raises(Cut, counted, service, cut_at, before)
            if b"thing" not in read(SETTINGS):
                start(service)
            check_identity(service)
            assert b"PRIVATE" not in (read(RECORD) or b"")
            # A second certificate is issued only if the reply was not written to flash.
            lost = (cut_at, before) in ((1, False), (2, True), (3, False), (4, True))
            assert len(service.certificates) == (2 if lost else 1)


def test_a_certificate_past_its_hour_is_replaced_by_a_new_one():
    service = fresh()
    raises(Cut, counted, service, 3, True)
    service.tokens.clear()
    assert start(service)[1] < 1
    check_identity(service)
    assert service.certificates == [None, "kiln-77"]


def test_a_refused_registration_is_retried_with_the_same_certificate():
    service = fresh()

    def refuse(topic):
        return topic + b"/rejected", b'{"statusCode": 400, "errorCode": "InvalidTemplate", "errorMessage": "none"}'

    service.answers = [None, refuse, refuse]
    _, seconds = start(service)
    assert 60 <= seconds <= 122
    check_identity(service)
    assert service.requests[-3:] == [REGISTER] * 3
    assert len(service.certificates) == 1


def test_a_new_token_that_is_refused_is_not_replaced_at_once():
    service = fresh()

    def refuse(topic):
        service.tokens.clear()
        return topic + b"/rejected", b'{"errorCode": "InvalidCertificateOwnershipToken"}'

    service.answers = [None, refuse]
    assert 30 <= start(service)[1] <= 61
    check_identity(service)


def test_invalid_replies_are_survived():
    names = [b'{"thingName": %s}' % ujson.dumps(name).encode() for name in ("a/b", "", "x" * 129, "a b", 5)]
    replies = [(b"/accepted", body) for body in [b"", b"{", b"[]", b"{}", b"x" * 9000] + names]
    replies += [(b"/rejected", body) for body in (b"", b"{}", b'{"errorCode": 5, "errorMessage": []}')]
    replies += [None, (b"/accepted", b'{"thingName": 5, "certificatePem": 5}')]
    for reply in replies:
        for before in ([], [None]):
            # In place of the reply to the first request, and to the second.
            service = fresh()
            service.answers = before + [lambda topic, reply=reply: reply and (topic + reply[0], reply[1])]
            assert start(service)[1] >= 30
            check_identity(service)
            assert len(service.certificates) == 1


def test_a_key_of_another_certificate_is_not_kept():
    for certificate, key in (("cert-0", "key-1"), ("cert-0", "")):
        service = fresh()
        fields = {
            "certificatePem": pem("CERTIFICATE", certificate.encode()), "certificateOwnershipToken": "token",
            "privateKey": pem("EC PRIVATE KEY", key.encode()),
        }
        service.answers = [lambda topic, fields=fields: (topic + b"/accepted", ujson.dumps(fields).encode())]
        assert start(service)[1] >= 30
        check_identity(service)
        assert service.requests == [CREATE, CREATE, REGISTER]


def test_settings_that_cannot_be_read_are_named():
    for content in ("{", "[]", ""):
        fresh()
        claim = claimed(lambda files: provisioning.Claim(config(), SETTINGS))
        trial.write(SETTINGS, content)
        error = raises(ValueError, claim._install, {"installed": True, "thingName": "kiln-77"})
        assert str(error).startswith(SETTINGS + ": "), error


def test_unrequested_messages_are_ignored():
    service = fresh()

    def strange(topic):
        for other in (CREATE + b"/later", REGISTER + b"/accepted", CREATE + b"/accepted/more"):
            service.broker.send(other, b'{"thingName": "other"}')
        service.answer(topic)

    service.answers = [strange]
    assert start(service)[1] < 1
    check_identity(service)


def test_a_lost_link_is_restored():
    service = fresh()
    service.answers = [lambda topic: service.broker.wires[-1].end()]
    start(service)
    check_identity(service)
    assert len(service.broker.wires) == 2


def test_a_damaged_record_is_replaced():
    for damage in (b"", b"{", b"[]", b'{"thingName": "other"}', b"\xff"):
        service = fresh()
        with open(RECORD, "wb") as file:
            file.write(damage)
        start(service)
        check_identity(service)


def test_a_full_flash_is_retried():
    service = fresh()

    class Full:
        def __init__(self):
            self.left = 3

        def rename(self, old, new):
            self.left -= 1
            if self.left >= 0:
                raise OSError(28)
            os.rename(old, new)

    with Replaced(trial, os=Full()):
        assert start(service)[1] >= 90
    check_identity(service)


def test_the_claim_that_the_settings_describe():
    fresh()

    def scenario(files):
        claim = provisioning.Claim(config())
        assert claim._link.client_id == "claim-77"
        assert claim._parameters == {"SerialNumber": "77"}
        parameters = {"SerialNumber": "9", "Line": "2"}
        given = {"template": "line", "parameters": parameters, "cert": "/c", "key": "/k"}
        assert provisioning.Claim(config(claim=given))._parameters == parameters
        assert files == [("/cert/claim.der", "/cert/claim-key.der", "/ca"), ("/c", "/k", "/ca")]

        for changed in ({"key": CERT}, {"signing_key": CERT}, {"signing_key": KEY}):
            assert "must differ" in str(raises(ValueError, provisioning.Claim, config(**changed)))
        for path in (CERT, KEY):
            with open(path, "w") as file:
                file.write("another purpose")
            error = raises(ValueError, provisioning.Claim, config())
            assert str(error) == path + " exists: a claim overwrites no file"
            os.remove(path)
        with open(CERT, "w") as file, open(RECORD, "w") as record:
            file.write("")
            record.write("{}")
        provisioning.Claim(config())  # continues the provisioning

    claimed(scenario)


def test_files_of_a_claim_that_are_not_there_are_an_error():
    fresh()
    with with_modules(machine=Machine()):
        raises(OSError, provisioning.Claim, config())


def test_nothing_is_left_behind():
    remove(FOLDER)
