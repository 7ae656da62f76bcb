"""The symmetric rule, registered with `parametrize.register_parametrization`."""

from torch.nn.utils import parametrize

from .common import (
    Symmetric,
    Topic,
    assign,
    backward,
    copies,
    module_with,
    originals,
    set_values,
)


def build() -> Topic:
    topic = Topic("symmetric")
    for case, kind, shape in [
        ("linear_3x3", "linear", (3, 3)),
        ("linear_6x6", "linear", (6, 6)),
        ("batch_2x4x4", "holder", (2, 4, 4)),
    ]:
        topic.add(case, whole_life, module=kind, weight_shape=list(shape))
    return topic


def whole_life(draw, module, weight_shape):
    weight = draw.normal(*weight_shape)
    layer = module_with(module, weight)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    parameters = originals(layer)
    out = {"weight": weight} | copies(parameters) | copies({"initial_value": layer.weight})
    perturbed = draw.normal(*weight_shape)
    set_values(parameters, {"original": perturbed})
    out |= {"perturbed": perturbed} | backward(layer, draw.normal(*weight_shape))
    out |= assign(layer, draw.symmetric(*weight_shape))
    # PyTorch takes a matrix that is not symmetric and keeps its upper triangle.
    out |= assign(layer, draw.normal(*weight_shape), "assigned_general")
    return out, {"state_dict": list(layer.state_dict())}
