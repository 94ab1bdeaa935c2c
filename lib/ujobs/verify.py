"""Checks signatures over a SHA-256: RSA of 2048 to 3072 bits (PKCS#1 v1.5 or PSS) and ECDSA on the curve P-256.

What must hold: only what is exactly a signature of the digest passes, so encodings are strict DER, and a PKCS#1 block
is built and compared whole rather than taken apart. Key, digest and signature are public, so nothing here needs to
take the same time for all of them; nothing here may ever be used to sign. The key is trusted because of where it is
stored: of a certificate only the key is read, not validity, issuer or extensions.

Sources: RFC 8017 (RSA), RFC 5480 (keys), SEC 1 section 4.1.4 (ECDSA), FIPS 186-5 and SP 800-186 (P-256).
"""

from binascii import a2b_base64
from hashlib import sha256

from .certificates import contents, der_blocks

# Not in a .mpy at -O2, whose compiler knows const.
if __debug__:
    from micropython import const

# The first and the last are the kinds of keys, and the members of AWS's over-the-air updates ("afr_ota") that hold
# their signatures.
RSA = "sig-sha256-rsa"
RSA_PSS = "sig-sha256-rsa-pss"
ECDSA = "sig-sha256-ecdsa"

# DER: INTEGER is 0x02, BIT STRING 0x03, OBJECT IDENTIFIER 0x06, SEQUENCE 0x30, the version of a certificate 0xA0.
_OBJECT_ID = const(0x06)

_HASH = const(32)  # bytes of a SHA-256
_RSA_KEY = const(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00")
_P256_KEY = const(b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07")
_DIGEST_INFO = const(b"\x00\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20")



def _int(data):
    return int.from_bytes(data, "big")


# P-256: y*y = x*x*x - 3*x + B modulo _P; the point (_GX, _GY) on it, from which B follows, has the order _N.
_P = _int(
    b"\xff\xff\xff\xff\0\0\0\x01\0\0\0\0\0\0\0\0"
    b"\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
)
_N = _P - _int(b"\x43\x19\x05\x53\x58\xe8\x61\x7b\x0c\x46\x35\x3d\x03\x9c\xda\xae")
_GX = _int(
    b"\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2"
    b"\x77\x03\x7d\x81\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96"
)
_GY = _int(
    b"\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e\x16"
    b"\x2b\xce\x33\x57\x6b\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5"
)


def _b(x, y):
    return (y * y - x * x * x + 3 * x) % _P


def load_key(source: "str | bytes") -> tuple:
    """Return the public key in an X.509 certificate or a SubjectPublicKeyInfo, for check().

    source: file name or bytes, DER or PEM, of which the first block counts. An RSA key must have 2048 to 3072 bits, a
    multiple of 8, and the exponent 3 or 65537; an EC key must be an uncompressed point on P-256.
    Raises OSError for a file that cannot be read, ValueError for a key that cannot be used; both name the file.
    """
    name = source if isinstance(source, str) else "signing key"
    try:
        algorithm, key = _public_key(der_blocks(source)[0])
        if algorithm == _RSA_KEY:
            modulus, exponent = _integers(key)
            bits = 4 * len("%x" % modulus)
            if bits not in range(2048, 3073, 8) or not modulus >> (bits - 1) or exponent not in (3, 65537):
                raise ValueError("RSA needs 2048 to 3072 bits in whole bytes, exponent 3 or 65537")
            return RSA, modulus, exponent
        if algorithm == _P256_KEY:
            x = _int(key[1:33])
            y = _int(key[33:])
            if len(key) != 65 or key[0] != 4 or x >= _P or y >= _P or _b(x, y) != _b(_GX, _GY):
                raise ValueError("not an uncompressed point on P-256")
            return ECDSA, x, y
        raise ValueError("neither RSA nor EC on P-256")
    except IndexError:
        raise ValueError(name + ": not a certificate or public key, or damaged")
    except (OSError, ValueError) as error:
        raise type(error)("%s: %s" % (name, error))


def check(key: tuple, digest: bytes, signature: bytes, scheme: "str | None" = None) -> bool:
    """Return whether a signature is the key's over a SHA-256.

    key: from load_key(). digest: the 32 bytes of the SHA-256. signature: bytes, as long as the modulus for RSA, r and
    s in DER for ECDSA; anything else is False. scheme: RSA (PKCS#1 v1.5), RSA_PSS (MGF1 with SHA-256, 32
    bytes of salt) or ECDSA, without it RSA or ECDSA as the key is; one that is not for the key is False. It
    blocks the event loop; RSA takes a fraction of ECDSA's time. Raises ValueError for a digest of another length.
    """
    if len(digest) != _HASH:
        raise ValueError("digest must be 32 bytes")
    kind, first, second = key
    if scheme is None:
        scheme = kind
    if kind == ECDSA:
        return scheme == ECDSA and _ecdsa(first, second, digest, signature)
    size = len(signature)
    number = _int(signature)
    # As long as the modulus, whose highest bit is set.
    if not size or first >> (8 * size - 1) != 1 or number >= first:
        return False
    block = pow(number, second, first).to_bytes(size, "big")
    if scheme == RSA:
        # EMSA-PKCS1-v1_5: RFC 8017, section 9.2.
        end = _DIGEST_INFO + digest
        return block == b"\x00\x01" + b"\xff" * (size - 2 - len(end)) + end
    return scheme == RSA_PSS and _pss(block, digest)


def require(what: str, holder: dict, key: "str | bytes", digest: bytes) -> None:
    """Require that the `signature` of a job document, or of a file in it, is the key's over a SHA-256.

    what: "document" or "file", for the message; holder: with `signature` in base64 and maybe `scheme`; key: see
    load_key(), whose errors it raises. Raises ValueError.
    """
    if not check(load_key(key), digest, a2b_base64(holder["signature"]), holder.get("scheme")):
        raise ValueError("the %s's signature does not match signing_key" % what)


def _integers(data):
    # A SEQUENCE of two positive INTEGERs: an RSA public key, an ECDSA signature. For anything else 0 and 0, which are
    # neither.
    try:
        data, rest = contents(data, b"\x30")
        first, second, more = contents(data, b"\x02\x02")
    except IndexError:
        return 0, 0
    for number in (first, second):
        # The highest bit is the sign, and DER wants the shortest form.
        if rest or more or not b"\x00\x80" <= number[:2] < b"\x80":
            return 0, 0
    return _int(first), _int(second)


def _public_key(data):
    # AlgorithmIdentifier and key of a SubjectPublicKeyInfo, which may be inside a certificate.
    data, rest = contents(data, b"\x30")
    first = contents(data, b"\x30")[0]
    if first[0] != _OBJECT_ID:
        # Of a certificate: version (left out for the first one), serial number, signature algorithm, issuer, validity,
        # subject, public key.
        tags = b"\xa0\x02\x30\x30\x30\x30\x30"
        data = contents(first, tags if first[0] == tags[0] else tags[1:])[-2]
    algorithm, key, more = contents(data, b"\x30\x03")
    if rest or more or key[0]:
        raise IndexError
    return algorithm, key[1:]


def _pss(block, digest):
    # EMSA-PSS-VERIFY: RFC 8017, section 9.1.2, for whole bytes and as much salt as hash.
    size = len(block) - _HASH - 1
    expected = block[size:-1]
    mask = b""
    for counter in range((size + _HASH - 1) // _HASH):
        mask += sha256(expected + counter.to_bytes(4, "big")).digest()
    data = _int(block[:size]) ^ _int(mask[:size])
    data &= (1 << (8 * size - 1)) - 1
    # What precedes the salt is zeros and a one.
    if block[0] > 127 or block[-1] != 0xBC or data >> (8 * _HASH) != 1:
        return False
    salt = data.to_bytes(size, "big")[-_HASH:]
    return sha256(bytes(8) + digest + salt).digest() == expected


def _ecdsa(x, y, digest, signature):
    r, s = _integers(signature)
    if not 0 < r < _N or not 0 < s < _N:
        return False
    inverse = pow(s, _N - 2, _N)
    terms = ((_int(digest) * inverse % _N, _GX, _GY), (r * inverse % _N, x, y))
    # The sum of both k * (x, y), one doubling for both of them a bit. Each k is taken as 3k - 2k without borrowing (the
    # non-adjacent form): digits -1, 0 and 1, of which two thirds are 0.
    point = (0, 1, 0)
    for bit in range(257, 0, -1):
        point = _double(*point)
        for k, x, y in terms:
            digit = (3 * k >> bit & 1) - (k >> bit & 1)
            if digit:
                point = _add(*point, x, digit * y)
    # With z = 0, the neutral element, x becomes 0, which r is not.
    x, _, z = point
    return x * pow(z * z, _P - 2, _P) % _P % _N == r


# Points are Jacobian: (x, y, z) is (x / z**2, y / z**3), and with z = 0 the neutral element. The formulas are those of
# Hankerson, Menezes, Vanstone: Guide to Elliptic Curve Cryptography, section 3.2.2, for curves with a = -3.


def _double(x, y, z):
    delta = z * z % _P
    gamma = y * y % _P
    beta = 4 * x * gamma % _P
    alpha = 3 * (x - delta) * (x + delta) % _P
    new_x = (alpha * alpha - 2 * beta) % _P
    return new_x, (alpha * (beta - new_x) - 8 * gamma * gamma) % _P, 2 * y * z % _P


def _add(x, y, z, x2, y2):
    # The second one with z = 1.
    if not z:
        return x2, y2 % _P, 1
    square = z * z % _P
    h = (x2 * square - x) % _P
    r = (square * z % _P * y2 - y) % _P
    if not h:
        # The same x: the same point, or its negative.
        return (0, 1, 0) if r else _double(x, y, z)
    square = h * h % _P
    v = x * square % _P
    cube = h * square % _P
    new_x = (r * r - cube - 2 * v) % _P
    return new_x, (r * (v - new_x) - y * cube) % _P, z * h % _P
