"""Edge cases of RSA signatures and keys, made by hand: the cases of Project Wycheproof that apply.

Random changes are in tests/fuzz/test_fuzz_verify.py."""

import hashlib
import itertools

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from ujobs.verify import RSA, RSA_PSS, check, load_key

DIGEST = hashlib.sha256(b"edges").digest()
SHA256 = Prehashed(hashes.SHA256())


@pytest.fixture(scope="module")
def rsa_2048() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def spki(key: rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def private_operation(key: rsa.RSAPrivateKey, block: bytes) -> bytes:
    """The signature with this block."""
    numbers = key.private_numbers()
    n = numbers.public_numbers.n
    assert number(block) < n
    return pow(number(block), numbers.d, n).to_bytes(256, "big")


INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def pkcs1_block(info: bytes, digest: bytes = DIGEST, after: bytes = b"", start: bytes = b"\x00\x01") -> bytes:
    filling = 256 - len(start) - 1 - len(info) - len(digest) - len(after)
    return start + b"\xff" * filling + b"\x00" + info + digest + after


def test_almost_valid_pkcs1_blocks_are_refused(rsa_2048: rsa.RSAPrivateKey) -> None:
    key = load_key(spki(rsa_2048.public_key()))
    sound = pkcs1_block(INFO)
    assert check(key, DIGEST, private_operation(rsa_2048, sound), RSA)
    middle = sound.index(b"\x00", 2) - 100
    for name, block in {
        "no parameters": pkcs1_block(bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20"),
        "other parameters": pkcs1_block(INFO.replace(b"\x05\x00", b"\x04\x00")),
        "long form of a length": pkcs1_block(b"\x30\x81\x31" + INFO[2:]),
        "indefinite length": pkcs1_block(b"\x30\x80" + INFO[2:], after=b"\x00\x00"),
        "wrong length": pkcs1_block(b"\x30\x32" + INFO[2:]),
        "SHA-512": pkcs1_block(INFO.replace(b"\x02\x01\x05", b"\x02\x03\x05")),
        "SHA-1": pkcs1_block(bytes.fromhex("3021300906052b0e03021a05000414"), DIGEST[:20]),
        "no DigestInfo": pkcs1_block(b""),
        "bytes after the digest": pkcs1_block(INFO, after=bytes(8)),
        "bytes before the digest": pkcs1_block(INFO + bytes(8)),
        "short filling, then rubbish": (b"\x00\x01" + b"\xff" * 8 + b"\x00" + INFO + DIGEST).ljust(256, b"\xaa"),
        "no filling": (b"\x00\x01\x00" + INFO + DIGEST).ljust(256, b"\xff"),
        "another byte in the filling": sound[:middle] + b"\xfe" + sound[middle + 1 :],
        "a zero in the filling": sound[:middle] + b"\x00" + sound[middle + 1 :],
        "block type 0": pkcs1_block(INFO, start=b"\x00\x00"),
        "block type 2": pkcs1_block(INFO, start=b"\x00\x02"),
        "first byte 1": pkcs1_block(INFO, start=b"\x01\x01"),
        "zeros": bytes(256),
        "one": bytes(255) + b"\x01",
        "the digest alone": bytes(224) + DIGEST,
    }.items():
        assert not check(key, DIGEST, private_operation(rsa_2048, block), RSA), name


def test_rsa_signatures_beyond_the_modulus(rsa_2048: rsa.RSAPrivateKey) -> None:
    key = load_key(spki(rsa_2048.public_key()))
    n = rsa_2048.public_key().public_numbers().n
    for value in (0, 1, n - 1, n, n + 1, 2**2048 - 1):
        assert not check(key, DIGEST, value.to_bytes(256, "big"))
    # Add n: the same number modulo n, with the same number of bytes.
    digests = (hashlib.sha256(bytes([count])).digest() for count in itertools.count())
    signed = ((digest, number(rsa_2048.sign(digest, padding.PKCS1v15(), SHA256))) for digest in digests)
    digest, small = next((digest, value) for digest, value in signed if value + n < 2**2048)
    assert check(key, digest, small.to_bytes(256, "big"))
    assert not check(key, digest, (small + n).to_bytes(256, "big"))
    assert not check(key, digest, small.to_bytes(257, "big"))


def mgf1(seed: bytes, size: int, name: str = "sha256") -> bytes:
    blocks = (hashlib.new(name, seed + count.to_bytes(4, "big")).digest() for count in itertools.count())
    return b"".join(itertools.islice(blocks, size // hashlib.new(name).digest_size + 1))[:size]


def pss_block(
    salt: bytes, one: bytes = b"\x01", zeros: bytes = bytes(8), top: int = 0, end: bytes = b"\xbc", mgf: str = "sha256"
) -> bytes:
    inner = hashlib.sha256(zeros + DIGEST + salt).digest()
    data = (one + salt).rjust(223, b"\x00")
    masked = bytearray(a ^ b for a, b in zip(data, mgf1(inner, 223, mgf), strict=True))
    masked[0] = masked[0] & 127 | top
    return bytes(masked) + inner + end


def test_almost_valid_pss_blocks_are_refused(rsa_2048: rsa.RSAPrivateKey) -> None:
    key = load_key(spki(rsa_2048.public_key()))
    assert check(key, DIGEST, private_operation(rsa_2048, pss_block(bytes(32))), RSA_PSS)
    assert check(key, DIGEST, private_operation(rsa_2048, pss_block(b"\xff" * 32)), RSA_PSS)
    for name, block in {
        "another mask": pss_block(bytes(32), mgf="sha1"),
        "another end": pss_block(bytes(32), end=b"\xbd"),
        "end of ISO 9796-2": pss_block(bytes(32), end=b"\xcc"),
        "0 before the salt": pss_block(bytes(32), one=b"\x00"),
        "2 before the salt": pss_block(bytes(32), one=b"\x02"),
        "1s before the salt": pss_block(bytes(32), one=b"\x01\x01"),
        "a 1 far before the salt": pss_block(bytes(32), one=b"\x01" + bytes(99) + b"\x01"),
        "7 zeros before the digest": pss_block(bytes(32), zeros=bytes(7)),
        "a 1 before the digest": pss_block(bytes(32), zeros=bytes(7) + b"\x01"),
        "zeros": bytes(256),
    }.items():
        assert not check(key, DIGEST, private_operation(rsa_2048, block), RSA_PSS), name


def test_pss_with_all_other_bits_of_the_first_byte_set(rsa_2048: rsa.RSAPrivateKey) -> None:
    block = next(block for block in map(pss_block, (bytes([n]) * 32 for n in range(256))) if block[0] == 127)
    assert check(load_key(spki(rsa_2048.public_key())), DIGEST, private_operation(rsa_2048, block), RSA_PSS)


def test_pss_with_the_topmost_bit_set() -> None:
    # The modulus must be larger than the block.
    key = rsa.generate_private_key(65537, 2048)
    salts = (bytes([count]) * 32 for count in range(256))
    for block in (pss_block(salt, top=128) for salt in salts):
        if number(block) < key.public_key().public_numbers().n:
            assert not check(load_key(spki(key.public_key())), DIGEST, private_operation(key, block), RSA_PSS)
            return
    raise AssertionError("no such block")


@pytest.mark.parametrize("size", [0, 1, 20, 31, 33, 64, 222])
def test_pss_with_another_salt_length(size: int, rsa_2048: rsa.RSAPrivateKey) -> None:
    key = load_key(spki(rsa_2048.public_key()))
    how = padding.PSS(padding.MGF1(hashes.SHA256()), size)
    assert not check(key, DIGEST, rsa_2048.sign(DIGEST, how, SHA256), RSA_PSS)


def der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def rsa_spki(n: int, e: int, kind: int = 1) -> bytes:
    """A public key as DER. kind: last number of the PKCS #1 identifier: 1 rsaEncryption, 10 RSASSA-PSS."""
    integers = b"".join(der(2, value.to_bytes(value.bit_length() // 8 + 1, "big")) for value in (n, e))
    algorithm = der(0x30, bytes.fromhex("06092a864886f70d0101") + bytes([kind]) + b"\x05\x00")
    return der(0x30, algorithm + der(3, b"\x00" + der(0x30, integers)))


def test_invalid_rsa_keys_are_refused(rsa_2048: rsa.RSAPrivateKey) -> None:
    n = rsa_2048.public_key().public_numbers().n
    assert load_key(rsa_spki(n, 65537)) == load_key(spki(rsa_2048.public_key()))
    for modulus, exponent in (
        (n, 0), (n, 1), (n, 2), (n, 5), (n, 65536), (n, 65539), (n, n), (n, 2**64 + 1),
        (n >> 1, 65537), (n >> 8, 65537), (n << 1, 65537), (n << 1025, 65537), (n << 2048, 65537), (0, 65537),
        (1, 65537),
    ):
        with pytest.raises(ValueError, match="2048 to 3072 bits"):
            load_key(rsa_spki(modulus, exponent))
    with pytest.raises(ValueError, match="neither RSA nor EC"):
        load_key(rsa_spki(n, 65537, kind=10))


def test_an_even_modulus_verifies_nothing(rsa_2048: rsa.RSAPrivateKey) -> None:
    key = load_key(rsa_spki(rsa_2048.public_key().public_numbers().n - 1, 65537))
    for how, scheme in ((padding.PKCS1v15(), RSA), (padding.PSS(padding.MGF1(hashes.SHA256()), 32), RSA_PSS)):
        assert not check(key, DIGEST, rsa_2048.sign(DIGEST, how, SHA256), scheme)
