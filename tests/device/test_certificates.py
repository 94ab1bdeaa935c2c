"""Certificates as files or bytes, DER or PEM, and what is wrong with them."""

from broker import raises
from ujobs.certificates import _der, tls_context


def test_pem_is_turned_into_der():
    pem = b"junk\n-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n" \
          b"-----BEGIN EC PRIVATE KEY-----\nAQID\nBAUG\n-----END EC PRIVATE KEY-----\n"
    assert _der(pem, b"PRIVATE KEY") == [b"\x01\x02\x03\x04\x05\x06"]
    assert _der(b"\x30\x82der", b"CERTIFICATE") == [b"\x30\x82der"]
    assert "CERTIFICATE" in str(raises(ValueError, _der, pem, b"CERTIFICATE"))


def test_what_is_no_certificate_is_refused():
    raises(ValueError, tls_context, b"not a certificate")
    raises(OSError, tls_context, "/no/such/file")
