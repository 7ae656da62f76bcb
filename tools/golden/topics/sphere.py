"""`geotorch.SphereEmbedded`, which normalizes the last dimension."""

import geotorch
import torch
from torch.nn.utils import parametrize

from .common import Topic, assign, backward, copies, module_with, originals, raised, set_values

# `dim` is the dimension that is kept, none for a tensor normalized as a whole.
CASES = {
    "linear_3x5": ("linear", (3, 5), 0, 1.0),
    "linear_6x2": ("linear", (6, 2), 0, 1.0),
    "linear_4x4_radius": ("linear", (4, 4), 0, 2.5),
    "vector_6": ("holder", (6,), None, 1.0),
    "linear_3x4_whole": ("linear", (3, 4), None, 1.0),
    "conv2d_4x3x2x2": ("conv2d", (4, 3, 2, 2), 0, 1.0),
}


def build() -> Topic:
    topic = Topic("sphere")
    for case, (kind, shape, dim, radius) in CASES.items():
        topic.add(
            case, whole_life, module=kind, weight_shape=list(shape), dim=dim, radius=radius
        )
    return topic


def whole_life(draw, module, weight_shape, dim, radius):
    # What is normalized together is one row of the matrix that geotorch gets.
    flat = (-1,) if dim is None else (weight_shape[0], -1)

    def on_sphere():
        rows = draw.normal(*weight_shape).reshape(flat)
        return radius * rows / torch.linalg.vector_norm(rows, dim=-1, keepdim=True)

    weight = on_sphere()
    layer = module_with("holder", weight)
    rule = geotorch.SphereEmbedded(layer.weight.size(), radius)
    parametrize.register_parametrization(layer, "weight", rule)
    parameters = originals(layer)
    out = {"weight": weight} | copies(parameters) | copies({"initial_value": layer.weight})
    perturbed = draw.normal(*weight_shape).reshape(flat)
    set_values(parameters, {"original": perturbed})
    out |= {"perturbed": perturbed}
    out |= backward(layer, draw.normal(*weight_shape).reshape(flat))
    out |= assign(layer, on_sphere())
    facts = {"state_dict": list(layer.state_dict())}
    general = draw.normal(*weight_shape).reshape(flat)
    facts["assignment_of_general"] = raised(lambda: setattr(layer, "weight", general))["error"]
    out |= {"general": general}
    return {name: tensor.reshape(weight_shape) for name, tensor in out.items()}, facts
