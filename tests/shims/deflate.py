"""MicroPython's `deflate` on CPython: reading zlib streams."""

import zlib

ZLIB = 2


class DeflateIO:
    """Unpacks a stream. Raises OSError if it is not a zlib stream."""

    def __init__(self, stream, format=ZLIB):
        self._stream = stream
        self._unpacking = zlib.decompressobj()

    def read(self, size):
        data = b""
        while not data and not self._unpacking.eof:
            packed = self._unpacking.unconsumed_tail or self._stream.read(256)
            if not packed:
                raise EOFError
            try:
                data = self._unpacking.decompress(packed, size)
            except zlib.error as error:
                raise OSError(22) from error
        return data
