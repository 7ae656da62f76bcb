"""What the scripts here share: the description of tensors that a test compares with."""

import argparse
import json
import pathlib

import numpy as np

DATA = pathlib.Path(__file__).resolve().parents[3] / "crates/checkpoint/tests/data"

# The names that Espalier gives numpy's types.
NAMES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "uint32": "U32",
    "int32": "I32", "uint64": "U64", "int64": "I64", "float16": "F16", "bfloat16": "BF16",
    "float32": "F32", "float64": "F64", "complex64": "C64", "complex128": "C128",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "float8_e8m0fnu": "F8_E8M0",
    "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ",
}


def entry(name, array):
    """Name, type, shape and bytes (little-endian, in C order) of an array."""
    array = np.asarray(array)
    little = array.astype(array.dtype.newbyteorder("<"), order="C")
    return [name, NAMES[array.dtype.name], list(array.shape), little.tobytes("C").hex()]


def expect(path, arrays, metadata=None):
    """Writes beside `path` what it holds: `arrays` by name, in the order of the file."""
    described = {"tensors": [entry(n, a) for n, a in arrays.items()], "metadata": metadata or {}}
    path.with_name(path.name + ".json").write_text(json.dumps(described, indent=1) + "\n")


def check(path, arrays):
    """Compares arrays by name, loaded from `path`, with the description beside it."""
    described = json.loads(path.with_name(path.name + ".json").read_text())
    wanted = sorted(described["tensors"])
    found = sorted(entry(n, a) for n, a in arrays.items())
    assert found == wanted, f"{path}:\n{found}\n{wanted}"
    print(f"{path.name}: {len(found)} arrays, as written")


def numbers(dtype, shape):
    """Numbers that differ, with the smallest, the largest, -0, infinity and NaN where there are such."""
    dtype = np.dtype(dtype)
    count = int(np.prod(shape, dtype=np.int64))
    if dtype.kind == "b":
        return (np.arange(count) % 3 == 0).reshape(shape)
    values = np.arange(count, dtype=np.float64) * 1.25 - 2
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        values = np.clip(np.arange(count) * 7 - 20, info.min, 100).astype(dtype)
        if count > 1:
            values[0], values[-1] = info.min, info.max
        return values.reshape(shape)
    if dtype.kind == "c":
        values = values - 1j * np.arange(count)
    values = values.astype(dtype)
    if count > 3 and dtype.name not in ("float8_e8m0fnu",):
        values[0] = -0.0
        values[1] = np.nan
        if dtype.kind in "fc":
            values[2] = np.inf
    return values.reshape(shape)


def main(topic, make, check_written):
    """`--check-written DIR` holds what the example wrote against the library; else makes the files."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check-written", type=pathlib.Path, metavar="DIR")
    given = parser.parse_args()
    if given.check_written:
        check_written(given.check_written)
    else:
        out = DATA / topic
        out.mkdir(parents=True, exist_ok=True)
        make(out)
