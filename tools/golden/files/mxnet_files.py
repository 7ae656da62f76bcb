"""MXNet's .params files, written by MXNet 1.9.1."""

import mxnet as mx
import numpy as np

import common

TYPES = ["float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool"]


def make(out):
    arrays = {f"arg:{t}": common.numbers(t, (2, 3)) for t in TYPES}
    arrays["aux:running_mean"] = common.numbers("float32", (4,))
    arrays["arg:convolution0_weight"] = common.numbers("float32", (2, 1, 2, 2))
    nd = {name: mx.nd.array(array, dtype=array.dtype) for name, array in arrays.items()}
    mx.nd.save(str(out / "dict.params"), nd)
    common.expect(out / "dict.params", arrays)
    mx.nd.save(str(out / "list.params"), list(nd.values())[:3])
    common.expect(out / "list.params", {str(i): a for i, a in enumerate(list(arrays.values())[:3])})
    sparse = mx.nd.array(np.eye(3, dtype=np.float32)).tostype("csr")
    mx.nd.save(str(out / "sparse.params"), {"dense": nd["arg:float32"], "sparse": sparse})
    # In numpy's way of counting, the layout is another.
    mx.npx.set_np()
    arrays = {"scalar": np.array(-0.0, np.float32), "empty": np.zeros((0, 3), np.float32),
              "bool": common.numbers("bool", (2, 3)), "w": common.numbers("float32", (2, 3))}
    mx.npx.save(str(out / "numpy.params"), {n: mx.np.array(a, dtype=a.dtype) for n, a in arrays.items()})
    common.expect(out / "numpy.params", arrays)
    mx.npx.reset_np()


def check_written(written):
    # MXNet 1.9.1 makes no numpy arrays of bfloat16, and knows no uint16 or larger in Python.
    for name, as_numpy in [("mxnet.params", False), ("mxnet_numpy.params", True)]:
        if as_numpy:
            mx.npx.set_np()
        read = (mx.npx if as_numpy else mx.nd).load(str(written / name))
        common.check(written / name, {n: a.asnumpy() for n, a in read.items()})
        mx.npx.reset_np()


if __name__ == "__main__":
    common.main("mxnet", make, check_written)
