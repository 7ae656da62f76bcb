"""Writes recipes/digits.csv: the first two images of every digit, to try `espalier predict` on.

Needs Python only. `python tools/data/sample.py [--check]`
"""

import gzip
import pathlib
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = ROOT / "crates/data/data/digits.bin.gz"
TARGET = ROOT / "recipes/digits.csv"


def sample() -> str:
    data = gzip.decompress(SOURCE.read_bytes())
    count, rows, columns = struct.unpack("<III", data[8:20])
    size = rows * columns
    pixels, labels = data[20 : 20 + count * size], data[20 + count * size :]
    lines = [",".join([f"p{i}" for i in range(size)] + ["label"])]
    for digit in range(10):
        chosen = [i for i in range(count) if labels[i] == digit][:2]
        for i in chosen:
            values = [*pixels[i * size : (i + 1) * size], digit]
            lines.append(",".join(map(str, values)))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = sample()
    if "--check" in sys.argv:
        sys.exit(0 if TARGET.read_text() == text else f"{TARGET} is not what this script makes")
    TARGET.write_text(text)
