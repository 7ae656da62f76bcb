"""The peer's side of the benchmarks of files: torch.save and torch.load, save_file and load_file, and pruning between."""

import functools
import os
import tempfile
import time

import torch
import torch.nn.utils.prune as prune
from safetensors.torch import load_file, save_file

# Made and removed by the benchmark, which ends this process when it is done.
FOLDER = os.path.join(tempfile.gettempdir(), f"espalier-bench-{os.getppid()}")
TENSORS = 100


@functools.cache
def tensors(mebibytes):
    numel = (mebibytes << 18) // TENSORS
    return {f"layer.{i}": torch.rand(numel) + 1 for i in range(TENSORS)}


def files(which, mebibytes):
    state = tensors(mebibytes)
    what, *options = which.split("+")
    kind = what.split("_")[1]
    path = os.path.join(FOLDER, "peer." + kind)
    save = torch.save if kind == "torch" else save_file
    if what.startswith("read"):
        save(state, path)

    def once():
        if what == "read_torch":
            torch.load(path)
        elif what == "read_safetensors":
            found = load_file(path)
            if "copied" in options:
                # As they come, they are pages of the file, which are read when they are touched.
                {name: tensor.clone() for name, tensor in found.items()}
        else:
            save(state, path)
            if "synced" in options:
                with open(path, "rb+") as file:
                    os.fsync(file.fileno())

    def run(iterations):
        start = time.perf_counter()
        for _ in range(iterations):
            once()
        return time.perf_counter() - start

    return run


def prune_file(iterations):
    """Loads a file, prunes the smallest half of all weights, and saves it, as a script for PyTorch does."""
    start = time.perf_counter()
    for _ in range(iterations):
        state = load_file(os.path.join(FOLDER, "f32.safetensors"))
        holders = {}
        for name, tensor in state.items():
            holder = torch.nn.Module()
            holder.weight = torch.nn.Parameter(tensor)
            holders[name] = holder
        prune.global_unstructured(
            [(holder, "weight") for holder in holders.values()],
            pruning_method=prune.L1Unstructured,
            amount=0.5,
        )
        for holder in holders.values():
            prune.remove(holder, "weight")
        pruned = {name: holder.weight.data for name, holder in holders.items()}
        save_file(pruned, os.path.join(FOLDER, "peer.safetensors"))
    return time.perf_counter() - start
