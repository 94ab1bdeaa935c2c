"""Any key, certificate and signature: invalid ones are refused, by ValueError or as not matching."""

import hashlib

from fuzzing import bounded, damaged
from hypothesis import given
from hypothesis import strategies as st

import signature_vectors as vectors
from ujobs.certificates import tls_context
from ujobs.verify import ECDSA, RSA, RSA_PSS, check, load_key

DIGEST = hashlib.sha256(vectors.MESSAGE).digest()
KEYS = [vectors.RSA_2048, vectors.RSA_3072, vectors.RSA_E3, vectors.P256, vectors.P256_CERTIFICATE]
SIGNED = [
    (vectors.RSA_2048, vectors.RSA_2048_PKCS1, RSA), (vectors.RSA_2048, vectors.RSA_2048_PSS, RSA_PSS),
    (vectors.P256, vectors.P256_SIGNATURE, ECDSA),
]
LENGTHS = st.sampled_from([b"\x80", b"\x81", b"\x82\xff\xff", b"\x84\xff\xff\xff\xff", b"\x82\0\1", b"\0", b"\x7f"])
ELEMENTS = st.lists(
    st.builds(lambda tag, length, rest: bytes((tag,)) + length + rest,
              st.sampled_from([0x02, 0x03, 0x06, 0x30, 0xA0]), LENGTHS, st.binary(max_size=6)),
    max_size=8,
).map(b"".join)
PEM = st.builds(lambda body: b"-----BEGIN PUBLIC KEY-----" + body, st.binary(max_size=60) | st.just(b"\n-----END"))


@bounded(160)
@given(source=st.sampled_from(KEYS).flatmap(damaged) | st.binary(max_size=80) | ELEMENTS | PEM)
def test_any_key_is_loaded_or_refused(source: bytes) -> None:
    try:
        key = load_key(source)
    except ValueError as error:
        assert str(error)
        return
    # A key that can be loaded can be used, but verifies only signatures of the identical key.
    for sound, signature, scheme in SIGNED:
        assert not check(key, DIGEST, signature, scheme) or key == load_key(sound)


@bounded(60)
@given(data=st.data(), which=st.integers(0, len(SIGNED) - 1))
def test_no_other_signature_passes(data: st.DataObject, which: int) -> None:
    key, sound, scheme = SIGNED[which]
    signature = data.draw(damaged(sound) | st.binary(max_size=300) | ELEMENTS)
    for tried in (scheme, None, data.draw(st.sampled_from([RSA, RSA_PSS, ECDSA, "", "none"]))):
        assert not check(load_key(key), DIGEST, signature, tried) or signature == sound


@bounded(60)
@given(source=damaged(vectors.P256_CERTIFICATE) | st.binary(max_size=60) | ELEMENTS | PEM)
def test_any_certificate_is_accepted_or_refused(source: bytes) -> None:
    for arguments in ((source,), (vectors.P256_CERTIFICATE, source, source)):
        try:
            tls_context(*arguments)
        except ValueError as error:
            assert str(error)
