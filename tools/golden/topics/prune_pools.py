"""Global pruning over three tensors, and `prune` on bare tensors."""

import torch
from torch.nn.utils import prune

from .common import Topic, copies, module_with
from .prune_calls import METHODS, apart, apply, arguments, call, count, methods


def build_global() -> Topic:
    topic = Topic("prune_global")
    three = {
        "modules": ["linear", "conv2d", "holder"],
        "weight_shapes": [[5, 6], [4, 3, 2, 2], [7]],
    }
    for case, first, scored, steps in [
        ("fractions", [], [], [call("l1_unstructured", 0.37), call("l1_unstructured", 0.5)]),
        ("int", [], [], [call("l1_unstructured", 40), call("l1_unstructured", 7)]),
        ("all", [], [], [call("l1_unstructured", 1.0)]),
        ("scores", [], [0, 1, 2], [call("l1_unstructured", 0.6)] * 2),
        ("scores_some", [], [1], [call("l1_unstructured", 0.6)]),
        ("pruned_before", [0, 2], [], [call("l1_unstructured", 0.5)]),
        ("random", [], [], [call("random_unstructured", 0.5)] * 2),
    ]:
        topic.add(
            case, over_three, **three, pruned_before=first, scores_of=scored, steps=steps
        )
    return topic


def build_tensor() -> Topic:
    topic = Topic("prune_tensor")
    for case, inner in [
        ("l1", call("l1_unstructured", 0.5)),
        ("l1_int", call("l1_unstructured", 4)),
        ("ln_dim0", call("ln_structured", 0.4, n="2", dim=0)),
        ("ln_dim_minus1", call("ln_structured", 3, n="1", dim=-1)),
        ("identity", call("identity")),
        ("custom", call("custom_from_mask", mask="mask")),
    ]:
        topic.add(case, bare, weight_shape=[5, 6], call=inner)
    topic.add(
        "container",
        container,
        weight_shape=[5, 6],
        inner=[call("l1_unstructured", 0.5), call("ln_structured", 0.4, n="2", dim=0)],
    )
    return topic


def over_three(draw, modules, weight_shapes, pruned_before, scores_of, steps):
    """`global_unstructured`; `pruned_before` names those that lost half of theirs on their own."""
    weights = [draw.normal(*shape) for shape in weight_shapes]
    layers = [module_with(kind, weight) for kind, weight in zip(modules, weights)]
    out = {f"{index}.weight": weight for index, weight in enumerate(weights)}
    scores = {index: draw.normal(*weight_shapes[index]) for index in scores_of}
    out |= {f"{index}.importance_scores": score for index, score in scores.items()}
    for index in pruned_before:
        apply(layers[index], call("l1_unstructured", 0.5), {})
        out |= copies({f"{index}.weight_mask_before": layers[index].weight_mask})
    counts = []
    for step, made in enumerate(steps):
        options = arguments(made, {})
        seen = [scores.get(index, layer.weight) for index, layer in enumerate(layers)]
        masks = [
            getattr(layer, "weight_mask", torch.ones_like(layer.weight)) for layer in layers
        ]
        apart(
            made["method"],
            torch.cat([score.detach().flatten() for score in seen]),
            torch.cat([mask.flatten() for mask in masks]),
            options,
        )
        prune.global_unstructured(
            [(layer, "weight") for layer in layers],
            pruning_method=METHODS[made["method"]],
            importance_scores={(layers[at], "weight"): value for at, value in scores.items()},
            **options,
        )
        kept = [count(layer.weight_mask) for layer in layers]
        if made["method"] == "random_unstructured":
            counts.append(sum(kept))
            continue
        counts.append(kept)
        for index, layer in enumerate(layers):
            out |= copies({f"{index}.weight_mask_{step}": layer.weight_mask})
    if made["method"] == "random_unstructured":
        return {}, {"kept_of_all": counts}
    out |= copies({f"{index}.value": layer.weight for index, layer in enumerate(layers)})
    return out, {"kept": counts, "methods": [methods(layer) for layer in layers]}


def bare(draw, weight_shape, call):
    """`prune` of a method's instance on a tensor, without a module.

    The amount counts the whole tensor, whatever `default_mask` holds: only the container
    leaves out what is masked already.
    """
    names = ("tensor", "importance_scores")
    out = {name: draw.normal(*weight_shape) for name in names}
    out["default_mask"] = (draw.normal(*weight_shape) > -0.4).to(draw.dtype)
    if "mask" in call:
        out["mask"] = (draw.normal(*weight_shape) > 0).to(draw.dtype)
    options = arguments(call, out)
    for scores in ("tensor", "importance_scores"):
        apart(call["method"], out[scores], torch.ones_like(out["tensor"]), options)
    method = METHODS[call["method"]](**options)
    tensor, mask, scores = out["tensor"], out["default_mask"], out["importance_scores"]
    out |= copies({
        "pruned": method.prune(tensor),
        "pruned_masked": method.prune(tensor, default_mask=mask),
        "pruned_scored": method.prune(tensor, importance_scores=scores),
        "pruned_both": method.prune(tensor, default_mask=mask, importance_scores=scores),
        "mask_both": method.compute_mask(scores, default_mask=mask),
    })
    kept = {what: count(value) for what, value in out.items() if what.startswith("pruned")}
    return out, {"kept": kept}


def container(draw, weight_shape, inner):
    """A container on a bare tensor: its last method alone works, on what the mask keeps."""
    out = {"tensor": draw.normal(*weight_shape)}
    out["default_mask"] = (draw.normal(*weight_shape) > -0.4).to(draw.dtype)
    # A row of zeros: the last method must not count it.
    out["default_mask"][1] = 0
    made = [METHODS[call["method"]](**arguments(call, out)) for call in inner]
    for method in made:
        # What applying to a module sets, and the container asks for.
        method._tensor_name = "weight"
    both = prune.PruningContainer(made[0])
    both.add_pruning_method(made[1])
    tensor, mask = out["tensor"], out["default_mask"]
    apart(inner[1]["method"], tensor, torch.ones_like(tensor), arguments(inner[1], out))
    apart(inner[1]["method"], tensor, mask, arguments(inner[1], out))
    out |= copies({
        "pruned": both.prune(tensor),
        # The container writes into the mask that it is given.
        "pruned_masked": both.prune(tensor, default_mask=mask.clone()),
    })
    kept = {what: count(value) for what, value in out.items() if what.startswith("pruned")}
    return out, {"kept": kept, "length": len(both)}
