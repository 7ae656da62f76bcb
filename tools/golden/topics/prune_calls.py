"""What the pruning topics share: calls of `torch.nn.utils.prune` described as notes, and made.

A call is the name of the function with its options. `amount_kind` tells 1 from 1.0, `n` is
text, since JSON has no infinity, and `importance_scores` and `mask` name a tensor of the case.
"""

import torch
from torch.nn.utils import prune

METHODS = {
    "identity": prune.Identity,
    "l1_unstructured": prune.L1Unstructured,
    "ln_structured": prune.LnStructured,
    "random_unstructured": prune.RandomUnstructured,
    "random_structured": prune.RandomStructured,
    "custom_from_mask": prune.CustomFromMask,
}
# Enough for the sums of another implementation to come out in the same order.
GAP = 1e-4


def call(method, amount=None, **options):
    if amount is not None:
        kind = "float" if isinstance(amount, float) else "int"
        options = {"amount": amount, "amount_kind": kind} | options
    return {"method": method, **options}


def arguments(call, tensors):
    """The call's options as PyTorch takes them."""
    options = {key: value for key, value in call.items() if key not in ("method", "amount_kind")}
    if "n" in options and options["n"] not in ("fro", "nuc"):
        options["n"] = float(options["n"])
    for key in ("importance_scores", "mask"):
        if key in options:
            options[key] = tensors[options[key]]
    return options


def apply(layer, call, tensors, name="weight"):
    """Make the call, having seen that its scores are too far apart for a tie."""
    options = arguments(call, tensors)
    scores = options.get("importance_scores", getattr(layer, name)).detach()
    mask = getattr(layer, f"{name}_mask", torch.ones_like(scores))
    apart(call["method"], scores, mask, options)
    getattr(prune, call["method"])(layer, name, **options)


def apart(method, scores, mask, options):
    if method == "l1_unstructured":
        levels = scores[mask == 1].abs()
    elif method == "ln_structured":
        dim = options["dim"] % scores.dim()
        left = mask.transpose(0, dim).flatten(1).sum(1) != 0
        levels = scores.index_select(dim, left.nonzero()[:, 0])
        levels = prune._compute_norm(levels, options["n"], dim)
    else:
        return
    levels = levels.double().sort().values
    # Only the cut matters: which ones lie below it.
    amount, size = options["amount"], levels.numel()
    cut = round(amount * size) if isinstance(amount, float) else amount
    if 0 < cut < size and levels[cut] - levels[cut - 1] < GAP * levels[cut]:
        raise ValueError(f"a tie, or nearly: {levels.tolist()} at {cut}")


def count(mask):
    return int((mask != 0).sum().item())


def channels(mask, dim):
    """How many ones each slice along `dim` keeps."""
    return [count(part) for part in mask.unbind(dim)]


def methods(layer, name="weight"):
    """The classes behind `name`, in the order applied: those of the container, if there is one."""
    for hook in layer._forward_pre_hooks.values():
        if isinstance(hook, prune.BasePruningMethod) and hook._tensor_name == name:
            inner = hook if isinstance(hook, prune.PruningContainer) else [hook]
            return [type(method).__name__ for method in inner]
    return []
