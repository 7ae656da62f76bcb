"""`parametrizations.spectral_norm`: the vectors that move, values, gradients, assignment."""

import torch
import torch.nn.functional as F
from torch.nn.utils import parametrizations

from .common import (
    Topic,
    assign,
    backward,
    buffers,
    copies,
    module_with,
    originals,
    set_values,
)

ACCESSES = 3
CASES = {
    "linear_4x6": ("linear", (4, 6), {}),
    "linear_7x3_three_iterations": ("linear", (7, 3), {"n_power_iterations": 3}),
    "linear_4x6_dim1": ("linear", (4, 6), {"dim": 1}),
    # Large enough to be more than some of the norms.
    "linear_5x4_eps": ("linear", (5, 4), {"eps": 3.0}),
    "conv2d_3x2x2x2": ("conv2d", (3, 2, 2, 2), {}),
    # The output channels of a transposed convolution are the second dimension.
    "conv_transpose2d_2x3x2x2": ("conv_transpose2d", (2, 3, 2, 2), {}),
    "batch_3x4x2_dim2": ("holder", (3, 4, 2), {"dim": 2}),
}
VECTORS = {"vector_5": ((5,), {}), "vector_4_eps": ((4,), {"eps": 30.0})}


def build() -> Topic:
    topic = Topic("spectral_norm")
    for case, (kind, shape, options) in CASES.items():
        topic.add(case, whole_life, module=kind, weight_shape=list(shape), options=options)
    # A vector is divided by its norm, so nothing is stored beside it.
    for case, (shape, options) in VECTORS.items():
        topic.add(case, vector, weight_shape=list(shape), options=options)
    return topic


def moving(layer, prefix=""):
    return copies({f"{prefix}{name.removeprefix('0.')}": b for name, b in buffers(layer).items()})


def whole_life(draw, module, weight_shape, options):
    weight = draw.normal(*weight_shape)
    layer = module_with(module, weight)
    state = torch.get_rng_state()
    parametrizations.spectral_norm(layer, **options)
    rule, parameters = layer.parametrizations.weight[0], originals(layer)
    out = {"weight": weight} | copies(parameters) | moving(layer)
    out |= starts(rule, weight, state, moving(layer))
    perturbed = weight + draw.normal(*weight_shape, scale=0.5)
    set_values(parameters, {"original": perturbed})
    out |= {"perturbed": perturbed}
    grad_value = draw.normal(*weight_shape)
    # Each reading in training moves the vectors first.
    for access in range(1, ACCESSES + 1):
        found = backward(layer, grad_value)
        out["grad_value"] = found.pop("grad_value")
        out |= {f"access{access}.{name}": t for name, t in found.items()}
        out |= moving(layer, f"access{access}.")
    # Without training they stay.
    layer.eval()
    found = backward(layer, grad_value)
    out |= {"eval_value": found["value"], "eval_grad_original": found["grad_original"]}
    assert all(torch.equal(a, out[f"access3.{n}"]) for n, a in moving(layer).items())
    layer.train()
    out |= assign(layer, draw.normal(*weight_shape)) | moving(layer, "assigned")
    facts = {"state_dict": list(layer.state_dict())}
    facts["dim"] = rule.dim
    facts["n_power_iterations"] = rule.n_power_iterations
    facts["unsafe"] = layer.parametrizations.weight.unsafe
    return out, facts


def starts(rule, weight, state, registered):
    """The random vectors before the first iterations: drawn again from the same state.

    Registering does 15 iterations, and `n_power_iterations` more as it looks at the value.
    """
    matrix = rule._reshape_weight_to_matrix(weight)
    torch.set_rng_state(state)
    u, v = (matrix.new_empty(side).normal_(0, 1) for side in matrix.shape)
    u, v = (F.normalize(x, dim=0, eps=rule.eps) for x in (u, v))
    out = copies({"start_u": u, "start_v": v})
    for iteration in range(15 + rule.n_power_iterations):
        u = F.normalize(torch.mv(matrix, v), dim=0, eps=rule.eps)
        v = F.normalize(torch.mv(matrix.H, u), dim=0, eps=rule.eps)
        if iteration == 14:
            out |= copies({"fifteen_u": u, "fifteen_v": v})
    assert torch.allclose(u, registered["_u"]) and torch.allclose(v, registered["_v"])
    return out


def vector(draw, weight_shape, options):
    weight = draw.normal(*weight_shape)
    layer = parametrizations.spectral_norm(module_with("holder", weight), **options)
    parameters = originals(layer)
    out = {"weight": weight} | copies(parameters) | copies({"initial_value": layer.weight})
    perturbed = draw.normal(*weight_shape)
    set_values(parameters, {"original": perturbed})
    out |= {"perturbed": perturbed} | backward(layer, draw.normal(*weight_shape))
    out |= assign(layer, draw.normal(*weight_shape))
    return out, {"state_dict": list(layer.state_dict())}
