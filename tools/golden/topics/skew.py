"""`geotorch.Skew`."""

import geotorch
from torch.nn.utils import parametrize

from .common import Topic, assign, backward, copies, module_with, originals, raised, set_values


def build() -> Topic:
    topic = Topic("skew")
    for case, kind, shape in [
        ("linear_1x1", "linear", (1, 1)),
        ("linear_3x3", "linear", (3, 3)),
        ("linear_6x6", "linear", (6, 6)),
        ("batch_2x4x4", "holder", (2, 4, 4)),
        ("conv2d_2x2x3x3", "conv2d", (2, 2, 3, 3)),
    ]:
        topic.add(case, whole_life, module=kind, weight_shape=list(shape))
    return topic


def skew(draw, shape):
    numbers = draw.normal(*shape)
    return (numbers - numbers.mT) / 2


def whole_life(draw, module, weight_shape):
    weight = skew(draw, weight_shape)
    layer = module_with(module, weight)
    parametrize.register_parametrization(layer, "weight", geotorch.Skew(layer.weight.size()))
    parameters = originals(layer)
    out = {"weight": weight} | copies(parameters) | copies({"initial_value": layer.weight})
    perturbed = draw.normal(*weight_shape)
    set_values(parameters, {"original": perturbed})
    out |= {"perturbed": perturbed} | backward(layer, draw.normal(*weight_shape))
    out |= assign(layer, skew(draw, weight_shape))
    facts = {"state_dict": list(layer.state_dict())}
    general = draw.normal(*weight_shape)
    facts["assignment_of_general"] = raised(lambda: setattr(layer, "weight", general))["error"]
    return out | {"general": general}, facts
