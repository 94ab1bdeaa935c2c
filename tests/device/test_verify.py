"""Valid signatures are accepted, and all similar ones refused. tests/keys/test_signing.py tests more on CPython."""

import os
from binascii import b2a_base64, hexlify
from hashlib import sha256

import signature_vectors as vectors
from broker import raises
from temporary import temporary
from ujobs.verify import ECDSA, RSA, RSA_PSS, check, load_key

DIGEST = sha256(vectors.MESSAGE).digest()
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def pem(label, der):
    return b"-----BEGIN %s-----\n%s-----END %s-----\n" % (label, b2a_base64(der), label)


def passes(key, signature, scheme=None, digest=DIGEST):
    return check(load_key(key), digest, signature, scheme)


def flipped(data, position):
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


def signature_of(r, s):
    return sequence(integer(r) + integer(s))


def integer(value):
    data = value.to_bytes(34, "big")
    while len(data) > 1 and data[0] == 0 and data[1] < 128:
        data = data[1:]
    return b"\x02" + bytes([len(data)]) + data


def sequence(content):
    return b"\x30" + bytes([len(content)]) + content


def r_and_s():
    """Variants of the valid signature."""
    data = vectors.P256_SIGNATURE
    middle = 4 + data[3]
    return int.from_bytes(data[4:middle], "big"), int.from_bytes(data[middle + 2 :], "big")


def test_the_names_of_the_schemes_are_those_of_aws():
    assert (RSA, RSA_PSS, ECDSA) == ("sig-sha256-rsa", "sig-sha256-rsa-pss", "sig-sha256-ecdsa")


def test_rsa_pkcs1():
    assert passes(vectors.RSA_2048, vectors.RSA_2048_PKCS1)
    assert passes(vectors.RSA_2048, vectors.RSA_2048_PKCS1, RSA)
    assert passes(vectors.RSA_3072, vectors.RSA_3072_PKCS1)
    assert passes(vectors.RSA_E3, vectors.RSA_E3_PKCS1)


def test_rsa_pss():
    assert passes(vectors.RSA_2048, vectors.RSA_2048_PSS, RSA_PSS)
    assert passes(vectors.RSA_3072, vectors.RSA_3072_PSS, RSA_PSS)
    assert not passes(vectors.RSA_2048, vectors.RSA_2048_PSS_NO_SALT, RSA_PSS)


def test_ecdsa():
    assert passes(vectors.P256, vectors.P256_SIGNATURE)
    assert passes(vectors.P256, vectors.P256_SIGNATURE, ECDSA)


def test_another_digest_key_or_scheme():
    other = sha256(b"other").digest()
    assert not passes(vectors.RSA_2048, vectors.RSA_2048_PKCS1, RSA, other)
    assert not passes(vectors.RSA_2048, vectors.RSA_2048_PSS, RSA_PSS, other)
    assert not passes(vectors.P256, vectors.P256_SIGNATURE, ECDSA, other)
    assert not passes(vectors.RSA_E3, vectors.RSA_2048_PKCS1)
    assert not passes(vectors.RSA_2048, vectors.RSA_2048_PSS, RSA)
    assert not passes(vectors.RSA_2048, vectors.RSA_2048_PKCS1, RSA_PSS)
    assert not passes(vectors.RSA_2048, vectors.RSA_2048_PKCS1, ECDSA)
    assert not passes(vectors.P256, vectors.P256_SIGNATURE, RSA)
    assert not passes(vectors.P256, vectors.P256_SIGNATURE, "sig-sha1-ecdsa")


def test_signatures_that_are_changed_cut_or_longer():
    for key, signature, scheme in (
        (vectors.RSA_2048, vectors.RSA_2048_PKCS1, RSA),
        (vectors.RSA_2048, vectors.RSA_2048_PSS, RSA_PSS),
        (vectors.P256, vectors.P256_SIGNATURE, ECDSA),
    ):
        for wrong in (
            b"", b"\x00", b"0", signature[:-1], signature[1:], signature + b"\x00", b"\x00" + signature,
            bytes(len(signature)), b"\xff" * len(signature), b"\x30\x80" + signature, bytes(3000),
        ):
            assert not passes(key, wrong, scheme), hexlify(wrong)
        for position in range(0, len(signature), 23):
            assert not passes(key, flipped(signature, position), scheme), position


def test_a_forged_signature_with_exponent_3_is_refused():
    assert not passes(vectors.RSA_E3, vectors.RSA_E3_FORGERY)


def test_ecdsa_numbers_out_of_range():
    r, s = r_and_s()
    assert passes(vectors.P256, signature_of(r, s))
    # Both are valid ECDSA signatures of the same message.
    assert passes(vectors.P256, signature_of(r, N - s))
    for wrong in (
        (0, s), (r, 0), (0, 0), (1, 0), (0, 1), (1, 1), (N, s), (r, N), (r + N, s), (r, s + N), (N - r, s), (s, r),
    ):
        assert not passes(vectors.P256, signature_of(*wrong)), wrong


def test_ecdsa_terms_that_are_opposite_on_the_way():
    # The key is -G. The highest bits of both factors are the same, and their sum is the point at infinity for a while.
    base = (
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    )
    negative = (1 << 256) - (1 << 224) + (1 << 192) + (1 << 96) - 1 - base[1]
    key = vectors.P256[:27] + base[0].to_bytes(32, "big") + negative.to_bytes(32, "big")
    for second in (3 << 200, 5 << 100, 1 << 255):
        # (second + 1) * G + second * -G is G.
        r = base[0]
        s = r * pow(second, N - 2, N) % N
        digest = ((second + 1) * s % N).to_bytes(32, "big")
        assert passes(key, signature_of(r, s), ECDSA, digest), second
        assert not passes(key, signature_of(r, s), ECDSA, DIGEST), second


def test_ecdsa_signatures_that_are_not_der():
    r, s = map(integer, r_and_s())
    negative = b"\x02\x20" + b"\x80" + bytes(31)
    padded = b"\x02" + bytes([r[1] + 1]) + b"\x00" + r[2:]
    for wrong in (
        sequence(padded + s), sequence(negative + s), sequence(r + negative), sequence(r), sequence(r + s + s),
        sequence(r + s + b"\x05\x00"), sequence(r + b"\x02\x00"), sequence(b"\x02\x00" + s), sequence(b""),
        b"\x31" + sequence(r + s)[1:], sequence(b"\x03" + r[1:] + s), r + s,
        b"\x30\x81" + sequence(r + s)[1:], b"\x30\x82\x00" + sequence(r + s)[1:], b"\x30\x80" + r + s + b"\x00\x00",
        sequence(b"\x02\x81" + r[1:] + s), sequence(r + b"\x02\x85\x01\x00\x00\x00" + s[1:]), b"\x30\xff" + r + s,
    ):
        assert not passes(vectors.P256, wrong), hexlify(wrong)


def test_an_invalid_digest_is_refused():
    for wrong in (b"", DIGEST[1:], DIGEST + b"\x00", hexlify(DIGEST)):
        assert "32 bytes" in str(raises(ValueError, passes, vectors.P256, vectors.P256_SIGNATURE, ECDSA, wrong))


def test_keys_as_der_pem_certificate_or_file():
    key = load_key(vectors.P256)
    assert load_key(vectors.P256_CERTIFICATE) == key
    assert load_key(pem(b"CERTIFICATE", vectors.P256_CERTIFICATE)) == key
    assert load_key(b"as text\n" + pem(b"PUBLIC KEY", vectors.P256) + pem(b"PUBLIC KEY", vectors.RSA_E3)) == key
    assert load_key(pem(b"PUBLIC KEY", vectors.RSA_2048)) == load_key(vectors.RSA_2048)
    name = temporary("key.der")
    with open(name, "wb") as file:
        file.write(vectors.P256)
    try:
        assert load_key(name) == key
    finally:
        os.remove(name)
    raises(OSError, load_key, "/no/such/key")


def test_invalid_keys_are_refused():
    for wrong, reason in (
        (vectors.RSA_1024, "2048 to 3072 bits"),
        (vectors.SECP256K1, "neither RSA nor EC on P-256"),
        (flipped(vectors.P256, -1), "point on P-256"),
        (flipped(vectors.P256, 60), "point on P-256"),
        (vectors.P256[:26] + b"\x02" + vectors.P256[27:], "point on P-256"),
        (vectors.P256[:26] + bytes(65), "point on P-256"),
        (vectors.P256[:26] + b"\x04" + bytes(64), "point on P-256"),
        (vectors.P256[:26] + b"\x04" + b"\xff" * 64, "point on P-256"),
        (vectors.RSA_E3[:-1] + b"\x02", "exponent 3 or 65537"),
        (vectors.RSA_E3[:-1] + b"\x83", "RSA needs"),
        (vectors.P256 + b"\x00", "damaged"),
        (flipped(vectors.P256, 25), "damaged"),
        (vectors.RSA_2048_PKCS1, "damaged"),
        (b"", "damaged"),
        (b"\x30\x00", "damaged"),
        (b"not a key", "damaged"),
        (b"-----BEGIN PUBLIC KEY", "damaged"),
        (pem(b"PRIVATE KEY", b"\x30\x03\x02\x01\x00"), "damaged"),
        (pem(b"PUBLIC KEY", vectors.P256[:-9]), "damaged"),
    ):
        assert reason in str(raises(ValueError, load_key, wrong)), (hexlify(wrong), reason)


def test_numbers_that_begin_with_80_are_read():
    # DER adds a zero byte if the highest bit is set: 00 80 is the smallest such number.
    key = vectors.RSA_2048.replace(b"\x02\x82\x01\x01\x00\xf2", b"\x02\x82\x01\x01\x00\x80")
    assert key != vectors.RSA_2048
    assert load_key(key)[1] >> 2040 == 0x80


def test_incomplete_keys_are_refused():
    for whole in (vectors.P256, vectors.P256_CERTIFICATE, vectors.RSA_E3):
        for size in range(0, len(whole), 3):
            raises(ValueError, load_key, whole[:size])
