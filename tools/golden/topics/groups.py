"""Whole runs: groups, a schedule, one clipping, momentum and a moving average together."""

import torch
from torch import nn
from torch.nn import functional, utils
from torch.nn.utils import parametrizations
from torch.optim import lr_scheduler, swa_utils

from .common import Topic, copies, set_values


def build() -> Topic:
    topic = Topic("groups")
    common = {"steps": 40, "samples": 8, "max_norm": 0.4, "ema": 0.9}
    topic.add(
        "sgd",
        run,
        **common,
        kind="sgd",
        body={"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01},
        head={"lr": 0.2, "momentum": 0.5, "weight_decay": 0.0},
        epoch=5,
        milestones=[2, 5],
        gamma=0.3,
    )
    topic.add(
        "adamw",
        run,
        **common,
        kind="adamw",
        body={"lr": 0.01, "weight_decay": 0.1},
        head={"lr": 0.03, "betas": [0.8, 0.95], "weight_decay": 0.0},
        max_lr=[0.02, 0.06],
    )
    return topic


def run(draw, steps, samples, max_norm, ema, kind, body, head, **schedule):
    model = nn.Sequential(
        nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 2)
    ).to(draw.dtype)
    start = {
        name: draw.normal(*tensor.shape, scale=0.5) for name, tensor in model.named_parameters()
    }
    set_values(dict(model.named_parameters()), start)
    parametrizations.weight_norm(model[2], dim=0)
    inputs, targets = draw.normal(samples, 5), draw.normal(samples, 2)
    out = {"inputs": inputs, "targets": targets} | copies(start, "before.")

    groups = [
        {"params": [*model[0].parameters(), *model[2].parameters()], **body},
        {"params": list(model[4].parameters()), **head},
    ]
    if kind == "sgd":
        optimizer = torch.optim.SGD(groups, nesterov=True, momentum=0.9)
        scheduler = lr_scheduler.MultiStepLR(
            optimizer, schedule["milestones"], schedule["gamma"]
        )
    else:
        optimizer = torch.optim.AdamW(groups)
        scheduler = lr_scheduler.OneCycleLR(optimizer, schedule["max_lr"], total_steps=steps)
    average = swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(ema))
    norms, losses = [], []
    for step in range(steps):
        loss = functional.mse_loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        norms.append(utils.clip_grad_norm_(model.parameters(), max_norm).double())
        losses.append(loss.detach().double())
        optimizer.step()
        average.update_parameters(model)
        if kind == "adamw" and step + 1 < steps or kind == "sgd" and (step + 1) % schedule["epoch"] == 0:
            scheduler.step()
    rates = torch.tensor([group["lr"] for group in optimizer.param_groups], dtype=torch.float64)
    out |= {"norms": torch.stack(norms), "losses": torch.stack(losses), "rates": rates}
    out |= copies(model.state_dict(), "after.") | copies(average.module.state_dict(), "average.")
    return out, {"state_dict": list(model.state_dict())}
