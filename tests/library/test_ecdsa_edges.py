"""Edge cases of ECDSA signatures and P-256 keys, made by hand: the cases of Project Wycheproof that apply.

The results are compared with OpenSSL's, through `cryptography`, where it accepts the input. More encodings are in
tests/device/test_verify.py, random changes in tests/fuzz/test_fuzz_verify.py.
"""

import hashlib
import itertools

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

from ujobs.verify import check, load_key

DIGEST = hashlib.sha256(b"edges").digest()
SHA256 = Prehashed(hashes.SHA256())
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
X_AT_1 = 0x09E78D4EF60D05F750F6636209092BC43CBDD6B47E11A9DE20A9FEB2A50BB96C  # of the point whose y is 1
Point = tuple[int, int] | None  # None: at infinity


def add(one: Point, two: Point) -> Point:
    """The sum of two points of P-256, by the textbook formula."""
    if one is None or two is None:
        return one or two
    (x1, y1), (x2, y2) = one, two
    if x1 == x2 and (y1 + y2) % P == 0:
        return None
    slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, P) if one == two else (y2 - y1) * pow(x2 - x1, -1, P)
    x = (slope * slope - x1 - x2) % P
    return x, (slope * (x1 - x) - y1) % P


def times(k: int, point: Point) -> Point:
    total: Point = None
    for bit in f"{k % N:b}":
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def next_point(x: int) -> tuple[int, int]:
    """The first point whose x is at least this."""
    while pow(x**3 - 3 * x + B, (P - 1) // 2, P) != 1:
        x += 1
    return x, pow(x**3 - 3 * x + B, (P + 1) // 4, P)


def base() -> Point:
    return public_point(ec.derive_private_key(1, ec.SECP256R1()))


def public_point(key: ec.EllipticCurvePrivateKey) -> Point:
    numbers = key.public_key().public_numbers()
    return numbers.x, numbers.y


def spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def ec_verdicts(point: Point, digest: bytes, r: int, s: int) -> set[bool]:
    """The verdicts of the library and of OpenSSL on a signature."""
    assert point is not None
    key = ec.EllipticCurvePublicNumbers(*point, ec.SECP256R1()).public_key()
    signature = encode_dss_signature(r, s)
    try:
        key.verify(signature, digest, ec.ECDSA(SHA256))
        verdict = True
    except InvalidSignature:
        verdict = False
    return {verdict, check(load_key(spki(key)), digest, signature)}


def der(tag: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([tag, len(content)]) + content


def number(digest: bytes) -> int:
    return int.from_bytes(digest, "big")


@pytest.fixture(scope="module")
def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


EDGES = [1, 2, N - 1, N - 2, N, N + 1, N // 2, N // 2 + 1, P - N, P - N - 1, P - 1, P, 2**255, 2**256 - 1, 2**256, 0]


def test_ecdsa_numbers_at_every_edge(p256: ec.EllipticCurvePrivateKey) -> None:
    for r, s in itertools.product(EDGES, EDGES):
        assert ec_verdicts(public_point(p256), DIGEST, r, s) == {False}, (r, s)


@pytest.mark.parametrize("digest", [bytes(32), b"\xff" * 32, N.to_bytes(32, "big"), (N - 1).to_bytes(32, "big")])
def test_ecdsa_digests_at_the_edges(digest: bytes, p256: ec.EllipticCurvePrivateKey) -> None:
    key = load_key(spki(p256.public_key()))
    assert check(key, digest, p256.sign(digest, ec.ECDSA(SHA256)))
    assert not check(key, DIGEST, p256.sign(digest, ec.ECDSA(SHA256)))


@pytest.mark.parametrize("private", [1, 2, 3, 4, 7, N // 2, N // 2 + 1, N - 3, N - 2, N - 1])
def test_ecdsa_keys_whose_multiples_include_the_base_point(private: int) -> None:
    key = ec.derive_private_key(private, ec.SECP256R1())
    for digest in (DIGEST, bytes(31) + b"\x01", bytes(32)):
        assert check(load_key(spki(key.public_key())), digest, key.sign(digest, ec.ECDSA(SHA256)))


def test_ecdsa_sum_of_two_equal_points() -> None:
    # Both products are the same point: e/s = u and r/s * d = u give R = 2uG.
    for u in (1, 5, N // 3, N - 1):
        found = times(2 * u, base())
        assert found is not None
        r = found[0] % N
        e = number(DIGEST)
        s = e * pow(u, -1, N) % N
        private = e * pow(r, -1, N) % N
        assert ec_verdicts(times(private, base()), DIGEST, r, s) == {True}


def test_ecdsa_sum_at_infinity(p256: ec.EllipticCurvePrivateKey) -> None:
    # e + r*d = 0 modulo N gives the point at infinity, so no s makes a valid signature.
    private = p256.private_numbers().private_value
    for r, s in itertools.product((1, 5, P - N - 1, N - 1), (1, 2, N - 1)):
        digest = (-r * private % N).to_bytes(32, "big")
        assert ec_verdicts(public_point(p256), digest, r, s) == {False}


def test_ecdsa_with_an_x_beyond_the_order() -> None:
    # x of R is between N and P, so r = x - N; the key is chosen so that the signature is valid.
    x, y = next_point(N)
    r, s = x - N, 7
    minus_digest = times(-number(DIGEST), base())
    key = times(pow(r, -1, N), add(times(s, (x, y)), minus_digest))
    assert ec_verdicts(key, DIGEST, r, s) == {True}
    assert ec_verdicts(key, DIGEST, x, s) == {False}
    assert ec_verdicts(key, DIGEST, r + 1, s) == {False}


def test_ecdsa_numbers_without_their_sign(p256: ec.EllipticCurvePrivateKey) -> None:
    # Both numbers have the highest bit set. Without the leading zero byte of DER they are negative.
    signatures = (p256.sign(DIGEST, ec.ECDSA(SHA256)) for _ in itertools.count())
    r, s = next(pair for pair in map(decode_dss_signature, signatures) if min(pair) >> 255)
    key = load_key(spki(p256.public_key()))
    for zero_r, zero_s in itertools.product((b"", b"\x00"), (b"", b"\x00")):
        content = der(2, zero_r + r.to_bytes(32, "big")) + der(2, zero_s + s.to_bytes(32, "big"))
        assert check(key, DIGEST, der(0x30, content)) == bool(zero_r and zero_s)


def both(x: int, y: int) -> bytes:
    """An uncompressed point."""
    return b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")


def test_invalid_ec_keys_are_refused(p256: ec.EllipticCurvePrivateKey) -> None:
    whole = spki(p256.public_key())
    algorithm, (x, y) = whole[2:23], (whole[27:59], whole[59:])
    assert der(0x30, algorithm + der(3, b"\x00\x04" + x + y)) == whole
    assert (X_AT_1**3 - 3 * X_AT_1 + B) % P == 1
    for name, point in {
        "at infinity": b"\x00",
        "at infinity, whole": bytes(65),
        "compressed": bytes([2 + (y[-1] & 1)]) + x,
        "hybrid": bytes([6 + (y[-1] & 1)]) + x + y,
        "not on the curve": b"\x04" + x + x,
        "0, 0": both(0, 0),
        "x = P": both(P, next_point(0)[1]),
        "x + P": both(next_point(1)[0] + P, next_point(1)[1]),
        "y + P": both(X_AT_1, 1 + P),
        "short": b"\x04" + x + y[:-1],
        "long": b"\x04" + x + y + b"\x00",
        "none": b"",
    }.items():
        with pytest.raises(ValueError, match="point on P-256"):
            print(name, load_key(der(0x30, algorithm + der(3, b"\x00" + point))))


def test_keys_of_other_types_are_refused() -> None:
    for key in (
        ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.BrainpoolP256R1()),
        ed25519.Ed25519PrivateKey.generate(), x25519.X25519PrivateKey.generate(),
    ):
        with pytest.raises(ValueError, match="neither RSA nor EC on P-256"):
            load_key(spki(key.public_key()))
