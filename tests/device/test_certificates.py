"""Certificates as files or bytes, DER or PEM, and messages that name the file and its fault. Tests with real keys and
TLS: tests/library/test_certificates_over_tls.py."""

import os
from binascii import b2a_base64

import ujobs.certificates as certificates
from broker import raises
from replaced import Replaced
from temporary import temporary
from ujobs.certificates import contents, der_blocks, tls_context

CERTIFICATE, KEY = b"CERTIFICATE", b"PRIVATE KEY"
FOLDER = temporary("certificates")
# The outer structure of an X.509 certificate and an EC key, with a public key in both.
PUBLIC = bytes(range(64))
CERT_DER = b"\x30\x82\x01\x00\x30\x81\x50" + b"\xa0" * 93 + PUBLIC + bytes(96)
KEY_DER = b"\x30\x77\x02\x01\x01" + b"k" * 52 + PUBLIC


def pem(label, der):
    return b"-----BEGIN %s-----\n%s-----END %s-----\n" % (label, b2a_base64(der), label)


def problem(kind=ValueError, **files):
    """Write these files, make a context of them, and return the error message."""
    contents = {"ca": CERT_DER, "cert": CERT_DER, "key": KEY_DER}
    contents.update(files)
    os.mkdir(FOLDER)
    try:
        for name, content in contents.items():
            if content is not None:
                with open(FOLDER + "/" + name, "wb") as file:
                    file.write(content)
        return str(raises(kind, tls_context, *[FOLDER + "/" + name for name in ("ca", "cert", "key")]))
    finally:
        for name in os.listdir(FOLDER):
            os.remove(FOLDER + "/" + name)
        os.rmdir(FOLDER)


class Lenient:
    """A TLS library whose contexts accept everything, so that files after the first are checked."""

    PROTOCOL_TLS_CLIENT = CERT_REQUIRED = 0

    @staticmethod
    def SSLContext(protocol):
        return Lenient()

    def load_verify_locations(self, cadata):
        pass

    def load_cert_chain(self, cert, key):
        raise ValueError("invalid key" if b"worn" in key else "invalid cert")


def test_pem_is_converted_to_der():
    text = b"junk\n-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n" \
           b"-----BEGIN EC PRIVATE KEY-----\nAQID\nBAUG\n-----END EC PRIVATE KEY-----\n"
    assert der_blocks(text, KEY) == [b"\x01\x02\x03\x04\x05\x06"]
    assert der_blocks(b"\x30\x82der", CERTIFICATE) == [b"\x30\x82der"]
    assert der_blocks(pem(CERTIFICATE, b"one") + pem(CERTIFICATE, b"two"), CERTIFICATE) == [b"one", b"two"]
    assert "CERTIFICATE" in str(raises(ValueError, der_blocks, text, CERTIFICATE))


def test_content_that_is_not_a_certificate_is_refused():
    raises(ValueError, tls_context, b"not a certificate")
    raises(OSError, tls_context, "/no/such/file")


def test_messages_name_the_file_and_its_fault():
    encrypted = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAQID\n-----END RSA PRIVATE KEY-----\n"
    with Replaced(certificates, tls=Lenient):
        for files, name, fault in (
            ({"cert": CERT_DER[:-1]}, "cert", "damaged"),
            ({"key": KEY_DER[:50]}, "key", "damaged"),
            ({"cert": b"\x30\xff" + bytes(50)}, "cert", "damaged"),
            ({"ca": b"\x30\x00"}, "ca", "damaged"),
            ({"cert": pem(CERTIFICATE, CERT_DER)[:200]}, "cert", "or damaged"),
            ({"cert": pem(CERTIFICATE, CERT_DER)[:201]}, "cert", "or damaged"),
            ({"key": pem(b"ENCRYPTED PRIVATE KEY", CERT_DER)}, "key", "the key is encrypted"),
            ({"key": encrypted}, "key", "the key is encrypted"),
            ({"key": CERT_DER}, "key", "not an unencrypted private key"),
            ({"cert": KEY_DER}, "cert", "not a certificate"),
            ({"ca": KEY_DER}, "ca", "not a certificate"),
            ({"ca": b""}, "ca", "not a certificate"),
            ({"cert": b"<html>Not found</html>"}, "cert", "not a certificate"),
            ({"cert": pem(KEY, KEY_DER)}, "cert", "no CERTIFICATE in the PEM file"),
            ({"key": pem(CERTIFICATE, CERT_DER)}, "key", "no PRIVATE KEY in the PEM file"),
            ({"key": KEY_DER[:-1] + b"!"}, "key", "does not belong to the certificate"),
            ({"key": b"\x30\x33\x02" + b"worn" + bytes(46)}, "key", "invalid key"),
            ({}, "cert", "invalid cert"),
        ):
            found = problem(**files)
            assert found.startswith(FOLDER + "/" + name + ": "), (found, fault)
            assert fault in found, (found, fault)
        for name in ("ca", "cert", "key"):
            assert problem(OSError, **{name: None}).startswith(FOLDER + "/" + name + ": ")


def test_a_key_with_or_without_its_public_half_belongs_to_its_certificate():
    modulus = bytes([n * 7 & 255 for n in range(256)])
    rsa_cert = b"\x30\x82\x02\x00\x30\x81\x50" + bytes(93) + modulus + bytes(160)
    rsa_key = b"\x30\x82\x04\xa0\x02\x01\x00\x02\x82\x01\x01\x00" + modulus + b"p" * 920
    short = b"\x30\x31\x02\x01\x01" + b"k" * 46
    with Replaced(certificates, tls=Lenient):
        for cert, key in ((CERT_DER, KEY_DER), (CERT_DER, short), (rsa_cert, rsa_key)):
            assert "invalid cert" in problem(cert=cert, key=key)
        for cert, key in ((CERT_DER, rsa_key), (rsa_cert, KEY_DER)):
            assert "does not belong" in problem(cert=cert, key=key)


def test_der_wants_the_shortest_form_of_a_length():
    for head, size in ((b"\x30\x7f", 127), (b"\x30\x81\x80", 128), (b"\x30\x81\xff", 255), (b"\x30\x82\x01\x00", 256)):
        assert contents(head + bytes(size), b"\x30") == [bytes(size), b""]
        raises(IndexError, contents, head + bytes(size - 1), b"\x30")
    for head in (b"\x30\x80", b"\x30\x81\x7f", b"\x30\x82\x00\xff", b"\x30\x83\x00\x01\x00", b"\x30\x83\x01\x00\x00"):
        raises(IndexError, contents, head + bytes(70000), b"\x30")


def test_a_certificate_without_its_key_is_refused():
    for files in ((CERT_DER, None), (None, KEY_DER), (CERT_DER, ""), (b"", KEY_DER)):
        assert "go together" in str(raises(ValueError, tls_context, CERT_DER, *files))
