#!/usr/bin/env python3
"""Make `crates/data/data/digits.bin.gz`, the digits that Espalier trains on.

The images are the 1,797 hand-written digits, 8 by 8 pixels each, of the test
set of "Optical Recognition of Handwritten Digits" (UCI Machine Learning
Repository). They are taken from the copy in the scikit-learn Python package,
the file `sklearn/datasets/data/digits.csv.gz`. Nothing is downloaded here.

    pip install scikit-learn
    python tools/data/digits.py            # write the file
    python tools/data/digits.py --check    # compare it with a fresh one
    python tools/data/digits.py --source path/to/digits.csv.gz

Layout of the file after gunzip, integers little-endian:

    offset      size        what
    0           8           magic, the bytes "ESPDIGIT"
    8           4           u32 count, the number of images
    12          4           u32 rows, 8
    16          4           u32 cols, 8
    20          count * 64  pixels, one byte each, 0..16, row by row
    20+count*64 count       labels, one byte each, 0..9

Only the Python standard library is used. The gzip header holds no time and no
name, so the same source and zlib give the same bytes.
"""

import argparse
import csv
import gzip
import hashlib
import importlib.util
import io
import struct
import sys
from pathlib import Path

MAGIC = b"ESPDIGIT"
ROWS, COLS = 8, 8
COUNT = 1797
MAX_PIXEL, MAX_LABEL = 16, 9
SIZE_LIMIT = 150 * 1024
OUTPUT = Path(__file__).resolve().parents[2] / "crates/data/data/digits.bin.gz"


def find_source() -> Path:
    """The CSV inside the installed scikit-learn package, found without importing it."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        sys.exit("scikit-learn is not installed: run `pip install scikit-learn`, or give --source")
    path = Path(spec.origin).parent / "datasets/data/digits.csv.gz"
    if not path.is_file():
        sys.exit(f"{path}: not found; give the file's place with --source")
    return path


def whole(text: str, top: int, where: str) -> int:
    """A whole number in 0..=top; the CSV writes some of them as `5.000e+00`."""
    number = float(text)
    if not (number.is_integer() and 0 <= number <= top):
        sys.exit(f"{where}: expected a whole number in 0..={top}, found {text!r}")
    return int(number)


def encode(source: Path) -> bytes:
    """The uncompressed file, each value of the CSV checked."""
    pixels, labels = bytearray(), bytearray()
    with gzip.open(source, "rt", encoding="ascii", newline="") as handle:
        for line, row in enumerate(csv.reader(handle), start=1):
            where = f"{source}, line {line}"
            if len(row) != ROWS * COLS + 1:
                sys.exit(f"{where}: expected {ROWS * COLS + 1} columns, found {len(row)}")
            pixels += bytes(whole(cell, MAX_PIXEL, where) for cell in row[:-1])
            labels.append(whole(row[-1], MAX_LABEL, where))
    if len(labels) != COUNT:
        sys.exit(f"{source}: expected {COUNT} images, found {len(labels)}")
    return MAGIC + struct.pack("<III", COUNT, ROWS, COLS) + bytes(pixels) + bytes(labels)


def compress(raw: bytes) -> bytes:
    """`raw` as gzip with an empty name and the time 0."""
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=out, mtime=0) as handle:
        handle.write(raw)
    return out.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the digits data file.")
    parser.add_argument("--source", type=Path, help="digits.csv.gz; default: scikit-learn's")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="file to write or check")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    args = parser.parse_args()

    raw = encode(args.source or find_source())
    packed = compress(raw)
    if len(packed) > SIZE_LIMIT:
        sys.exit(f"the file would be {len(packed)} bytes; the limit is {SIZE_LIMIT}")
    if args.check:
        if not args.output.is_file():
            sys.exit(f"{args.output}: not found; run without --check to write it")
        stored = args.output.read_bytes()
        # Another zlib may pack the same content differently, so compare the content.
        if gzip.decompress(stored) != raw:
            sys.exit(f"{args.output}: differs from the source")
        print("content equal;", "bytes equal" if stored == packed else "packed by another zlib")
    else:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_bytes(packed)
        stored = packed
    print(f"{args.output.name}: {len(stored)} bytes, sha256 {hashlib.sha256(stored).hexdigest()}")
    print(f"content: {len(raw)} bytes, sha256 {hashlib.sha256(raw).hexdigest()}")


if __name__ == "__main__":
    main()
