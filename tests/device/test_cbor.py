"""`decode()` of CBOR: maps in every encoding that RFC 8949 allows, and invalid input."""

from ujobs.streams import decode

# The same map: {"i": 2, "p": b"ab", "c": "t"}.
FORMS = (
    b"\xa3\x61i\x02\x61p\x42ab\x61c\x61t",
    b"\xbf\x61i\x02\x61p\x42ab\x61c\x61t\xff",
    b"\xa3\x61i\x18\x02\x61p\x58\x02ab\x61c\x78\x01t",
    b"\xa3\x61i\x19\x00\x02\x61p\x59\x00\x02ab\x61c\x79\x00\x01t",
    b"\xa3\x61i\x1a\x00\x00\x00\x02\x61p\x5a\x00\x00\x00\x02ab\x61c\x7a\x00\x00\x00\x01t",
    b"\xbf\x61i\x1b\x00\x00\x00\x00\x00\x00\x00\x02\x61p\x42ab\x61c\x61t\xff",
)


def refused(data):
    try:
        decode(memoryview(data))
    except ValueError as error:
        return str(error)


def test_a_map_is_read_in_every_encoding():
    for form in FORMS:
        fields = decode(memoryview(form))
        assert (fields["i"], bytes(fields["p"]), fields["c"]) == (2, b"ab", "t"), form


def test_byte_strings_are_not_copied():
    data = bytearray(FORMS[0])
    piece = decode(memoryview(data))["p"]
    data[data.index(b"ab")] = 120
    assert bytes(piece) == b"xb"


def test_numbers_below_zero_and_values_that_streams_do_not_use():
    data = b"\xa5\x61a\x20\x61b\x39\x01\xf3\x61c\xf5\x61d\xf6\x61e\xfb\x3f\xf0\x00\x00\x00\x00\x00\x00"
    assert decode(memoryview(data)) == {"a": -1, "b": -500, "c": None, "d": None, "e": None}
    assert decode(memoryview(b"\xa0")) == decode(memoryview(b"\xbf\xff")) == {}


def test_the_largest_map_whose_number_of_fields_is_in_its_first_byte():
    fields = b"".join([b"\x61" + bytes((97 + n, n)) for n in range(24)])
    assert len(decode(memoryview(b"\xb7" + fields[: 23 * 3]))) == 23
    assert refused(b"\xb8" + fields)


def test_what_is_not_a_flat_map_is_refused():
    for data in (
        b"", b"\xff", b"\x81\x01", b"\x01", b"{}", b"\xb8\x01\x61a\x01", b"\xa1\x61a\xa0", b"\xa1\x61a\x81\x01",
        b"\xa1\x01\x02", b"\xa1\x61\xff\x01", b"\xa1\x61a\x5f\x41a\xff", b"\xa1\x61a\xc0\x01", b"\xa1\x61a\x1c",
        b"\xa1\x61a\x1c" + bytes(16),
        # The number of fields is not in the first byte.
        b"\xb8" + b"\x61a\x01" * 24,
    ):
        assert refused(data) == "not a flat CBOR map", data


def test_an_incomplete_map_is_refused():
    for form in FORMS:
        for end in range(len(form)):
            assert refused(form[:end]), (form, end)
    for length in (b"\x5a\xff\xff\xff\xff", b"\x5b" + b"\xff" * 8):
        assert refused(b"\xa1\x61p" + length + b"ab")
