"""A parametrization that is parametrized, a parametrized buffer, a list made at once."""

import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from .common import Symmetric, Topic, copies, module_with


def symmetric(module, name):
    parametrize.register_parametrization(module, name, Symmetric())


def weight_norm(module, name):
    parametrizations.weight_norm(module, name, dim=0)


def cayley(module, name):
    parametrizations.orthogonal(module, name, orthogonal_map="cayley")


RULES = {"symmetric": symmetric, "weight_norm": weight_norm, "orthogonal_cayley": cayley}


class Buffered(nn.Module):
    """A module with a buffer and no parameter."""

    def __init__(self, weight):
        super().__init__()
        self.register_buffer("weight", weight.clone())


def build() -> Topic:
    topic = Topic("nested")
    for case, shape, steps in [
        (
            "symmetric_direction",
            [4, 4],
            [["weight", "weight_norm"], ["parametrizations.weight.original1", "symmetric"]],
        ),
        (
            "normed_direction",
            [3, 5],
            [["weight", "weight_norm"], ["parametrizations.weight.original1", "weight_norm"]],
        ),
        (
            "orthogonal_original",
            [4, 4],
            [["weight", "symmetric"], ["parametrizations.weight.original", "orthogonal_cayley"]],
        ),
        (
            "three_levels",
            [4, 4],
            [
                ["weight", "weight_norm"],
                ["parametrizations.weight.original1", "symmetric"],
                [
                    "parametrizations.weight.parametrizations.original1.original",
                    "weight_norm",
                ],
            ],
        ),
    ]:
        topic.add(case, life, weight_shape=shape, steps=steps)
    topic.add("buffer", buffer, weight_shape=[4, 4])
    topic.add("list_at_once", at_once, weight_shape=[4, 4])
    return topic


def life(draw, weight_shape, steps):
    weight = draw.normal(*weight_shape)
    layer = module_with("linear", weight)
    for path, rule in steps:
        owner, _, name = path.rpartition(".")
        RULES[rule](layer.get_submodule(owner), name)
    out = {"weight": weight} | copies({"initial_value": layer.weight})
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(draw.normal(*parameter.shape, scale=0.5))
    out |= copies(dict(layer.state_dict()), "state.")
    grad_value = draw.normal(*weight_shape)
    value = layer.weight
    value.backward(grad_value)
    out |= copies({"value": value, "grad_value": grad_value})
    out |= copies({name: p.grad for name, p in layer.named_parameters()}, "grad.")
    return out, {"state_dict": list(layer.state_dict())}


def buffer(draw, weight_shape):
    weight = draw.normal(*weight_shape)
    module = Buffered(weight)
    symmetric(module, "weight")
    out = {"weight": weight} | copies({"value": module.weight})
    out |= copies(dict(module.state_dict()), "state.")
    facts = {
        "state_dict": list(module.state_dict()),
        "parameters": [name for name, _ in module.named_parameters()],
    }
    return out, facts


def at_once(draw, weight_shape):
    weight = draw.normal(*weight_shape)
    norm = parametrizations._WeightNorm(0)
    rules = [norm, Symmetric()]
    listed = parametrize.ParametrizationList(rules, nn.Parameter(weight.clone()))
    out = {"weight": weight} | copies({"value": listed()})
    return out | copies(dict(listed.named_parameters())), {}
