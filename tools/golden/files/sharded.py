"""Checkpoints in several files, as the library of Hugging Face writes and reads them.

Writes a set of shards with `huggingface_hub` and what is in it as `expected.json`. With `--check-written`
it loads a directory that was written by espalier, following the index as the library does, and compares it
with a safetensors file of the same tensors.
"""

import argparse
import json
import pathlib

import torch
from huggingface_hub import load_state_dict_from_file, save_torch_state_dict
from safetensors import safe_open

HERE = pathlib.Path(__file__).resolve()
OUTPUT = HERE.parents[3] / "crates/checkpoint/tests/data/sharded"
NAMES = {
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.bool: "BOOL",
}


def state_dict():
    generator = torch.Generator().manual_seed(0)
    return {
        "fc1.weight": torch.randn(4, 3, generator=generator),
        "fc1.bias": torch.tensor([-0.0, float("nan"), float("inf"), 1e-45]),
        "fc2.weight": torch.randn(2, 4, generator=generator).to(torch.bfloat16),
        "fc2.mask": torch.tensor([[True, False, True, True]]),
        "steps": torch.tensor(3),
    }


def raw(tensor):
    """The bytes, little-endian, in C order."""
    return bytes(tensor.detach().contiguous().reshape(-1).view(torch.uint8).tolist())


def write(directory):
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.iterdir():
        old.unlink()
    tensors = state_dict()
    save_torch_state_dict(tensors, directory, max_shard_size=50)
    expected = {
        name: {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "bytes": raw(tensor).hex()}
        for name, tensor in tensors.items()
    }
    (directory / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def check(directory):
    index = json.loads((directory / "model.safetensors.index.json").read_text())
    loaded = {}
    for shard in sorted(set(index["weight_map"].values())):
        tensors = load_state_dict_from_file(directory / shard)
        assert all(index["weight_map"][name] == shard for name in tensors), shard
        loaded.update(tensors)
        with safe_open(directory / shard, "pt") as file:
            assert file.metadata() == {"format": "pt"}, shard
    assert loaded.keys() == index["weight_map"].keys()
    whole = load_state_dict_from_file(directory.parent / "whole.safetensors")
    assert loaded.keys() == whole.keys()
    size = 0
    for name, tensor in whole.items():
        assert loaded[name].dtype == tensor.dtype and loaded[name].shape == tensor.shape, name
        assert raw(loaded[name]) == raw(tensor), name
        size += tensor.numel() * tensor.element_size()
    assert index["metadata"]["total_size"] == size
    print(f"{len(whole)} tensors in {len(set(index['weight_map'].values()))} shards are as written")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check-written", type=pathlib.Path, metavar="DIR")
    arguments = parser.parse_args()
    if arguments.check_written:
        check(arguments.check_written)
    else:
        write(OUTPUT)
