"""`prune.l1_unstructured` and `prune.global_unstructured`."""

import torch
from torch.nn.utils import prune

from .common import Topic, copies, module_with

LINEAR, CONV = ("linear", (5, 6)), ("conv2d", (4, 3, 2, 2))


def build() -> Topic:
    topic = Topic("prune_l1")
    for prefix, (kind, shape), amounts in [
        # 30 numbers: 0.25 is 7.5 of them, made 8; 0.75 is 22.5, made 22; 0.15 is 4.5, made 4.
        ("linear", LINEAR, [0.3, 0.5, 0, 7, 1, 1.0, 0.0, 0.25, 0.75, 0.15]),
        ("conv2d", CONV, [0.3, 0.5, 7, 1.0]),
    ]:
        for amount in amounts:
            number = str(amount).replace(".", "p")
            what = "float" if isinstance(amount, float) else "int"
            topic.add(
                f"{prefix}_{what}_{number}",
                once,
                module=kind,
                weight_shape=list(shape),
                amount=amount,
            )
    topic.add("linear_scores", once_by_scores, module="linear", weight_shape=[5, 6], amount=0.4)
    for prefix, (kind, shape) in [("linear", LINEAR), ("conv2d", CONV)]:
        topic.add(
            f"{prefix}_composed",
            composed,
            module=kind,
            weight_shape=list(shape),
            amounts=[0.3, 0.5, 4],
        )
    topic.add(
        "global", over_two, module="linear", weight_shapes=[[5, 6], [4, 5]], amounts=[0.37, 0.5]
    )
    topic.add("train_step", train_step, module="linear", weight_shape=[5, 6], amount=0.5, lr=0.1)
    return topic


def kept(layer):
    """How many numbers the mask keeps; a mask is of the weight's dtype, 0 or 1."""
    return int(layer.weight_mask.sum().item())


def pruned(layer):
    return copies({"weight_mask": layer.weight_mask, "weight": layer.weight})


def once(draw, module, weight_shape, amount):
    weight = draw.normal(*weight_shape)
    layer = prune.l1_unstructured(module_with(module, weight), "weight", amount)
    facts = {"kept": kept(layer), "state_dict": list(layer.state_dict())}
    return {"weight_orig": weight} | pruned(layer), facts


def once_by_scores(draw, module, weight_shape, amount):
    weight, scores = draw.normal(*weight_shape), draw.normal(*weight_shape)
    layer = prune.l1_unstructured(
        module_with(module, weight), "weight", amount, importance_scores=scores
    )
    out = {"weight_orig": weight, "importance_scores": scores} | pruned(layer)
    return out, {"kept": kept(layer)}


def composed(draw, module, weight_shape, amounts):
    weight = draw.normal(*weight_shape)
    layer, out, counts = module_with(module, weight), {"weight_orig": weight}, []
    for index, amount in enumerate(amounts):
        prune.l1_unstructured(layer, "weight", amount)
        out |= copies({f"weight_mask_{index}": layer.weight_mask})
        counts.append(kept(layer))
    out |= copies({"weight": layer.weight})
    prune.remove(layer, "weight")
    out |= copies({"removed_weight": layer.weight})
    return out, {"kept": counts, "removed_state_dict": list(layer.state_dict())}


def over_two(draw, module, weight_shapes, amounts):
    weights = [draw.normal(*shape) for shape in weight_shapes]
    layers = [module_with(module, weight) for weight in weights]
    out = {f"{index}.weight_orig": weight for index, weight in enumerate(weights)}
    counts = []
    for call, amount in enumerate(amounts):
        prune.global_unstructured(
            [(layer, "weight") for layer in layers],
            pruning_method=prune.L1Unstructured,
            amount=amount,
        )
        for index, layer in enumerate(layers):
            out |= copies({f"{index}.weight_mask_{call}": layer.weight_mask})
        counts.append([kept(layer) for layer in layers])
    return out, {"kept": counts}


def train_step(draw, module, weight_shape, amount, lr):
    """One plain SGD step on the full weight, the effective weight's gradient being given."""
    weight, grad_value = draw.normal(*weight_shape), draw.normal(*weight_shape)
    layer = prune.l1_unstructured(module_with(module, weight), "weight", amount)
    out = {"weight_orig": weight, "grad_value": grad_value} | pruned(layer)
    layer.weight.backward(grad_value)
    out |= copies({"grad_weight_orig": layer.weight_orig.grad})
    torch.optim.SGD(layer.parameters(), lr=lr).step()
    # The effective weight is made anew by the hook that runs before each forward call.
    layer(draw.normal(1, weight_shape[1]))
    after = {"stepped_weight_orig": layer.weight_orig, "stepped_weight": layer.weight}
    return out | copies(after), {"kept": kept(layer)}
