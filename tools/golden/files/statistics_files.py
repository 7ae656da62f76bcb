"""Tensors of every type with their statistics, and orthogonal weights, by PyTorch.

Writes into `crates/files/tests/data/statistics`: `types.safetensors` with `types.json`, and `orthogonal.safetensors`.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from torch.nn.utils.parametrizations import orthogonal

OUTPUT = pathlib.Path(__file__).parents[3] / "crates/files/tests/data/statistics"

FLOATS = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.float8_e4m3fnuz,
    torch.float8_e5m2fnuz,
    torch.float8_e8m0fnu,
]
INTEGERS = [
    torch.uint8,
    torch.int8,
    torch.uint16,
    torch.int16,
    torch.uint32,
    torch.int32,
    torch.uint64,
    torch.int64,
]


def statistics(tensor: torch.Tensor) -> dict:
    """Of the finite elements, in F64; of complex numbers the magnitudes."""
    values = tensor.abs() if tensor.is_complex() else tensor
    values = values.to(torch.float64).flatten()
    finite = values[values.isfinite()]
    return {
        "numel": tensor.numel(),
        "zeros": int((values == 0).sum()),
        "nonfinite": int((~values.isfinite()).sum()),
        "mean": finite.mean().item(),
        "std": finite.std(correction=0).item(),
        "min": finite.min().item(),
        "max": finite.max().item(),
        "l2": finite.norm().item(),
    }


def types() -> dict:
    generator = torch.Generator().manual_seed(7)
    drawn = torch.randn(37, 29, generator=generator, dtype=torch.float64)
    drawn[drawn.abs() < 0.1] = 0.0
    tensors = {}
    for dtype in FLOATS:
        # Powers of two have no sign.
        source = drawn.abs() + 0.5 if dtype == torch.float8_e8m0fnu else drawn.clone()
        if dtype != torch.float8_e8m0fnu:
            source[3, 4] = float("nan")
        tensors[str(dtype).removeprefix("torch.")] = source.to(torch.float32).to(dtype)
    # As a trained scale is: a mean that is large against its deviation.
    tensors["scale"] = (1.0 + 1e-4 * drawn).to(torch.float32)
    for dtype in INTEGERS:
        low = 0 if str(dtype).startswith("torch.u") else -100
        whole = torch.randint(low, 100, (400,), generator=generator)
        tensors[str(dtype).removeprefix("torch.")] = whole.to(dtype)
    tensors["bool"] = drawn > 0.5
    tensors["complex64"] = torch.complex(drawn, drawn.flip(0)).to(torch.complex64)
    return tensors


def weights() -> dict:
    tensors = {}
    for map_name in ["matrix_exp", "cayley", "householder"]:
        for rows, columns in [(16, 16), (24, 8), (8, 24)]:
            torch.manual_seed(rows)
            layer = orthogonal(torch.nn.Linear(columns, rows, bias=False), orthogonal_map=map_name)
            weight = layer.weight.detach()
            for dtype in [torch.float32, torch.bfloat16, torch.float16]:
                name = f"{map_name}.{rows}x{columns}.{str(dtype).removeprefix('torch.')}"
                tensors[name] = weight.to(dtype).contiguous().clone()
    convolution = torch.nn.Conv2d(4, 12, 3)
    torch.nn.init.orthogonal_(convolution.weight)
    tensors["init.convolution"] = convolution.weight.detach().clone()
    layer = orthogonal(torch.nn.Conv2d(4, 6, 3, bias=False))
    tensors["parametrized.convolution"] = layer.weight.detach().contiguous().clone()
    return tensors


def main() -> None:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    tensors = types()
    save_file(tensors, OUTPUT / "types.safetensors")
    expected = {name: statistics(tensor) for name, tensor in tensors.items()}
    text = json.dumps(expected, indent=1)
    (OUTPUT / "types.json").write_text(text + "\n")
    save_file(weights(), OUTPUT / "orthogonal.safetensors")


if __name__ == "__main__":
    main()
