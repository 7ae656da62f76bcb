"""One parametrized weight, forward and backward, for the peer."""

import time

import torch
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import register_parametrization


class Symmetric(torch.nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).transpose(-1, -2)


def orthogonal(map):
    return lambda layer: parametrizations.orthogonal(layer, orthogonal_map=map)


def positive_definite(layer):
    import geotorch

    geotorch.positive_definite(layer, "weight")


def low_rank(layer):
    import geotorch

    geotorch.low_rank(layer, "weight", rank=8)


RULES = {
    "matrix_exponential": orthogonal("matrix_exp"),
    "householder": orthogonal("householder"),
    "cayley": orthogonal("cayley"),
    "weight_norm": lambda layer: parametrizations.weight_norm(layer),
    "spectral_norm": lambda layer: parametrizations.spectral_norm(layer),
    "symmetric": lambda layer: register_parametrization(layer, "weight", Symmetric()),
    "positive_definite": positive_definite,
    "low_rank": low_rank,
}


def weight(rule, n):
    """Forward and backward through an `n x n` weight, for a gradient of ones."""
    layer = torch.nn.Linear(n, n, bias=False)
    RULES[rule](layer)
    with torch.no_grad():
        for original in layer.parameters():
            # Away from the point where registering starts.
            original.normal_(0, n**-0.5)
            if rule == "householder":
                # The signs. PyTorch takes their whole part: with less than one all would be zero.
                original.fill_diagonal_(1)

    def run(iterations):
        start = time.perf_counter()
        for _ in range(iterations):
            layer.zero_grad()
            weight = layer.weight
            weight.backward(torch.ones_like(weight))
        return time.perf_counter() - start

    return run
