"""The curve of `MultiStepLR`, one milestone twice."""

import torch

from .common import Topic


def build() -> Topic:
    topic = Topic("multistep")
    topic.add("curve", curve, base_lr=0.1, milestones=[30, 80, 80, 150], gamma=0.3, steps=200)
    return topic


def curve(draw, base_lr, milestones, gamma, steps):
    """Entry i is the rate that step i uses. PyTorch's rates are float64; f32 is them rounded."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(draw.normal(1))], lr=base_lr)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma)
    rates = []
    for _ in range(steps):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return {"lr": torch.tensor(rates, dtype=torch.float64).to(draw.dtype)}, {}
