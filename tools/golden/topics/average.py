"""Averages over ten networks, of a parametrized one too, and running statistics computed anew."""

import copy

import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.optim import swa_utils

from .common import Topic, copies


def build() -> Topic:
    topic = Topic("average")
    topic.add("ema", averaged, decay=0.9, use_buffers=False, updates=10)
    topic.add("ema_buffers", averaged, decay=0.7, use_buffers=True, updates=3)
    topic.add("swa", averaged, decay=None, use_buffers=False, updates=10)
    topic.add("swa_buffers", averaged, decay=None, use_buffers=True, updates=3)
    topic.add("update_bn", update_bn, batches=3, batch=6)
    return topic


def state_of(module, prefix):
    """The float tensors: Burn has no `num_batches_tracked`."""
    state = {k: v for k, v in module.state_dict().items() if v.is_floating_point()}
    return copies(state, prefix)


def averaged(draw, decay, use_buffers, updates):
    net = nn.Sequential(nn.Linear(4, 3, dtype=draw.dtype), nn.BatchNorm1d(3, dtype=draw.dtype))
    parametrizations.weight_norm(net[0])
    avg_fn = swa_utils.get_swa_avg_fn() if decay is None else swa_utils.get_ema_avg_fn(decay)
    average = swa_utils.AveragedModel(net, avg_fn=avg_fn, use_buffers=use_buffers)
    out = {}
    for update in range(updates):
        with torch.no_grad():
            for tensor in [*net.parameters(), *net.buffers()]:
                if tensor.is_floating_point():
                    tensor.copy_(draw.normal(*tensor.shape))
        out |= state_of(net, f"net{update}.")
        average.update_parameters(net)
    out |= state_of(average.module, "averaged.")
    return out, {"n_averaged": int(average.n_averaged)}


def update_bn(draw, batches, batch):
    layers = [nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 5)]
    net = nn.Sequential(*layers, nn.BatchNorm1d(5, momentum=0.03)).to(draw.dtype)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(draw.normal(*parameter.shape))
    before = copy.deepcopy(net)
    inputs = [draw.normal(batch, 4) for _ in range(batches)]
    swa_utils.update_bn(inputs, net)
    out = {f"input{index}": tensor for index, tensor in enumerate(inputs)}
    return out | state_of(before, "before.") | state_of(net, "after."), {}
