"""Flax's msgpack files, written by flax.serialization."""

import json

import flax.serialization
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

import common

jax.config.update("jax_enable_x64", True)

TYPES = [
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16",
    ml_dtypes.bfloat16, "float32", "float64", "complex64", "complex128", ml_dtypes.float8_e4m3fn,
    ml_dtypes.float8_e5m2, ml_dtypes.float8_e8m0fnu, ml_dtypes.float8_e4m3fnuz,
    ml_dtypes.float8_e5m2fnuz,
]


def params():
    return {
        "params": {
            "Dense_0": {
                "kernel": jnp.asarray(common.numbers("float32", (3, 2))),
                "bias": jnp.asarray(common.numbers("float32", (2,))).astype(jnp.bfloat16),
            },
            "types": {np.dtype(t).name: common.numbers(t, (5,)) for t in TYPES},
            "scalar": np.array(-0.0, dtype=np.float32),
            "empty": np.zeros((0, 3), dtype=np.float32),
            "large": common.numbers("float32", (300,)),
        }
    }


def state():
    return {
        "step": 1234,
        "negative": [-1, -33, -129, -40000, -(2**40)],
        "positive": [127, 128, 256, 70000, 2**40, 2**63],
        "rate": 0.1,
        "flag": True,
        "z": 1.5 - 2j,
        "numpy": np.float32(2.5),
        "numpy_bool": np.bool_(True),
        "text": "adam",
        "none": None,
        "opt": [{"mu": np.ones((2,), np.float32)}, {}, None],
        "raw": b"\x00\x01",
        "a/b": {"c": np.ones((1,), np.int8), "d/e": 1},
        "": {"": np.zeros((1,), np.int8)},
    }


def flatten(tree, path=()):
    """Arrays by path, and the notes that Espalier keeps."""
    arrays, notes = {}, {}
    for key, value in tree.items():
        here = path + (str(key),)
        name = "/".join(here)
        if "/" in str(key):
            notes[f"flax.key:{name}"] = str(str(key).count("/") + 1)
        if isinstance(value, dict) and value:
            inner, more = flatten(value, here)
            arrays |= inner
            notes |= more
        elif isinstance(value, dict) or value is None:
            notes[f"flax.node:{name}"] = "none" if value is None else "empty"
        elif isinstance(value, str):
            notes[f"flax.text:{name}"] = value
        else:
            kinds = [
                (np.generic, "scalar"), (bool, "bool"), (int, "int"), (float, "float"),
                (complex, "complex"), (bytes, "bytes"),
            ]
            kind = next((k for t, k in kinds if isinstance(value, t)), None)
            if kind:
                notes[f"flax.kind:{name}"] = kind
            if kind == "int":
                value = np.array(value, np.uint64 if value >= 2**63 else np.int64)
            arrays[name] = np.frombuffer(value, np.uint8) if kind == "bytes" else np.asarray(value)
    return arrays, notes


def make(out):
    save("params", params(), out)
    save("state", flax.serialization.to_state_dict(state()), out)
    # Arrays in chunks begin at 2^30 bytes; for a file that is small the limit is less.
    limit, flax.serialization.MAX_CHUNK_SIZE = flax.serialization.MAX_CHUNK_SIZE, 16
    chunked = {"a": common.numbers("float32", (3, 3)), "b": common.numbers("int16", (2, 4)),
               "c": common.numbers("complex128", (3,))}
    save("chunked", chunked, out)
    flax.serialization.MAX_CHUNK_SIZE = limit
    # Written without Flax's conversion, lists stay lists.
    tree = {"layers": [np.ones((2,), np.float32), np.zeros((1,), np.int8)]}
    path = out / "list.msgpack"
    path.write_bytes(flax.serialization.msgpack_serialize(tree))
    common.expect(path, {"layers/0": tree["layers"][0], "layers/1": tree["layers"][1]})


def save(name, tree, out):
    path = out / f"{name}.msgpack"
    path.write_bytes(flax.serialization.to_bytes(tree))
    common.expect(path, *flatten(flax.serialization.msgpack_restore(path.read_bytes())))


def check_written(written):
    path = written / "flax.msgpack"
    arrays, notes = flatten(flax.serialization.msgpack_restore(path.read_bytes()))
    common.check(path, arrays)
    wanted = json.loads(path.with_name(path.name + ".json").read_text())["metadata"]
    assert notes == wanted, (notes, wanted)
    # Into a tree of the same structure, as a program would read it.
    template = {"params": {"Dense_0": {"kernel": jnp.zeros((3, 2)), "bias": jnp.zeros((2,))}}}
    read = flax.serialization.from_bytes(template, (written / "flax_params.msgpack").read_bytes())
    common.check(written / "flax_params.msgpack", flatten(read)[0])


if __name__ == "__main__":
    common.main("flax", make, check_written)
