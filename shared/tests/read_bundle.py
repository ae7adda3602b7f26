"""Reads a bundle's features by `FORMAT.md`, and prints them as JSON: python3 read_bundle.py FOLDER"""
import gzip, json, struct, sys

class Reader:
    def __init__(self, data): self.data, self.at = data, 0
    def take(self, n):
        self.at += n
        return self.data[self.at - n:self.at]
    def u(self):
        n = shift = 0
        while True:
            byte = self.take(1)[0]
            n, shift = n | (byte & 127) << shift, shift + 7
            if byte < 128: return n
    def i(self): return (lambda n: n >> 1 ^ -(n & 1))(self.u())
    def f(self): return struct.unpack("<f", self.take(4))[0]
    def d(self): return struct.unpack("<d", self.take(8))[0]
    def text(self): return self.take(self.u()).decode()
    def sized(self): return Reader(self.take(self.u()))
    def list(self, item): return [item() for _ in range(self.u())]
    def optional(self, item): return item() if self.take(1)[0] else None
    def all(self, *items): return [item() for item in items]
    def decimals(self):
        digits = self.take(1)[0]
        return [c / 10 ** (digits - 256 * (digits > 127)) for c in self.list(self.i)]

def group(r):
    r = r.sized()
    kind, _fields = r.text(), r.sized()
    return {"kind": kind, "n_examples": r.u(), "n_positions": r.optional(r.u)}

def feature(r):
    r = r.sized()
    row, histogram = (lambda: r.all(r.u, r.f, r.f)), (lambda: r.all(r.f, r.f, lambda: r.list(r.u)))
    found = dict(zip(["feature", "n_active", "density", "max", "min"],
                     r.all(r.u, lambda: r.optional(r.u), lambda: r.optional(r.d), r.f, r.f)))
    r.optional(lambda: r.all(r.d, r.d, r.d, r.d)), r.optional(lambda: r.all(r.u, r.decimals))
    found["tables"] = [r.optional(lambda: r.list(row)) for _ in range(4)]
    found["histograms"] = [r.optional(histogram) for _ in range(2)]
    found["logits"] = r.optional(lambda: [r.list(lambda: r.all(r.u, r.f)) for _ in range(2)])
    s = r.optional(r.sized)
    found["groups"] = s and s.list(lambda: group(s))
    found["examples"] = s and list(zip(s.list(s.u), s.list(s.u), s.decimals()))
    return found

manifest = json.load(open(f"{sys.argv[1]}/manifest.json"))
for i in range(len(manifest["blocks"])):
    block = Reader(gzip.open(f"{sys.argv[1]}/features/{i:04}.bin").read())
    print(json.dumps(block.list(lambda: feature(block))))
