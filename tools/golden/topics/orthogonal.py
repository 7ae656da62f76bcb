"""`parametrizations.orthogonal` by each map, with and without a base."""

from functools import partial

from torch.nn.utils import parametrizations

from .common import (
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


SHAPES = {
    "linear_5x5": ("linear", (5, 5)),
    "linear_7x4": ("linear", (7, 4)),
    "linear_4x7": ("linear", (4, 7)),
    "batch_2x4x4": ("holder", (2, 4, 4)),
    "batch_2x5x3": ("holder", (2, 5, 3)),
}
CONV2D = {"conv2d_2x2x3x2": ("conv2d", (2, 2, 3, 2))}


def build() -> Topic:
    """The Cayley map with a base (`use_trivialization=True`, PyTorch's default)."""
    topic = Topic("orthogonal_cayley")
    for case, (kind, shape) in SHAPES.items():
        add(topic, case, kind, shape, True, "general")
    add(topic, "linear_5x5_from_orthogonal", "linear", (5, 5), True, "orthogonal")
    return topic


def build_plain() -> Topic:
    """Without a base; PyTorch then cannot assign, and keeps the weight as the original."""
    topic = Topic("orthogonal_cayley_plain")
    for case, (kind, shape) in SHAPES.items():
        add(topic, case, kind, shape, False, "general")
    return topic


def build_exp() -> Topic:
    topic = Topic("orthogonal_exp")
    for case, (kind, shape) in SHAPES.items():
        add(topic, case, kind, shape, True, "general", orthogonal_map="matrix_exp")
    add(
        topic,
        "linear_5x5_from_orthogonal",
        "linear",
        (5, 5),
        True,
        "orthogonal",
        orthogonal_map="matrix_exp",
    )
    # A norm at which the exponential takes several squarings.
    add(topic, "linear_6x6_large", "linear", (6, 6), True, "general", "matrix_exp", scale=4.0)
    return topic


def build_exp_plain() -> Topic:
    topic = Topic("orthogonal_exp_plain")
    for case, (kind, shape) in SHAPES.items():
        add(topic, case, kind, shape, False, "general", orthogonal_map="matrix_exp")
    return topic


def build_householder() -> Topic:
    topic = Topic("orthogonal_householder")
    for case, (kind, shape) in SHAPES.items():
        add(topic, case, kind, shape, True, "general", orthogonal_map="householder")
    return topic


def build_householder_plain() -> Topic:
    """Without a base; of the three maps only this one can then be assigned."""
    topic = Topic("orthogonal_householder_plain")
    for case, (kind, shape) in SHAPES.items():
        add(topic, case, kind, shape, False, "general", orthogonal_map="householder")
    add(
        topic,
        "linear_5x5_from_orthogonal",
        "linear",
        (5, 5),
        False,
        "orthogonal",
        orthogonal_map="householder",
    )
    return topic


def build_default() -> Topic:
    """No map named: the exponential for square matrices, Householder for the others."""
    topic = Topic("orthogonal_default")
    for case, (kind, shape) in {**SHAPES, **CONV2D}.items():
        add(topic, case, kind, shape, True, "general", orthogonal_map=None)
    return topic


def add(topic, case, kind, shape, use_trivialization, initial, orthogonal_map="cayley", scale=1.0):
    topic.add(
        case,
        partial(whole_life, orthogonal_map=orthogonal_map, scale=scale),
        module=kind,
        weight_shape=list(shape),
        use_trivialization=use_trivialization,
        initial=initial,
    )


def whole_life(
    draw, module, weight_shape, use_trivialization, initial, orthogonal_map, scale
):
    start = draw.orthogonal if initial == "orthogonal" else draw.normal
    weight = start(*weight_shape)
    layer = parametrizations.orthogonal(
        module_with(module, weight),
        orthogonal_map=orthogonal_map,
        use_trivialization=use_trivialization,
    )
    parameters = originals(layer)
    out = {"weight": weight} | copies(parameters) | base(layer, "base")
    out |= copies({"initial_value": layer.weight})
    perturbed = draw.normal(*weight_shape, scale=scale)
    reflects = layer.parametrizations.weight[0].orthogonal_map.name == "householder"
    if reflects:
        # PyTorch multiplies by the diagonal as integers, so it must hold exact signs.
        diagonal = perturbed.diagonal(dim1=-2, dim2=-1)
        diagonal.copy_(diagonal.ge(0).to(diagonal.dtype) * 2 - 1)
    set_values(parameters, {"original": perturbed})
    out |= {"perturbed": perturbed} | backward(layer, draw.normal(*weight_shape))
    facts = {"unsafe": layer.parametrizations.weight.unsafe}
    facts["state_dict"] = list(layer.state_dict())
    if use_trivialization or reflects:
        for name, value in [
            ("assigned_orthogonal", semi_orthogonal(draw, *weight_shape)),
            ("assigned_general", draw.normal(*weight_shape)),
        ]:
            set_values(parameters, {"original": perturbed})
            out |= assign(layer, value, name) | base(layer, f"{name}_base")
    else:
        facts["assignment"] = raised(lambda: setattr(layer, "weight", weight.clone()))
    return out, facts


def base(layer, name):
    found = buffers(layer)
    return copies({name: found["0.base"]}) if "0.base" in found else {}


def semi_orthogonal(draw, *shape):
    """Orthonormal columns, or orthonormal rows where there are more columns than rows."""
    *batch, rows, columns = shape
    if rows >= columns:
        return draw.orthogonal(*shape)
    return draw.orthogonal(*batch, columns, rows).mT.contiguous()
