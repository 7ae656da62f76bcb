"""`parametrizations.weight_norm`: values, gradients, assignment."""

import torch
from torch.nn.utils import parametrizations

from .common import Topic, assign, backward, copies, module_with, originals, set_values


def build() -> Topic:
    topic = Topic("weight_norm")
    for case, kind, shape, dim in [
        ("linear_dim0", "linear", (3, 5), 0),
        ("linear_dim1", "linear", (3, 5), 1),
        ("linear_dim_none", "linear", (3, 5), None),
        # PyTorch keeps None as -1, so -1 is the norm of the whole tensor, not the last axis.
        ("linear_dim_minus1", "linear", (3, 5), -1),
        ("conv2d_dim0", "conv2d", (4, 3, 2, 2), 0),
        ("conv2d_dim1", "conv2d", (4, 3, 2, 2), 1),
        ("conv2d_dim_none", "conv2d", (4, 3, 2, 2), None),
        ("linear_7x7_dim0", "linear", (7, 7), 0),
    ]:
        topic.add(case, whole_life, module=kind, weight_shape=list(shape), dim=dim)
    topic.add("linear_dim0_zero_row", zero_row, module="linear", weight_shape=[3, 5], dim=0)
    return topic


def whole_life(draw, module, weight_shape, dim):
    weight = draw.normal(*weight_shape)
    layer = parametrizations.weight_norm(module_with(module, weight), dim=dim)
    parameters = originals(layer)
    out = {"weight": weight} | copies(parameters) | copies({"initial_value": layer.weight})
    g = parameters["original0"].detach() + draw.normal(*parameters["original0"].shape, scale=0.5)
    v = parameters["original1"].detach() + draw.normal(*weight_shape, scale=0.5)
    set_values(parameters, {"original0": g, "original1": v})
    out |= {"g": g, "v": v} | backward(layer, draw.normal(*weight_shape))
    out |= assign(layer, draw.normal(*weight_shape))
    return out, {"state_dict": list(layer.state_dict())}


def zero_row(draw, module, weight_shape, dim):
    """A row of zeros has no direction: PyTorch gives NaN there, and only there."""
    weight = draw.normal(*weight_shape)
    weight[1] = 0
    layer = parametrizations.weight_norm(module_with(module, weight), dim=dim)
    out = {"weight": weight} | copies(originals(layer))
    out |= backward(layer, draw.normal(*weight_shape))
    facts = {"value_is_nan": torch.isnan(out["value"]).tolist()}
    return out, facts | {"state_dict": list(layer.state_dict())}
