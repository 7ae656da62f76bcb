"""Six steps of PyTorch's optimizers, each with its options, on three tensors."""

import torch

from .common import Topic

OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
SHAPES = [(3, 4), (4,), (2, 1, 2)]


def build() -> Topic:
    topic = Topic("optim")
    topic.add("sgd", steps, kind="sgd", options={"lr": 0.1})
    topic.add("sgd_decay", steps, kind="sgd", options={"lr": 0.1, "weight_decay": 0.3})
    momentum = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}
    topic.add("sgd_momentum", steps, kind="sgd", options=momentum)
    dampened = {"lr": 0.05, "momentum": 0.8, "dampening": 0.3}
    topic.add("sgd_dampening", steps, kind="sgd", options=dampened)
    nesterov = {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}
    topic.add("sgd_nesterov", steps, kind="sgd", options=nesterov)
    topic.add("sgd_maximize", steps, kind="sgd", options={**momentum, "maximize": True})
    for kind in ("adam", "adamw"):
        topic.add(kind, steps, kind=kind, options={"lr": 0.01})
        full = {"lr": 0.02, "betas": [0.8, 0.95], "eps": 1e-4, "weight_decay": 0.2}
        topic.add(f"{kind}_options", steps, kind=kind, options=full)
        topic.add(f"{kind}_amsgrad", steps, kind=kind, options={**full, "amsgrad": True})
        topic.add(f"{kind}_maximize", steps, kind=kind, options={**full, "maximize": True})
    return topic


def steps(draw, kind, options):
    """Gradients are given, so that nothing but the optimizer is compared."""
    count = 6
    params = [torch.nn.Parameter(draw.normal(*shape)) for shape in SHAPES]
    given = {**options}
    if "betas" in given:
        given["betas"] = tuple(given["betas"])
    optimizer = OPTIMIZERS[kind](params, **given)
    tensors = {f"before{i}": p.detach().clone() for i, p in enumerate(params)}
    grads = [[draw.normal(*shape) for _ in range(count)] for shape in SHAPES]
    for step in range(count):
        for p, grad in zip(params, grads):
            # One step without any gradient: the parameter and its state stay.
            p.grad = None if step == 4 and p is params[1] else grad[step].clone()
        optimizer.step()
        if step == 0:
            tensors |= {f"first{i}": p.detach().clone() for i, p in enumerate(params)}
    tensors |= {f"after{i}": p.detach().clone() for i, p in enumerate(params)}
    tensors |= {f"grads{i}": torch.stack(grad) for i, grad in enumerate(grads)}
    return tensors, {"steps": count}
