"""Every pruning method, each call on the weight as it was."""

import torch
from torch import nn

from .common import Topic, copies, module_with
from .prune_calls import apply, call, channels, count

LINEAR, CONV, CUBE = ("linear", [5, 6]), ("conv2d", [4, 3, 2, 2]), ("holder", [4, 3, 2])
NORMS = ["1", "2", "3", "0.5", "inf", "-inf", "fro"]


def build() -> Topic:
    topic = Topic("prune_methods")
    for kind, shape in (LINEAR, CONV):
        topic.add(
            f"identity_{kind}",
            alone,
            module=kind,
            weight_shape=shape,
            calls=[call("identity")],
        )
    for kind, shape in (LINEAR, CONV, ("holder", [7])):
        calls = [
            call("l1_unstructured", amount, importance_scores="importance_scores")
            for amount in (0.4, 3)
        ]
        topic.add(
            f"l1_scores_{kind}", alone, module=kind, weight_shape=shape, calls=calls
        )
    topic.add("bias", bias, weight_shape=[5, 6], calls=[call("l1_unstructured", 0.4)])
    for what in ("float", "bool", "int", "fraction"):
        topic.add(
            f"custom_{what}",
            custom,
            module="linear",
            weight_shape=[5, 6],
            mask_kind=what,
            calls=[call("custom_from_mask", mask="mask")],
        )
    for prefix, (kind, shape) in [("linear", LINEAR), ("conv2d", CONV)]:
        for amount in (0.25, 0.5, 7, 0, 1.0):
            topic.add(
                f"random_unstructured_{prefix}_{amount}".replace(".", "p"),
                chance,
                module=kind,
                weight_shape=shape,
                steps=[call("random_unstructured", amount)] * (2 if amount in (0.5, 7) else 1),
            )
        for dim, amount in [(0, 0.5), (1, 1), (-1, 0.5), (0, 0), (0, 1.0)]:
            tag = f"dim{dim}_{amount}".replace("-", "_minus").replace(".", "p")
            topic.add(
                f"random_structured_{prefix}_{tag}",
                chance,
                module=kind,
                weight_shape=shape,
                steps=[call("random_structured", amount, dim=dim)] * (2 if amount == 0.5 else 1),
            )
    return topic


def build_ln() -> Topic:
    topic = Topic("prune_ln")
    for prefix, (kind, shape), dims, norms in [
        ("linear", LINEAR, [0, 1, -1], NORMS),
        ("conv2d", CONV, [0, 1, 2, 3, -3], NORMS),
        # The only rank at which `fro` and `nuc` are norms of matrices.
        ("cube", CUBE, [0, 1, 2], ["2", "fro", "nuc"]),
    ]:
        for dim in dims:
            tag = f"dim{dim}".replace("-", "_minus")
            amounts = [0.5, 1] if shape[dim] < 4 else [0.4, 2]
            calls = [
                call("ln_structured", amount, n=n, dim=dim) for n in norms for amount in amounts
            ]
            if prefix == "conv2d":
                # The two amounts by turns keep the file small.
                calls = [made for at, made in enumerate(calls) if at % 4 in (0, 3)]
            topic.add(f"{prefix}_{tag}", alone, module=kind, weight_shape=shape, calls=calls)
    # 6 and 5 channels: 0.25 is 1.5 of 6, made 2; 0.5 is 2.5 of 5, made 2; 0.3 is 1.5, made 2.
    topic.add(
        "amounts",
        alone,
        module="linear",
        weight_shape=[5, 6],
        calls=[
            call("ln_structured", amount, n="2", dim=dim)
            for dim in (0, 1)
            for amount in (0, 0.0, 0.05, 0.25, 0.3, 0.5, 0.75, 1, 1.0, 5)
        ],
    )
    topic.add(
        "other_norms",
        alone,
        module="linear",
        weight_shape=[5, 6],
        calls=[call("ln_structured", 2, n=n, dim=0) for n in ("-1", "-2", "1.5")],
    )
    for kind, shape, dim in [(*LINEAR, 0), (*LINEAR, -1), (*CONV, 1)]:
        tag = f"dim{dim}".replace("-", "_minus")
        calls = [
            call("ln_structured", amount, n=n, dim=dim, importance_scores="importance_scores")
            for n in ("1", "inf")
            for amount in (0.4, 2)
        ]
        topic.add(
            f"scores_{kind}_{tag}", alone, module=kind, weight_shape=shape, calls=calls
        )
    return topic


def alone(draw, module, weight_shape, calls):
    """Each call on a fresh module: a mask for each in `weight_masks`, `value` of the last."""
    out = {"weight": draw.normal(*weight_shape)}
    if any("importance_scores" in made for made in calls):
        out["importance_scores"] = draw.normal(*weight_shape)
    return each(out, module, calls)


def each(out, module, calls):
    masks = []
    for made in calls:
        layer = module_with(module, out["weight"])
        apply(layer, made, out)
        masks.append(layer.weight_mask)
    made = copies({"weight_masks": torch.stack(masks), "value": layer.weight})
    return out | made, {"kept": [count(mask) for mask in masks]}


def custom(draw, module, weight_shape, mask_kind, calls):
    """PyTorch brings the mask to the dtype of the weight and does not ask for 0 and 1."""
    weight = draw.normal(*weight_shape)
    mask = draw.normal(*weight_shape) > 0
    mask = {
        "float": mask.to(weight.dtype),
        "bool": mask,
        "int": mask.to(torch.int64),
        "fraction": torch.where(mask, 1.0, 0.5).to(weight.dtype),
    }[mask_kind]
    return each({"weight": weight, "mask": mask}, module, calls)


def bias(draw, weight_shape, calls):
    layer = nn.Linear(*reversed(weight_shape), dtype=draw.dtype)
    out = {"weight": draw.normal(*weight_shape), "bias": draw.normal(weight_shape[0])}
    with torch.no_grad():
        layer.weight.copy_(out["weight"])
        layer.bias.copy_(out["bias"])
    apply(layer, calls[0], out, "bias")
    out |= copies({"bias_masks": layer.bias_mask[None], "value": layer.bias})
    facts = {
        "module": "linear_with_bias",
        "parameter": "bias",
        "kept": [count(layer.bias_mask)],
        "state_dict": list(layer.state_dict()),
    }
    return out, facts


def chance(draw, module, weight_shape, steps):
    """Counts only, since the places hang on the generator; the steps are on one module."""
    layer = module_with(module, draw.normal(*weight_shape))
    facts = {"kept": [], "kept_channels": [], "whole_channels": []}
    for made in steps:
        apply(layer, made, {})
        mask = layer.weight_mask
        facts["kept"].append(count(mask))
        if "dim" in made:
            dim, whole = made["dim"], mask.numel() // mask.shape[made["dim"]]
            kept = channels(mask, dim)
            facts["kept_channels"].append(sum(number > 0 for number in kept))
            facts["whole_channels"].append(all(number in (0, whole) for number in kept))
    if "dim" not in steps[0]:
        del facts["kept_channels"], facts["whole_channels"]
    return {}, facts
