"""`parametrizations.orthogonal` with the Cayley map, with and without a base."""

from torch.nn.utils import parametrizations

from .common import Topic, assign, backward, copies, module_with, originals, raised, set_values


SHAPES = {
    "linear_5x5": ("linear", (5, 5)),
    "linear_7x4": ("linear", (7, 4)),
    "linear_4x7": ("linear", (4, 7)),
    "batch_2x4x4": ("holder", (2, 4, 4)),
    "batch_2x5x3": ("holder", (2, 5, 3)),
}


def build() -> Topic:
    """With a base (`use_trivialization=True`, PyTorch's default)."""
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


def add(topic, case, kind, shape, use_trivialization, initial):
    topic.add(
        case,
        whole_life,
        module=kind,
        weight_shape=list(shape),
        use_trivialization=use_trivialization,
        initial=initial,
    )


def whole_life(draw, module, weight_shape, use_trivialization, initial):
    start = draw.orthogonal if initial == "orthogonal" else draw.normal
    weight = start(*weight_shape)
    layer = parametrizations.orthogonal(
        module_with(module, weight),
        orthogonal_map="cayley",
        use_trivialization=use_trivialization,
    )
    parameters = originals(layer)
    out = {"weight": weight} | copies(parameters) | base(layer, "base")
    out |= copies({"initial_value": layer.weight})
    perturbed = draw.normal(*weight_shape)
    set_values(parameters, {"original": perturbed})
    out |= {"perturbed": perturbed} | backward(layer, draw.normal(*weight_shape))
    facts = {"unsafe": layer.parametrizations.weight.unsafe}
    facts["state_dict"] = list(layer.state_dict())
    if use_trivialization:
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
    buffers = dict(layer.parametrizations.weight[0].named_buffers())
    return copies({name: buffers["base"]}) if "base" in buffers else {}


def semi_orthogonal(draw, *shape):
    """Orthonormal columns, or orthonormal rows where there are more columns than rows."""
    *batch, rows, columns = shape
    if rows >= columns:
        return draw.orthogonal(*shape)
    return draw.orthogonal(*batch, columns, rows).mT.contiguous()
