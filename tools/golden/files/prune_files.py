"""Files pruned by torch.nn.utils.prune, for the tests of espalier-files.

Each case is a pair: what `torch.nn.utils.prune` leaves of the modules that hold the tensors of `input.safetensors`, with
the pruning made permanent (`NAME.safetensors`) or as `_orig` and `_mask` (`NAME_masks.safetensors`). `cases.json` tells the
options of each. Values are multiples of 1/64 without ties where a choice among equals would be left to topk.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from torch.nn.utils import prune

HERE = pathlib.Path(__file__).resolve().parents[3] / "crates/files/tests/data/prune"
SHAPES = {"conv.weight": (4, 3, 3, 2), "conv.bias": (4,), "fc.weight": (6, 20), "head.weight": (5, 6)}


class Holder(torch.nn.Module):
    def __init__(self, tensors):
        super().__init__()
        for name, value in tensors.items():
            setattr(self, name.replace(".", "-"), torch.nn.Parameter(value.clone()))


def tensors():
    """Different magnitudes throughout, so that topk has no choice."""
    torch.manual_seed(7)
    total = sum(torch.Size(shape).numel() for shape in SHAPES.values())
    values = (torch.randperm(total) + 1) * torch.where(torch.rand(total) < 0.5, -1, 1) / 64
    out, at = {}, 0
    for name, shape in SHAPES.items():
        n = torch.Size(shape).numel()
        out[name] = values[at : at + n].reshape(shape).float()
        at += n
    return out


def run(name, options, apply, dtype=torch.float32):
    holder = Holder({key: value.to(dtype) for key, value in tensors().items()})
    apply(holder)
    masks = {key.replace("-", "."): value.detach().contiguous() for key, value in holder.state_dict().items()}
    save_file(masks, HERE / f"{name}_masks.safetensors")
    for key in [key for key in SHAPES if hasattr(holder, key.replace(".", "-") + "_orig")]:
        prune.remove(holder, key.replace(".", "-"))
    plain = {key.replace("-", "."): value.detach().contiguous() for key, value in holder.state_dict().items()}
    save_file(plain, HERE / f"{name}.safetensors")
    return {"name": name, **options}


def matrices():
    return [key.replace(".", "-") for key, shape in SHAPES.items() if len(shape) >= 2]


def glob(amount):
    def apply(holder):
        pairs = [(holder, key) for key in matrices()]
        prune.global_unstructured(pairs, prune.L1Unstructured, amount=amount)

    return apply


def layers(amount):
    return lambda holder: [prune.l1_unstructured(holder, key, amount) for key in matrices()]


def channels(amount, n, dim):
    return lambda holder: [prune.ln_structured(holder, key, amount, n, dim) for key in matrices()]


def main():
    HERE.mkdir(parents=True, exist_ok=True)
    inf = float("inf")
    cases = []
    for amount in [0.5, 0.3, 37, 1, 1.0, 0.0]:
        text = repr(amount)
        cases.append(run(f"global_{text}", {"amount": text, "scope": "global"}, glob(amount)))
    for amount in [0.25, 3]:
        text = repr(amount)
        cases.append(run(f"layer_{text}", {"amount": text, "scope": "layer"}, layers(amount)))
    for amount, n, dim in [(0.5, 2, 0), (1, 1, 1), (0.25, inf, -1), (0.4, 2, 1)]:
        options = {"amount": repr(amount), "norm": repr(n), "dim": dim}
        name = f"channels_{amount!r}_{n}_{dim}"
        cases.append(run(name, options, channels(amount, n, dim)))
    for dtype in [torch.bfloat16, torch.float16, torch.float64]:
        kind = str(dtype).split(".")[1]
        options = {"amount": "0.5", "scope": "layer", "dtype": kind}
        cases.append(run(f"layer_0.5_{kind}", options, layers(0.5), dtype))
    save_file(tensors(), HERE / "input.safetensors")
    for dtype in [torch.bfloat16, torch.float16, torch.float64]:
        kind = str(dtype).split(".")[1]
        save_file({k: v.to(dtype) for k, v in tensors().items()}, HERE / f"input_{kind}.safetensors")
    (HERE / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")


main()
