"""Reads the fields of a packet's body, in the types of MQTT."""


class PacketError(ValueError):
    """A packet violates the MQTT standard; the text says how. code: for a DISCONNECT of MQTT 5."""

    def __init__(self, why: str, code: int = 0x81) -> None:
        super().__init__(why)
        self.code = code


class Reader:
    """data: the body. at: how many of its bytes are read. Each method raises PacketError if they do not suffice."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        """The next bytes."""
        piece = self.data[self.at : self.at + count]
        if len(piece) < count:
            raise PacketError("packet is too short")
        self.at += count
        return piece

    def number(self, size: int = 2) -> int:
        """An integer of this many bytes."""
        return int.from_bytes(self.take(size), "big")

    def variable_number(self) -> int:
        """A variable byte integer."""
        value = 0
        for shift in (0, 7, 14, 21):
            digit = self.number(1)
            value |= (digit & 127) << shift
            if digit < 128:
                return value
        raise PacketError("a length of more than four bytes")

    def blob(self) -> bytes:
        """Binary data with their length before them."""
        return self.take(self.number())

    def text(self) -> str:
        """A string with its length before it."""
        try:
            text = self.blob().decode("utf-8")
        except UnicodeDecodeError:
            raise PacketError("text is not UTF-8") from None
        if "\0" in text:
            raise PacketError("text holds U+0000")
        return text

    @property
    def more(self) -> bool:
        """Whether not everything is read."""
        return self.at < len(self.data)
