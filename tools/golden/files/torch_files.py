"""PyTorch files for the tests of `espalier-checkpoint`: made by PyTorch, and by hand where it no longer can.

    python tools/golden/files/torch_files.py                     # write crates/checkpoint/tests/data/torch
    python tools/golden/files/torch_files.py --check-written DIR # PyTorch loads what write_samples wrote

Beside each file lies `expected.json`: for each case the names in order, dtype, shape and the bytes of the
elements in hexadecimal.
"""

import argparse
import collections
import io
import json
import os
import pathlib
import pickle
import struct
import sys
import tarfile
import warnings
import zipfile

import torch
from torch import nn

warnings.filterwarnings("ignore")

ROOT = pathlib.Path(__file__).resolve().parents[3]
DATA = ROOT / "crates/checkpoint/tests/data/torch"

NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint8: "U8", torch.uint16: "U16", torch.uint32: "U32", torch.uint64: "U64",
    torch.bool: "BOOL", torch.complex32: "C32", torch.complex64: "C64", torch.complex128: "C128",
    torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2",
    torch.float8_e4m3fnuz: "F8_E4M3FNUZ", torch.float8_e5m2fnuz: "F8_E5M2FNUZ",
    torch.float8_e8m0fnu: "F8_E8M0",
}


def hexed(tensor):
    tensor = tensor.detach().contiguous()
    if tensor.numel() == 0:
        return ""
    copy = tensor.clone().flatten()
    return bytes(copy.untyped_storage()[: copy.numel() * copy.element_size()]).hex()


def described(state):
    return [
        {"name": name, "dtype": NAMES[t.dtype], "shape": list(t.shape), "bytes": hexed(t)}
        for name, t in state.items()
    ]


def of_bytes(dtype, shape):
    """A tensor of that type with bits that are all different."""
    size = torch.empty(0, dtype=dtype).element_size()
    count = 1
    for n in shape:
        count *= n
    if dtype is torch.bool:
        return torch.arange(count).reshape(shape) % 2 == 1
    raw = torch.tensor([(37 * i + 11) % 251 for i in range(count * size)], dtype=torch.uint8)
    return raw.view(dtype).reshape(shape) if count else torch.empty(shape, dtype=dtype)


def every_dtype():
    state = collections.OrderedDict()
    for dtype, name in NAMES.items():
        state[name.lower()] = of_bytes(dtype, (2, 3))
    state["scalar"] = torch.tensor(-0.0)
    state["empty"] = torch.empty((0, 3))
    nan = torch.tensor([0x7FC12345, -1, 0x7F800001, -0x80000000], dtype=torch.int64)
    state["nan"] = nan.to(torch.int32).view(torch.float32)
    return state


def views():
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    state = collections.OrderedDict()
    state["base"] = base
    state["transposed"] = base.t()
    state["rows"] = base[1:3]
    state["columns"] = base[:, 2:5]
    state["steps"] = base[::2, ::3]
    state["alias"] = base
    state["expanded"] = base[0, :1].expand(3, 1)
    state["permuted"] = torch.arange(24, dtype=torch.int16).reshape(2, 3, 4).permute(2, 0, 1)
    state["single"] = torch.arange(6)[5:]
    state["empty"] = base[4:]
    return state


class Tied(nn.Module):
    """A model of the user's own: tied weights, a buffer that is not saved, a list of modules."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.blocks = nn.ModuleList([nn.Linear(3, 3), nn.BatchNorm1d(3)])
        self.decoder = nn.Linear(3, 5, bias=False)
        self.decoder.weight = self.embedding.weight
        self.register_buffer("scale", torch.tensor([0.5, 2.0]))
        self.register_buffer("passing", torch.zeros(2), persistent=False)
        self.activation = nn.functional.relu
        self.options = {"depth": 2, "name": "tied"}

    def forward(self, x):
        return self.decoder(self.activation(self.blocks[0](self.embedding(x))))


def trained():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
    optim = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model(torch.ones(1, 3)).sum().backward()
    optim.step()
    return model, optim


def tar_bytes(state):
    """The oldest format, which PyTorch 2.15 still reads. Written after the reader in torch/serialization.py."""
    storages, tensors = io.BytesIO(), io.BytesIO()
    keys = {}
    pickle.dump(len({t.untyped_storage().data_ptr() for t in state.values()}), storages, 2)
    pickle.dump(len(state), tensors, 2)

    for index, (name, t) in enumerate(state.items()):
        typed = t.storage()
        pointer = t.untyped_storage().data_ptr()
        if pointer not in keys:
            keys[pointer] = 1000 + len(keys)
            kind = getattr(torch, typed._pickle_storage_type())
            pickle.dump((keys[pointer], "cpu", kind), storages, 2)
            storages.write(struct.pack("<q", typed.size()) + bytes(t.untyped_storage()))
        pickle.dump((2000 + index, keys[pointer], torch.FloatTensor), tensors, 2)
        tensors.write(struct.pack("<ii", t.dim(), 0))
        tensors.write(struct.pack(f"<{2 * t.dim()}q", *t.shape, *t.stride()))
        tensors.write(struct.pack("<q", t.storage_offset()))
    pickle.dump([], storages, 2)
    places = {id(t): str(2000 + index) for index, t in enumerate(state.values())}

    class References(pickle.Pickler):
        def persistent_id(self, obj):
            return places.get(id(obj)) if isinstance(obj, torch.Tensor) else None

    out = io.BytesIO()
    References(out, 2).dump(state)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:", format=tarfile.GNU_FORMAT) as tar:
        for name, data in [("tensors", tensors), ("storages", storages), ("pickle", out)]:
            info = tarfile.TarInfo(name)
            info.size = len(data.getvalue())
            tar.addfile(info, io.BytesIO(data.getvalue()))
    return archive.getvalue()


def big_endian(source, target):
    """The same archive as a big-endian machine writes it: bytes of float32 reversed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename.endswith("/byteorder"):
                data = b"big"
            elif "/data/" in info.filename:
                data = b"".join(data[i : i + 4][::-1] for i in range(0, len(data), 4))
            new.writestr(zipfile.ZipInfo(info.filename), data)


def deflated(source, target):
    """The same archive, compressed by another program."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(zipfile.ZipInfo(info.filename), old.read(info), zipfile.ZIP_DEFLATED)


def without_code(source, target):
    """What a reader of tensors sees of an archive of TorchScript; the code holds paths of this machine."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for info in old.infolist():
            if "/code/" not in info.filename and "traced_inputs" not in info.filename:
                new.writestr(zipfile.ZipInfo(info.filename), old.read(info))


def flat(path, value):
    """Names as the reader makes them."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        name = f"{path}.{key}" if path else str(key)
        if isinstance(inner, torch.Tensor):
            yield name, inner
        elif isinstance(inner, (dict, list, tuple)):
            yield from flat(name, inner)


def no_source(*_):
    raise OSError("the sources of modules are not kept in the test data")


def write(folder):
    torch.serialization.get_source_lines_and_file = no_source
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}

    def save(name, value, state, **options):
        torch.save(value, folder / name, **options)
        expected[name] = described(state)

    torch.manual_seed(0)
    dtypes, several = every_dtype(), views()
    save("dtypes.pt", dtypes, dtypes)
    old_types = collections.OrderedDict((k, v) for k, v in dtypes.items())
    save("dtypes_legacy.pt", old_types, dtypes, _use_new_zipfile_serialization=False)
    save("views.pt", several, several)
    save("views_legacy.pt", several, several, _use_new_zipfile_serialization=False)
    small = collections.OrderedDict(a=torch.tensor([[1.0, 2.0], [3.0, 4.0]]), b=torch.tensor([5, 6]))
    for protocol in (1, 3, 4, 5):
        save(f"protocol{protocol}.pt", small, small, pickle_protocol=protocol)
    for protocol in range(1, 6):
        name = f"protocol{protocol}_legacy.pt"
        save(name, small, small, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    save("no_sums.pt", small, small)
    torch.serialization.set_crc32_options(False)
    save("no_sums.pt", small, small)
    torch.serialization.set_crc32_options(True)

    model = Tied()
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_(torch.arange(p.numel()).reshape(p.shape) + 100 * i)
    state = model.state_dict()
    save("module.pt", model, state)
    save("module_legacy.pt", model, state, _use_new_zipfile_serialization=False)
    save("tied.pt", state, state)
    save("buried.pt", {"note": "n", "ema": model, "steps": [1, 2]}, state)
    save("two.pt", {"model": small, "ema": small}, dict(flat("", {"model": small, "ema": small})))
    scripted = torch.jit.trace(nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1)).eval(), torch.ones(3, 2))
    torch.jit.save(scripted, folder / "script.tmp")
    without_code(folder / "script.tmp", folder / "script.pt")
    os.remove(folder / "script.tmp")
    expected["script.pt"] = described(scripted.state_dict())
    save("parallel.pt", nn.DataParallel(model).state_dict(), nn.DataParallel(model).state_dict())
    save("parameters.pt", dict(model.named_parameters()), dict(model.named_parameters()))

    net, optim = trained()
    training = {
        "epoch": 3,
        "loss": 0.25,
        "name": "run 7",
        "model_state_dict": net.state_dict(),
        "optimizer_state_dict": optim.state_dict(),
        "history": [0.5, 0.25],
    }
    save("training.pt", training, net.state_dict())
    save("training_all.pt", training, dict(flat("", training)))
    save("training_legacy.pt", training, net.state_dict(), _use_new_zipfile_serialization=False)
    save("tensor.pt", torch.arange(3.0), {"tensor": torch.arange(3.0)})
    save("list.pt", [torch.arange(3.0), (torch.ones(1), 2)], {"0": torch.arange(3.0), "1.0": torch.ones(1)})

    with torch.no_grad():
        quantized = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    save("quantized.pt", {"plain": torch.ones(1), "q": quantized}, {})
    save("sparse.pt", {"s": torch.eye(2).to_sparse()}, {})
    save("conj.pt", {"c": torch.ones(2, dtype=torch.complex64).conj()}, {})
    save("meta.pt", {"m": torch.ones(2, device="meta")}, {})

    floats = collections.OrderedDict(a=torch.tensor([[1.0, 2.0], [3.0, 4.0]]), b=torch.arange(3.0))
    torch.save(floats, folder / "big_endian.tmp")
    big_endian(folder / "big_endian.tmp", folder / "big_endian.pt")
    deflated(folder / "big_endian.tmp", folder / "deflated.pt")
    os.remove(folder / "big_endian.tmp")
    expected["big_endian.pt"] = expected["deflated.pt"] = described(floats)

    tarred = collections.OrderedDict(
        weight=torch.arange(6, dtype=torch.float32).reshape(2, 3), bias=torch.tensor([0.5, -0.5]),
        ids=torch.arange(3),
    )
    tarred["turned"] = tarred["weight"].t()
    (folder / "tar.pt").write_bytes(tar_bytes(tarred))
    expected["tar.pt"] = described(tarred)

    text = json.dumps(expected, indent=0, sort_keys=True)
    (folder / "expected.json").write_text(text + "\n")
    check(folder, expected)


def check(folder, expected):
    """PyTorch reads the files that were not made by it."""
    for name in ["big_endian.pt", "deflated.pt", "tar.pt"]:
        got = torch.load(folder / name, weights_only=name != "tar.pt")
        assert described(got) == expected[name], name
    print("PyTorch", torch.__version__, "reads the files made by hand")


def check_written(folder):
    """PyTorch, safely, reads what was written, and finds what the JSON beside it says."""
    files = sorted(folder.glob("*.pt"))
    assert files, f"no files in {folder}"
    for path in files:
        state = torch.load(path, weights_only=True)
        expected = json.loads(path.with_name(path.name + ".json").read_text())
        keys = ["name", "dtype", "shape", "bytes"]
        expected["tensors"] = [dict(zip(keys, tensor)) for tensor in expected["tensors"]]
        assert isinstance(state, collections.OrderedDict), path
        assert described(state) == expected["tensors"], path
        names = list(state)
        for later, first in expected["ties"]:
            a, b = state[later].untyped_storage(), state[first].untyped_storage()
            assert a.data_ptr() == b.data_ptr(), (path, later, first)
        kept = getattr(state, "metadata", {})
        assert kept == expected["metadata"], (path, kept)
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            for info in archive.infolist():
                with open(path, "rb") as file:
                    file.seek(info.header_offset + 26)
                    lengths = struct.unpack("<HH", file.read(4))
                start = info.header_offset + 30 + sum(lengths)
                assert start % 64 == 0, (path, info.filename, start)
        mapped = torch.load(path, weights_only=True, mmap=True)
        assert described(mapped) == expected["tensors"], path
        print(path.name, len(names), "tensors equal")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=pathlib.Path, default=DATA)
    parser.add_argument("--check-written", type=pathlib.Path)
    options = parser.parse_args()
    if options.check_written:
        check_written(options.check_written)
    else:
        write(options.output)


if __name__ == "__main__":
    sys.exit(main())
