"""Several parametrizations on one weight; PyTorch inverts the last one first."""

from torch.nn.utils import parametrizations, parametrize

from .common import (
    Symmetric,
    Topic,
    assign,
    backward,
    copies,
    module_with,
    originals,
    raised,
    set_values,
)


def symmetric(layer):
    parametrize.register_parametrization(layer, "weight", Symmetric())


def weight_norm(layer):
    parametrizations.weight_norm(layer, dim=0)


def cayley(layer):
    parametrizations.orthogonal(layer, orthogonal_map="cayley")


RULES = {"symmetric": symmetric, "weight_norm": weight_norm, "orthogonal_cayley": cayley}


def build() -> Topic:
    topic = Topic("chain")
    for rules in [
        ["weight_norm", "symmetric"],
        ["symmetric", "symmetric"],
        ["orthogonal_cayley", "symmetric"],
    ]:
        topic.add("_then_".join(rules), whole_life, rules=rules, weight_shape=[4, 4])
    # These two register without complaint and then fail when the weight is read:
    # weight norm gets one tensor where it takes two, and the base was never made.
    for rules in [["symmetric", "weight_norm"], ["symmetric", "orthogonal_cayley"]]:
        topic.add("_then_".join(rules), fails, rules=rules, weight_shape=[4, 4])
    return topic


def registered(draw, rules, weight_shape):
    weight = draw.normal(*weight_shape)
    layer = module_with("linear", weight)
    for rule in rules:
        RULES[rule](layer)
    return weight, layer


def base(layer, name):
    buffers = dict(layer.parametrizations.weight.named_buffers())
    return copies({name: buffers["0.base"]}) if "0.base" in buffers else {}


def whole_life(draw, rules, weight_shape):
    weight, layer = registered(draw, rules, weight_shape)
    parameters = originals(layer)
    out = {"weight": weight} | copies(parameters) | base(layer, "base")
    out |= copies({"initial_value": layer.weight})
    perturbed = {
        name: tensor.detach() + draw.normal(*tensor.shape, scale=0.5)
        for name, tensor in parameters.items()
    }
    set_values(parameters, perturbed)
    out |= copies(perturbed, "perturbed_") | backward(layer, draw.normal(*weight_shape))
    out |= assign(layer, draw.symmetric(*weight_shape)) | base(layer, "assigned_base")
    return out, {"state_dict": list(layer.state_dict())}


def fails(draw, rules, weight_shape):
    weight, layer = registered(draw, rules, weight_shape)
    out = {"weight": weight} | copies(originals(layer))
    facts = {
        "state_dict": list(layer.state_dict()),
        "reading": raised(lambda: layer.weight),
    }
    return out, facts
