"""TLS contexts that verify the server, from certificates and keys in flash. Needed once, when the agent is made."""
# The stubs do not know that a context's verify_mode can be set.
# pyright: reportAttributeAccessIssue=false

from binascii import a2b_base64

import tls

# Not in a .mpy at -O2, whose compiler knows const.
if __debug__:
    from micropython import const

_CERTIFICATE = const(b"CERTIFICATE")
_KEY = const(b"PRIVATE KEY")


def tls_context(
    ca: "str | bytes", cert: "str | bytes | None" = None, key: "str | bytes | None" = None
) -> tls.SSLContext:
    """Return a TLS client context that verifies the server, and identifies the device when cert and key are given.

    ca, cert, key: file name or bytes, DER or PEM. ca may hold several certificates, one of which the server's must be
    issued by. cert may be followed by the certificates of its issuers, which are sent with it. The key must not be
    encrypted. Raises OSError for a file that cannot be read, ValueError for one that cannot be used or for a key that
    does not belong to the certificate; both name the file.
    """
    if not ca:
        raise ValueError("ca is missing: the server could not be verified")
    if (not cert) != (not key):
        raise ValueError("cert and key go together")
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    name = ca
    try:
        for block in _read(ca, _CERTIFICATE):
            context.load_verify_locations(block)
        if cert and key:
            name = cert
            chain = _read(cert, _CERTIFICATE)
            name = key
            private = _read(key, _KEY)[0]
            # EC keys end with their public half, RSA keys have it near the beginning; a short one has none.
            if len(private) > 100 and private[-64:] not in chain[0] and private[64:192] not in chain[0]:
                raise ValueError("it does not belong to the certificate")
            name = cert
            for block in chain:
                # The first call takes the certificate, each later one adds the next of the chain.
                context.load_cert_chain(block, private)
    except (OSError, ValueError) as error:
        if str(error) == "invalid key":
            name = key
        name = name if isinstance(name, str) else "certificate or key"
        raise type(error)("%s: %s" % (name, error))
    return context


def der_blocks(source: "str | bytes", label: bytes = b"") -> "list[bytes]":
    """Return the certificates or keys in a file or in bytes, DER or PEM, as DER: not every port reads PEM.

    label: what the name of a PEM block ends with, b"CERTIFICATE" or b"PRIVATE KEY"; without it all blocks. A block that
    is not base64 is empty. Raises OSError, ValueError saying what is wrong.
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
            try:
                blocks.append(a2b_base64(body.partition(b"-----END ")[0]))
            except ValueError:
                blocks.append(b"")  # damaged: neither a certificate nor a key
    if not blocks:
        raise ValueError("no %s in the PEM file" % label.decode())
    return blocks


def contents(data: bytes, tags: bytes) -> "list[bytes]":
    """Return the contents of the DER elements that data begins with, which must have these tags, and what follows them.

    Raises IndexError for anything else. Source: ITU-T X.690.
    """
    found = []
    for tag in tags:
        begin = 2
        size = data[1]
        if size > 127:
            begin += size & 127
            size = int.from_bytes(data[2:begin], "big")
            # DER wants the shortest form; no key or certificate needs more than two bytes.
            if begin not in (3, 4) or not size >> (8 * begin - 24 or 7):
                raise IndexError
        end = begin + size
        if data[0] != tag or end > len(data):
            raise IndexError
        found.append(data[begin:end])
        data = data[end:]
    return found + [data]


def _read(source, label):
    blocks = der_blocks(source, label)
    # In its SEQUENCE (0x30) a certificate begins with another one, a key with an INTEGER (0x02).
    tag, what = (b"\x02", "an unencrypted private key") if label == _KEY else (b"\x30", "a certificate")
    for data in blocks:
        try:
            right = contents(data, b"\x30")[0][:1] == tag
        except IndexError:
            right = False
        if not right:
            raise ValueError("not %s, or damaged" % what)
    return blocks
