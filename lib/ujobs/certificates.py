"""TLS contexts that verify the server, from certificates and keys in flash. Needed once, when the agent is made."""
# The stubs do not know that a context's verify_mode can be set.
# pyright: reportAttributeAccessIssue=false

from binascii import a2b_base64

import tls

from .link import Link

CERTIFICATE = b"CERTIFICATE"
KEY = b"PRIVATE KEY"


def tls_context(
    ca: "str | bytes", cert: "str | bytes | None" = None, key: "str | bytes | None" = None
) -> tls.SSLContext:
    """Return a TLS client context that verifies the server, and identifies the device when cert and key are given.

    ca, cert, key: file name or bytes, DER or PEM. ca may hold several certificates, one of which the server's must be
    issued by. cert may be followed by the certificates of its issuers, which are sent with it. The key must not be
    encrypted. Raises OSError for a file that cannot be read, ValueError for one that cannot be used or for a key that
    does not belong to the certificate; both name the file.
    """
    if (not cert) != (not key):
        raise ValueError("cert and key go together")
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    name = ca
    try:
        for block in _read(ca, CERTIFICATE):
            context.load_verify_locations(block)
        if cert and key:
            name = cert
            chain = _read(cert, CERTIFICATE)
            name = key
            private = _read(key, KEY)[0]
            # EC keys end with their public half, RSA keys have it near the beginning; a short one has none.
            if len(private) > 100 and private[-64:] not in chain[0] and private[64:192] not in chain[0]:
                raise ValueError("it does not belong to the certificate")
            for block in chain:
                # The first call takes the certificate, each later one adds the next of the chain.
                context.load_cert_chain(block, private)
    except (OSError, ValueError) as error:
        if str(error) == "invalid cert" and cert and name is key:
            name = cert
        name = name if isinstance(name, str) else "certificate or key"
        raise type(error)("%s: %s" % (name, error))
    return context


def secure_link(
    thing: str, host: str, cert: "str | bytes | None", key: "str | bytes | None", ca: "str | bytes | None", port: int,
    keepalive: int, receive_limit: int,
) -> Link:
    """Return a Link to an account's endpoint, see Agent for the arguments. Raises as tls_context()."""
    if not ca:
        raise ValueError("ca is missing: the server could not be verified")
    return Link(thing, host, port, keepalive=keepalive, ssl=tls_context(ca, cert, key), receive_limit=receive_limit)


def der_blocks(source: "str | bytes", label: bytes = b"") -> "list[bytes]":
    """Return the certificates or keys in a file or in bytes, DER or PEM, as DER: not every port reads PEM.

    label: CERTIFICATE or KEY; without it all blocks. Raises OSError, ValueError saying what is wrong.
    """
    data = source
    if isinstance(data, str):
        with open(data, "rb") as file:
            data = file.read()
    if b"-----BEGIN " not in data:
        return [data]
    blocks = []
    for block in data.split(b"-----BEGIN ")[1:]:
        head, _, body = block.partition(b"-----")
        if head.endswith(label):
            if b"ENCRYPTED" in block:
                raise ValueError("the key is encrypted")
            body, end, _ = body.partition(b"-----END ")
            try:
                blocks.append(a2b_base64(body.strip()))
            except ValueError:
                end = b""
            if not end:
                raise ValueError("cut short or damaged")
    if not blocks:
        raise ValueError("no %s in the PEM file" % label.decode())
    return blocks


def _read(source, label):
    blocks = der_blocks(source, label)
    for data in blocks:
        # A SEQUENCE, and in it first an INTEGER for a key, another SEQUENCE for a certificate.
        begin = 2 + max(data[1] - 128, 0) if len(data) > 9 else 0
        if not begin or data[0] != 0x30 or data[begin] != (0x02 if label == KEY else 0x30):
            raise ValueError("not an unencrypted private key" if label == KEY else "not a certificate")
        if len(data) < begin + (int.from_bytes(data[2:begin], "big") or data[1]):
            raise ValueError("cut short or damaged")
    return blocks
