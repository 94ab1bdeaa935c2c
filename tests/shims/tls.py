"""MicroPython's `tls` for CPython, built on `ssl`, with the same behaviour.

Certificates are DER bytes; PEM is refused, as on MicroPython's unix port. A certificate that does not verify raises
ValueError with mbedTLS's text. A non-blocking socket returns None if there are no bytes.
"""

import os
import ssl
import tempfile

PROTOCOL_TLS_CLIENT = ssl.PROTOCOL_TLS_CLIENT
CERT_NONE = ssl.CERT_NONE
CERT_REQUIRED = ssl.CERT_REQUIRED

_TEXTS = (
    ("expired", "The certificate validity has expired"),
    ("not yet valid", "The certificate validity starts in the future"),
    ("mismatch", "The certificate Common Name (CN) does not match with the expected CN"),
    ("", "The certificate is not correctly signed by the trusted CA"),
)


class SSLContext:
    def __init__(self, protocol):
        self._context = ssl.SSLContext(protocol)
        self._context.check_hostname = True
        self._chain = b""

    @property
    def verify_mode(self):
        return self._context.verify_mode

    @verify_mode.setter
    def verify_mode(self, mode):
        self._context.verify_mode = mode

    def load_verify_locations(self, cadata):
        try:
            self._context.load_verify_locations(cadata=bytes(cadata))
        except ssl.SSLError as error:
            raise ValueError("invalid cert") from error

    def load_cert_chain(self, cert, key):
        for data in (cert, key):
            if b"-----BEGIN" in data:
                raise ValueError("invalid key" if data is key else "invalid cert")
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization

        try:
            loaded = serialization.load_der_private_key(bytes(key), None)
        except ValueError as error:
            raise ValueError("invalid key") from error
        # A second call adds the next certificate of the chain.
        try:
            self._chain += ssl.DER_cert_to_PEM_cert(bytes(cert)).encode()
            x509.load_der_x509_certificate(bytes(cert))
        except ValueError as error:
            raise ValueError("invalid cert") from error
        pem = self._chain + loaded.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file, name = tempfile.mkstemp()
        try:
            os.write(file, pem)
            os.close(file)
            self._context.load_cert_chain(name)
        except ssl.SSLError:
            # mbedTLS accepts a certificate of another key. The server refuses it, like a missing certificate.
            pass
        finally:
            os.unlink(name)

    def wrap_socket(self, sock, *, server_hostname, do_handshake_on_connect=True):
        assert not do_handshake_on_connect, "only the lazy handshake is stood in for"
        return _Socket(sock, self._context, server_hostname)


class _Socket:
    """A TLS socket over a raw non-blocking one; the handshake happens at first use, as in MicroPython."""

    def __init__(self, raw, context, server_hostname):
        self.raw = raw
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        self._ready = False
        self._failed = False  # in the handshake
        self._partial = False  # only part of a record has arrived

    def setblocking(self, flag):
        self.raw.setblocking(flag)

    def close(self):
        # After a failed handshake mbedTLS has let go of the connection, which stays open.
        if not self._failed:
            self.raw.close()

    def pending(self):
        # Records that arrived with the last one have left the socket's buffer: poll does not report them.
        return self._ready and (self._tls.pending() > 0 or (self._incoming.pending > 0 and not self._partial))

    def _pump(self, operation, *args):
        """Run one operation; returns None if it needs bytes that have not arrived."""
        while True:
            try:
                result = operation(*args)
                self._flush()
                return result
            except ssl.SSLWantReadError:
                self._flush()
                piece = self.raw.read(16384)
                self._partial = piece is None
                if piece is None:
                    return None
                if piece:
                    self._incoming.write(piece)
                else:
                    self._incoming.write_eof()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            except ssl.SSLCertVerificationError as error:
                self._flush()
                text = next(text for part, text in _TEXTS if part in error.verify_message)
                raise ValueError("\n%s\n" % text) from error

    def _flush(self):
        data = self._outgoing.read()
        while data:
            done = self.raw.write(data)
            data = data[done or 0 :]

    def _handshake(self):
        if not self._ready:
            try:
                self._ready = self._pump(self._tls.do_handshake) is None and self._tls.version() is not None
            except (OSError, ValueError):
                self._failed = True
                raise
        return self._ready

    def readinto(self, view):
        if not self._handshake():
            return None
        data = self._pump(self._tls.read, len(view))
        if data is None:
            return None
        view[: len(data)] = data
        return len(data)

    def write(self, data):
        if not self._handshake():
            return None
        result = self._pump(self._tls.write, data)
        if result == b"":
            raise OSError(32, "EPIPE")
        return result
