"""The encoding of a bundle's files, as `FORMAT.md` of the crate `shared` says."""

import gzip
import struct

import numpy as np


class Reader:
    """Bytes that are left to read."""

    def __init__(self, data):
        self.data = memoryview(data)
        self.at = 0

    @classmethod
    def of_file(cls, path):
        """The file at `path`, unpacked."""
        return cls(gzip.decompress(path.read_bytes()))

    def take(self, n):
        """The next `n` bytes."""
        if self.at + n > len(self.data):
            raise ValueError("the file ends in the middle of a value")
        self.at += n
        return self.data[self.at - n : self.at]

    def u(self):
        n = shift = 0
        while True:
            byte = self.take(1)[0]
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return n

    def f(self):
        return struct.unpack("<f", self.take(4))[0]

    def d(self):
        return struct.unpack("<d", self.take(8))[0]

    def i8(self):
        return struct.unpack("b", self.take(1))[0]

    def text(self):
        return bytes(self.take(self.u())).decode()

    def sized(self):
        """A struct that newer versions may have lengthened."""
        return Reader(self.take(self.u()))

    def optional(self, item):
        return item() if self.take(1)[0] else None

    def list(self, item):
        return [item() for _ in range(self.u())]

    def us(self):
        """A list of unsigned integers, `[n]`."""
        n = self.u()
        if n == 0:
            return np.zeros(0, np.int64)
        # No number takes more than ten bytes.
        window = np.frombuffer(self.data[self.at : self.at + 10 * n], np.uint8)
        ends = np.flatnonzero(window < 128)[:n]
        if len(ends) < n:
            raise ValueError("the file ends in the middle of a list")
        starts = np.concatenate([[0], ends[:-1] + 1])
        lengths = ends - starts + 1
        values = np.zeros(n, np.uint64)
        for k in range(int(lengths.max())):
            has = lengths > k
            values[has] |= (window[starts[has] + k] & 127).astype(np.uint64) << np.uint64(7 * k)
        self.at += int(ends[-1]) + 1
        return values.astype(np.int64)

    def fs(self):
        """A list of f32, `[n]`."""
        n = self.u()
        return np.frombuffer(self.take(4 * n), "<f4").astype(np.float32)

    def gaps(self):
        """Ascending integers, `[n]`: the first, then how many each skips."""
        skips = self.us()
        skips[1:] += 1
        return np.cumsum(skips)

    def decimals(self):
        """Decimal numbers, `[n]`."""
        digits, cells = self.i8(), self.us()
        return ((cells >> 1) ^ -(cells & 1)) / 10.0**digits
