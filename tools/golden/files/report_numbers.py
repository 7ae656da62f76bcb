"""What numpy says of some tensors: moments, histogram, singular values, rank, zeros by block."""

import json
import pathlib

import numpy as np
import torch
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).resolve().parents[3] / "crates/files/tests/data/report"


def tensors():
    torch.manual_seed(7)
    pruned = torch.randn(24, 30)
    pruned[pruned.abs() < 0.7] = 0
    broken = torch.randn(5, 3)
    broken[1, 2], broken[4, 0] = float("nan"), float("-inf")
    return {
        "pruned": pruned,
        "conv": torch.randn(8, 4, 3, 3, dtype=torch.float64) + 3,
        "low_rank": torch.randn(12, 2) @ torch.randn(2, 20),
        "bf16": torch.randn(9, 7).to(torch.bfloat16),
        "f16": torch.randn(11).to(torch.float16),
        "counts": torch.randint(-5, 6, (6, 7), dtype=torch.int32),
        "broken": broken,
    }


def numbers(tensor):
    floats = tensor.is_floating_point()
    single = tensor.numpy() if tensor.dtype == torch.float64 else tensor.float().numpy()
    values = single.astype(np.float64)
    finite = values[np.isfinite(values)]
    found = {
        "zeros": int((values == 0).sum()),
        "nonfinite": int((~np.isfinite(values)).sum()),
        "mean": finite.mean(),
        "std": finite.std(),
        "min": finite.min(),
        "max": finite.max(),
        "l2": np.linalg.norm(finite),
        "counts": np.histogram(finite[finite != 0], 64, (finite.min(), finite.max()))[0].tolist(),
    }
    if values.ndim > 1:
        found["blocks"] = blocks(values.reshape(len(values), -1) == 0, 4).tolist()
    if floats and values.ndim > 1 and found["nonfinite"] == 0:
        matrix = values.reshape(len(values), -1)
        found["singular"] = np.linalg.svd(matrix, compute_uv=False).tolist()
        found["rank"] = int(np.linalg.matrix_rank(single.reshape(matrix.shape)))
    return found


def blocks(zeros, side):
    """The share of zeros in each of at most `side x side` blocks, which begin at multiples of their size, rounded up."""
    starts = [np.ceil(np.arange(n + 1) * size / n).astype(int) for size in zeros.shape for n in [min(size, side)]]
    rows, columns = ([slice(*pair) for pair in zip(edges, edges[1:])] for edges in starts)
    return np.array([zeros[r, c].mean() for r in rows for c in columns])


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    found = tensors()
    save_file(found, OUT / "tensors.safetensors")
    expected = {name: numbers(tensor) for name, tensor in found.items()}
    (OUT / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
