"""geotorch's rules on eigenvalues and singular values.

They refuse a value outside their set. `projected` is the nearest value that is in it.
"""

import geotorch
import torch
from torch.nn.utils import parametrize

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

SQUARE = {
    "linear_3x3": ("linear", (3, 3), "expm"),
    "linear_5x5": ("linear", (5, 5), "expm"),
    "batch_2x4x4": ("holder", (2, 4, 4), "expm"),
    "linear_4x4_cayley": ("linear", (4, 4), "cayley"),
}
SEMIDEFINITE = {
    "linear_4x4_rank1": ("linear", (4, 4), "expm", 1),
    "linear_5x5_rank2": ("linear", (5, 5), "expm", 2),
    "batch_2x4x4_rank3": ("holder", (2, 4, 4), "expm", 3),
    "linear_3x3_rank3": ("linear", (3, 3), "expm", 3),
    "linear_5x5_rank2_cayley": ("linear", (5, 5), "cayley", 2),
}
RANKS = {
    "linear_4x4_rank1": ("linear", (4, 4), "expm", 1),
    "linear_6x4_rank2": ("linear", (6, 4), "expm", 2),
    "linear_4x6_rank3": ("linear", (4, 6), "expm", 3),
    "linear_3x5_rank3": ("linear", (3, 5), "expm", 3),
    "batch_2x5x3_rank2": ("holder", (2, 5, 3), "expm", 2),
    "linear_4x5_rank2_cayley": ("linear", (4, 5), "cayley", 2),
}


def build_positive_definite() -> Topic:
    topic = Topic("positive_definite")
    for case, (kind, shape, triv) in SQUARE.items():
        add(topic, case, kind, shape, triv, None)
    return topic


def build_positive_semidefinite() -> Topic:
    return ranked("positive_semidefinite", SEMIDEFINITE)


def build_low_rank() -> Topic:
    return ranked("low_rank", RANKS)


def build_fixed_rank() -> Topic:
    return ranked("fixed_rank", RANKS)


def ranked(name, cases) -> Topic:
    topic = Topic(name)
    for case, (kind, shape, triv, rank) in cases.items():
        add(topic, case, kind, shape, triv, rank)
    return topic


def add(topic, case, kind, shape, triv, rank):
    def build(draw, **options):
        return whole_life(draw, topic.name, **options)

    topic.add(case, build, module=kind, weight_shape=list(shape), triv=triv, rank=rank)


def rule(name, size, rank, triv):
    return {
        "positive_definite": lambda: geotorch.PSD(size, triv=triv),
        "positive_semidefinite": lambda: geotorch.PSSDLowRank(size, rank, triv=triv),
        "low_rank": lambda: geotorch.LowRank(size, rank, triv=triv),
        "fixed_rank": lambda: geotorch.FixedRank(size, rank, triv=triv),
    }[name]()


def member(draw, name, shape, rank):
    """A value of the set, its spectrum well apart from 0 and without near pairs."""
    *batch, rows, columns = shape
    rank = rank or columns
    spectrum = torch.arange(rank, 0, -1, dtype=torch.float64) + draw.normal(
        *batch, rank, scale=0.1
    ).double()
    left = draw.orthogonal(*batch, rows, rows)[..., :rank].double()
    if name.startswith("positive"):
        value = (left * spectrum.unsqueeze(-2)) @ left.mT
        value = (value + value.mT) / 2
    else:
        right = draw.orthogonal(*batch, columns, columns)[..., :rank].double()
        value = (left * spectrum.unsqueeze(-2)) @ right.mT
    return value.to(draw.dtype).contiguous()


def project(name, value, rank):
    """The nearest value of the set (of its closure, where it is open)."""
    if name.startswith("positive"):
        spectrum, vectors = torch.linalg.eigh((value + value.mT) / 2)
        spectrum = spectrum.clamp(min=0)
        if rank is not None:
            spectrum[..., : spectrum.shape[-1] - rank] = 0
        return (vectors * spectrum.unsqueeze(-2)) @ vectors.mT
    u, s, vt = torch.linalg.svd(value, full_matrices=False)
    s[..., rank:] = 0
    return (u * s.unsqueeze(-2)) @ vt


# geotorch's product of manifolds numbers them; the second, the spectrum, has no base.
BASES = {
    "positive_definite": {"0.0.base": "base"},
    "positive_semidefinite": {"0.0.base": "base"},
    "low_rank": {"0.0.base": "u_base", "0.2.base": "v_base"},
    "fixed_rank": {"0.0.base": "u_base", "0.2.base": "v_base"},
}


def bases(layer, name, prefix=""):
    found = buffers(layer)
    assert found.keys() == BASES[name].keys()
    return copies({prefix + ours: found[theirs] for theirs, ours in BASES[name].items()})


def whole_life(draw, name, module, weight_shape, triv, rank):
    weight = member(draw, name, weight_shape, rank)
    layer = module_with(module, weight)
    manifold = rule(name, layer.weight.size(), rank, triv).to(weight.dtype)
    parametrize.register_parametrization(layer, "weight", manifold)
    parameters = originals(layer)
    out = {"weight": weight} | copies(parameters) | bases(layer, name)
    out |= copies({"initial_value": layer.weight})
    perturbed = draw.normal(*weight_shape)
    set_values(parameters, {"original": perturbed})
    out |= {"perturbed": perturbed} | backward(layer, draw.normal(*weight_shape))
    out |= assign(layer, member(draw, name, weight_shape, rank))
    out |= bases(layer, name, "assigned_")
    facts = {"state_dict": list(layer.state_dict())}
    facts["unsafe"] = layer.parametrizations.weight.unsafe
    general = draw.normal(*weight_shape)
    out |= {"general": general, "projected": project(name, general, rank)}
    if name != "fixed_rank" and name != "low_rank" or rank < min(weight_shape[-2:]):
        refused = raised(lambda: setattr(layer, "weight", general.clone()))
        facts["assignment_of_general"] = refused["error"]
    return out, facts
