"""Initial values: those without randomness as they are, the scale of the random ones."""

import torch
from torch import nn

from .common import Topic

GAINS = [
    ("linear", None),
    ("conv1d", None),
    ("conv2d", None),
    ("conv3d", None),
    ("conv_transpose1d", None),
    ("conv_transpose2d", None),
    ("conv_transpose3d", None),
    ("sigmoid", None),
    ("tanh", None),
    ("relu", None),
    ("leaky_relu", None),
    ("leaky_relu", 0.2),
    ("leaky_relu", 5**0.5),
    ("selu", None),
]


def build() -> Topic:
    topic = Topic("init")
    topic.add("constant", filled, method="constant_", shape=[3, 2], options={"val": 0.3})
    topic.add("ones", filled, method="ones_", shape=[4], options={})
    topic.add("zeros", filled, method="zeros_", shape=[2, 3], options={})
    for name, shape in [("wide", [3, 5]), ("tall", [5, 3]), ("square", [4, 4])]:
        topic.add(f"eye_{name}", filled, method="eye_", shape=shape, options={})
    for name, shape, groups in [
        ("1d", [5, 3, 4], 1),
        ("1d_wide", [2, 4, 3], 1),
        ("2d", [4, 4, 3, 3], 1),
        ("2d_groups", [6, 2, 2, 5], 3),
        ("3d", [3, 3, 3, 2, 1], 1),
        ("3d_groups", [4, 5, 1, 3, 2], 2),
    ]:
        options = {"groups": groups}
        topic.add(f"dirac_{name}", filled, method="dirac_", shape=shape, options=options)
    for name, shape in [("linear", [8, 6]), ("conv1d", [5, 4, 3]), ("conv2d", [7, 3, 5, 2])]:
        topic.add(f"scale_{name}", scales, shape=shape)
    gains = [[name, slope, nn.init.calculate_gain(name, slope)] for name, slope in GAINS]
    topic.add("gains", lambda draw: ({}, {"gains": gains}))
    return topic


def filled(draw, method, shape, options):
    """What a method without randomness writes over NaN."""
    weight = torch.full(shape, torch.nan, dtype=draw.dtype)
    getattr(nn.init, method)(weight, **options)
    return {"weight": weight}, {}


def scales(draw, shape):
    """Bounds and standard deviations, by what a method makes of the numbers of one seed."""
    out = {}
    for mode in ["fan_in", "fan_out"]:
        for nonlinearity, slope in [("relu", 0), ("leaky_relu", 0.3), ("tanh", 0)]:
            options = {"a": slope, "mode": mode, "nonlinearity": nonlinearity}
            name = f"{mode}_{nonlinearity}"
            out[f"kaiming_uniform_{name}"] = bound(draw, shape, nn.init.kaiming_uniform_, options)
            out[f"kaiming_normal_{name}"] = deviation(draw, shape, nn.init.kaiming_normal_, options)
    out["xavier_uniform"] = bound(draw, shape, nn.init.xavier_uniform_, {"gain": 1.5})
    out["xavier_normal"] = deviation(draw, shape, nn.init.xavier_normal_, {"gain": 1.5})
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
    return out, {"fan_in": fan_in, "fan_out": fan_out, "xavier_gain": 1.5, "slope": 0.3}


def same_numbers(draw, shape, plain, method, options):
    """The numbers that `plain` and `method` draw from one state of a generator."""
    state = draw.generator.get_state()
    numbers = plain(torch.empty(shape, dtype=torch.float64), generator=draw.generator)
    draw.generator.set_state(state)
    filled = method(torch.empty(shape, dtype=torch.float64), generator=draw.generator, **options)
    return numbers, filled


def bound(draw, shape, method, options):
    plain = lambda tensor, generator: tensor.uniform_(-1, 1, generator=generator)
    numbers, filled = same_numbers(draw, shape, plain, method, options)
    # Where the number is largest the quotient is rounded least.
    at = numbers.abs().argmax()
    return (filled.flatten()[at] / numbers.flatten()[at]).reshape(1).to(draw.dtype)


def deviation(draw, shape, method, options):
    plain = lambda tensor, generator: tensor.normal_(generator=generator)
    numbers, filled = same_numbers(draw, shape, plain, method, options)
    at = numbers.abs().argmax()
    return (filled.flatten()[at] / numbers.flatten()[at]).reshape(1).to(draw.dtype)
