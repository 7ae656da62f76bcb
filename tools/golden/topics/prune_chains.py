"""Pruning calls one after another on one weight, and removing at the end."""

import torch
from torch.nn.utils import prune

from .common import Topic, copies, module_with
from .prune_calls import apply, call, count, methods

LINEAR, CONV = ("linear", [6, 8]), ("conv2d", [4, 3, 2, 2])


def l1(amount, **options):
    return call("l1_unstructured", amount, **options)


def ln(amount, dim, n="2", **options):
    return call("ln_structured", amount, n=n, dim=dim, **options)


def custom(index):
    return call("custom_from_mask", mask=f"mask_{index}")


def scored(index):
    return {"importance_scores": f"importance_scores_{index}"}


CHAINS = {
    "l1_ln_l1": [l1(0.3), ln(0.34, 0), l1(5)],
    "ln_l1_custom": [ln(1, 1, "1"), l1(0.25), custom(2)],
    "custom_ln_ln": [custom(0), ln(1, 1), ln(0.5, 0, "inf")],
    "ln_ln_ln": [ln(0.25, 0), ln(0.34, 0, "1"), ln(1, 0, "inf")],
    "ln_ln_l1": [ln(1, 0), ln(1, -1), l1(0.5)],
    "identity_l1_ln": [call("identity"), l1(0.5), ln(0.25, 0, "1")],
    "l1_identity_l1": [l1(0.5), call("identity"), l1(0.5)],
    "l1_ln_l1_scores": [l1(0.3, **scored(0)), ln(0.34, 0, **scored(1)), l1(5, **scored(2))],
    "custom_custom_l1": [custom(0), custom(1), l1(0.5)],
    "l1_l1_l1_rest": [l1(0.9), l1(1.0), l1(0.5)],
    "l1_five": [l1(0.2)] * 5,
}
# The others have nothing of their own at four dimensions.
CONV_CHAINS = ["l1_ln_l1", "ln_l1_custom", "custom_ln_ln", "ln_ln_l1"]


def build() -> Topic:
    topic = Topic("prune_chains")
    for prefix, (kind, shape) in [("linear", LINEAR), ("conv2d", CONV)]:
        for case, steps in CHAINS.items():
            if kind == "conv2d" and case not in CONV_CHAINS:
                continue
            topic.add(
                f"{prefix}_{case}",
                chain,
                module=kind,
                weight_shape=shape,
                trained_after=[],
                steps=steps,
            )
        topic.add(
            f"{prefix}_trained",
            chain,
            module=kind,
            weight_shape=shape,
            trained_after=[0, 1],
            steps=[l1(0.3), ln(1, 0), l1(0.4)],
        )
    topic.add(
        "linear_fraction",
        chain,
        module="linear",
        weight_shape=[6, 8],
        trained_after=[],
        steps=[custom(0), l1(0.5), ln(1, 0)],
        mask_kind="fraction",
    )
    return topic


def chain(draw, module, weight_shape, trained_after, steps, mask_kind="binary"):
    """The masks after each step, the effective weight after the last, and what removing leaves.

    After a step in `trained_after` the full weight becomes `trained_N`, and the effective
    weight is made anew, as a forward call does.
    """
    weight = draw.normal(*weight_shape)
    layer, out = module_with(module, weight), {"weight": weight}
    masks, facts = [], {"methods": []}
    for index, made in enumerate(steps):
        if "importance_scores" in made:
            out[made["importance_scores"]] = draw.normal(*weight_shape)
        if "mask" in made:
            mask = draw.normal(*weight_shape) > -0.6
            low = 0.5 if mask_kind == "fraction" else 0.0
            out[made["mask"]] = torch.where(mask, 1.0, low).to(weight.dtype)
        apply(layer, made, out)
        masks.append(layer.weight_mask)
        facts["methods"].append(methods(layer))
        if index in trained_after:
            out[f"trained_{index}"] = draw.normal(*weight_shape)
            with torch.no_grad():
                layer.weight_orig.copy_(out[f"trained_{index}"])
            for hook in layer._forward_pre_hooks.values():
                hook(layer, None)
    out |= copies({"weight_masks": torch.stack(masks), "value": layer.weight})
    facts |= {"kept": [count(mask) for mask in masks], "state_dict": list(layer.state_dict())}
    prune.remove(layer, "weight")
    out |= copies({"removed_weight": layer.weight})
    facts |= {"removed_state_dict": list(layer.state_dict())}
    return out, facts
