"""Gradient clipping: one norm over three gradients, and by value."""

import math

import torch
from torch import nn
from torch.nn import utils

from .common import Topic, copies

SHAPES = [[4, 5], [5], [5, 3]]


def build() -> Topic:
    topic = Topic("clip")
    for case, p in [("l1", 1.0), ("l2", 2.0), ("inf", math.inf), ("p3", 3.0)]:
        # Infinity is no JSON.
        topic.add(case, by_norm, norm=case, p=str(p), max_norm=0.7)
        topic.add(f"{case}_within", by_norm, norm=case, p=str(p), max_norm=1000.0)
    topic.add("value", by_value, limit=0.6)
    return topic


def drawn(draw):
    parameters = [nn.Parameter(draw.normal(*shape)) for shape in SHAPES]
    grads = {}
    for index, (parameter, shape) in enumerate(zip(parameters, SHAPES, strict=True)):
        parameter.grad = draw.normal(*shape)
        grads |= copies({f"grad{index}": parameter.grad})
    return parameters, grads


def clipped(parameters):
    return copies({f"clipped{i}": parameter.grad for i, parameter in enumerate(parameters)})


def by_norm(draw, norm, p, max_norm):
    parameters, out = drawn(draw)
    total = utils.clip_grad_norm_(parameters, max_norm, float(p))
    return out | clipped(parameters) | {"norm": total.reshape(1)}, {}


def by_value(draw, limit):
    parameters, out = drawn(draw)
    utils.clip_grad_value_(parameters, limit)
    return out | clipped(parameters), {}
