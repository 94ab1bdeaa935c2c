"""Certificates from flash to a TLS context that verifies the server. Needed once, when the agent is made."""
# The stubs do not know that a context's verify_mode can be set.
# pyright: reportAttributeAccessIssue=false

from binascii import a2b_base64

import tls


def tls_context(
    ca: "str | bytes", cert: "str | bytes | None" = None, key: "str | bytes | None" = None
) -> tls.SSLContext:
    """Return a TLS client context that verifies the server, and identifies the device when cert and key are given.

    ca, cert, key: file name or bytes, DER or PEM; ca may be a PEM bundle; the key must not be encrypted.
    Raises OSError for a file that cannot be read, ValueError for one that the TLS library does not take.
    """
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    for block in _der(ca, b"CERTIFICATE"):
        context.load_verify_locations(block)
    if cert or key:
        if not cert or not key:
            raise ValueError("cert and key go together")
        context.load_cert_chain(_der(cert, b"CERTIFICATE")[0], _der(key, b"PRIVATE KEY")[0])
    return context


def _der(source, label):
    # PEM becomes DER here because not every port's mbedTLS is built to read PEM.
    if isinstance(source, str):
        with open(source, "rb") as file:
            source = file.read()
    if b"-----BEGIN" not in source:
        return [source]
    blocks = []
    for block in source.split(b"-----BEGIN ")[1:]:
        head, body = block.split(b"-----", 1)
        if head.endswith(label):
            blocks.append(a2b_base64(body.split(b"-----", 1)[0].strip()))
    if not blocks:
        raise ValueError("no %s in the PEM file" % label.decode())
    return blocks
