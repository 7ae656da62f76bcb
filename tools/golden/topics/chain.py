"""Several parametrizations on one weight; PyTorch inverts the last one first."""

from torch.nn.utils import parametrizations, parametrize

from .common import (
    Symmetric,
    Topic,
    assign,
    backward,
    buffers,
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


def orthogonal(orthogonal_map, use_trivialization=True):
    def register(layer):
        parametrizations.orthogonal(
            layer, orthogonal_map=orthogonal_map, use_trivialization=use_trivialization
        )

    return register


RULES = {
    "symmetric": symmetric,
    "weight_norm": weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal_cayley": orthogonal("cayley"),
    "orthogonal_exp": orthogonal("matrix_exp"),
    "orthogonal_exp_plain": orthogonal("matrix_exp", False),
    "orthogonal_householder": orthogonal("householder"),
    "orthogonal_householder_plain": orthogonal("householder", False),
}


def build() -> Topic:
    topic = Topic("chain")
    for rules in [
        ["weight_norm", "symmetric"],
        ["symmetric", "symmetric"],
        ["orthogonal_cayley", "symmetric"],
        ["orthogonal_exp", "symmetric"],
        ["orthogonal_householder", "symmetric"],
        ["orthogonal_householder_plain", "symmetric"],
        ["symmetric", "orthogonal_exp_plain"],
        ["weight_norm", "orthogonal_exp_plain"],
        ["weight_norm", "symmetric", "orthogonal_exp_plain"],
    ]:
        topic.add("_then_".join(rules), whole_life, rules=rules, weight_shape=[4, 4])
    # These register without complaint and then fail when the weight is read:
    # weight norm gets one tensor where it takes two, and the base was never made.
    for rules in [
        ["symmetric", "weight_norm"],
        ["symmetric", "orthogonal_cayley"],
        ["orthogonal_exp", "weight_norm"],
        ["symmetric", "orthogonal_exp"],
    ]:
        topic.add("_then_".join(rules), fails, rules=rules, weight_shape=[4, 4])
    return topic


def build_spectral() -> Topic:
    """Chains whose reading moves the vectors of spectral normalization."""
    topic = Topic("chain_spectral")
    for rules in [
        ["spectral_norm", "symmetric"],
        ["symmetric", "spectral_norm"],
        ["weight_norm", "spectral_norm"],
        ["orthogonal_exp", "spectral_norm"],
        ["spectral_norm", "orthogonal_exp_plain"],
        ["spectral_norm", "symmetric", "spectral_norm"],
    ]:
        topic.add("_then_".join(rules), spectral_life, rules=rules, weight_shape=[4, 4])
    return topic


def registered(draw, rules, weight_shape):
    weight = draw.normal(*weight_shape)
    layer = module_with("linear", weight)
    for rule in rules:
        RULES[rule](layer)
    return weight, layer


def base(layer, name):
    found = buffers(layer)
    return copies({name: found["0.base"]}) if "0.base" in found else {}


def whole_life(draw, rules, weight_shape):
    weight, layer = registered(draw, rules, weight_shape)
    parameters = originals(layer)
    out = {"weight": weight} | copies(parameters) | base(layer, "base")
    out |= copies({"initial_value": layer.weight})
    perturbed = {
        name: tensor.detach() + draw.normal(*tensor.shape, scale=0.5)
        for name, tensor in parameters.items()
    }
    if rules[0].startswith("orthogonal_householder"):
        # PyTorch multiplies by the diagonal as integers: its signs stay.
        signs = parameters["original"].detach().diagonal()
        perturbed["original"].diagonal().copy_(signs)
    set_values(parameters, perturbed)
    out |= copies(perturbed, "perturbed_") | backward(layer, draw.normal(*weight_shape))
    facts = {"state_dict": list(layer.state_dict())}
    value = draw.symmetric(*weight_shape)
    if "orthogonal_exp_plain" in rules:
        facts["assignment"] = raised(lambda: setattr(layer, "weight", value))["error"]
        return out, facts
    out |= assign(layer, value) | base(layer, "assigned_base")
    return out, facts


def spectral_life(draw, rules, weight_shape):
    weight, layer = registered(draw, rules, weight_shape)
    parameters = originals(layer)
    perturbed = {
        name: tensor.detach() + draw.normal(*tensor.shape, scale=0.5)
        for name, tensor in parameters.items()
    }
    out = {"weight": weight} | copies(parameters) | copies(buffers(layer))
    set_values(parameters, perturbed)
    out |= copies(perturbed, "perturbed_") | backward(layer, draw.normal(*weight_shape))
    out |= copies(buffers(layer), "after_")
    layer.eval()
    out |= copies({"eval_value": layer.weight})
    facts = {"state_dict": list(layer.state_dict())}
    value = draw.symmetric(*weight_shape)
    if "orthogonal_exp_plain" in rules:
        facts["assignment"] = raised(lambda: setattr(layer, "weight", value))["error"]
        return out, facts
    return out | assign(layer, value) | copies(buffers(layer), "assigned_"), facts


def fails(draw, rules, weight_shape):
    weight, layer = registered(draw, rules, weight_shape)
    out = {"weight": weight} | copies(originals(layer))
    facts = {
        "state_dict": list(layer.state_dict()),
        "reading": raised(lambda: layer.weight),
    }
    return out, facts
