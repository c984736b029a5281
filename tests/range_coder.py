"""The range coder written out with integers of any length: the oracle of the codec's tests.

The interval [low, low + width) is kept as a number of 32-bit digits; Python's integers carry.
"""

BITS, DIGIT, STATE = 24, 32, 64


class ReferenceEncoder:
    def __init__(self, bits=BITS):
        self.bits = bits
        self.low, self.width, self.digits = 0, (1 << STATE) - 1, STATE // DIGIT

    def encode(self, start, parts):
        scale = self.width >> self.bits
        self.low, self.width = self.low + scale * start, scale * parts
        if self.width < 1 << (STATE - DIGIT):
            self.low, self.width = self.low << DIGIT, self.width << DIGIT
            self.digits += 1

    def shortest(self):
        """The fewest bytes that name a number of the interval, and of those the lowest."""
        size = self.digits * DIGIT // 8
        for count in range(size + 1):
            unit = 256 ** (size - count)
            multiple = -(-self.low // unit)
            if multiple * unit < self.low + self.width:
                return multiple.to_bytes(count, "big")
        raise AssertionError("the interval is empty")

    def sealed(self):
        """The words that constriction writes: a number of the interval, whatever follows."""
        if self.width == (1 << STATE) - 1:
            return b""
        word = (self.low + (1 << DIGIT) - 1) >> DIGIT
        closed = (self.low + self.width) >> DIGIT == word
        return word.to_bytes(4 * (self.digits - 1), "big") + bytes(4 * closed)


class ReferenceDecoder:
    def __init__(self, data):
        self.data, self.digits = data, STATE // DIGIT
        self.offset, self.width = 0, (1 << STATE) - 1
        self.offset = int.from_bytes(data[:8].ljust(8, b"\0"), "big")

    def decode(self, table):
        scale, start, level = self.width >> BITS, 0, 0
        while (start + table[level]) * scale <= self.offset:
            start, level = start + table[level], level + 1
        self.offset, self.width = self.offset - start * scale, scale * table[level]
        if self.width < 1 << (STATE - DIGIT):
            digit = self.data[4 * self.digits : 4 * self.digits + 4].ljust(4, b"\0")
            self.offset = self.offset << DIGIT | int.from_bytes(digit, "big")
            self.width, self.digits = self.width << DIGIT, self.digits + 1
        return level
