"""The peer's side of the benchmarks: PyTorch on the CPU.

Reads lines `CASE ITERATIONS`, runs the case that often and prints the seconds of one iteration.
"""

import importlib.metadata
import sys
import time

import torch
from torch.nn.utils import prune

import weights

torch.manual_seed(0)


def step(widths, batch, fused, weight_norm=False, pruned=False, activation=torch.nn.ReLU):
    layers = []
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        layer = torch.nn.Linear(a, b)
        layers.append(torch.nn.utils.parametrizations.weight_norm(layer) if weight_norm else layer)
        if i + 2 < len(widths):
            layers.append(activation())
    net = torch.nn.Sequential(*layers)
    if pruned:
        # Before the optimizer is made: pruning puts `weight_orig` in the place of `weight`.
        for layer in net[::2]:
            prune.l1_unstructured(layer, "weight", 0.9)
    optim = torch.optim.AdamW(net.parameters(), fused=True if fused else None)
    x, y = torch.randn(batch, widths[0]), torch.randn(batch, widths[-1])

    def run(iterations):
        start = time.perf_counter()
        for _ in range(iterations):
            optim.zero_grad()
            torch.nn.functional.mse_loss(net(x), y).backward()
            optim.step()
        return time.perf_counter() - start

    return run


def optimizer(kind, shapes, fused):
    params = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    grads = [torch.randn_like(p) for p in params]
    options = {"fused": True} if fused else {}
    optim = {
        "sgd": lambda: torch.optim.SGD(params, lr=1e-3, momentum=0.9, **options),
        "adam": lambda: torch.optim.Adam(params, lr=1e-3, **options),
        "adamw": lambda: torch.optim.AdamW(params, lr=1e-3, **options),
    }[kind]()

    def run(iterations):
        seconds = 0.0
        for _ in range(iterations):
            # Gradients come fresh from a backward pass, which is not timed.
            for p, grad in zip(params, grads):
                p.grad = grad * 1.0
            start = time.perf_counter()
            optim.step()
            seconds += time.perf_counter() - start
        return seconds

    return run


def prune_globally(millions):
    """The smallest 80 % over as many layers as there are millions of weights."""
    layers = [torch.nn.Linear(1000, 1000, bias=False) for _ in range(millions)]
    full = [layer.weight.data for layer in layers]

    def run(iterations):
        seconds = 0.0
        for _ in range(iterations):
            start = time.perf_counter()
            prune.global_unstructured(
                [(layer, "weight") for layer in layers],
                pruning_method=prune.L1Unstructured,
                amount=0.8,
            )
            seconds += time.perf_counter() - start
            # Pruning leaves the full weights as they are; they go back without a copy.
            for layer, weight in zip(layers, full):
                prune.remove(layer, "weight")
                layer.weight.data = weight
        return seconds

    return run


BIG = [(1024, 4096), (4096,), (4096, 1024), (1024,)]
NETS = {
    "784-512-512-10": ([784, 512, 512, 10], 128),
    "32-32-32-8": ([32, 32, 32, 8], 16),
    "1024-4096-1024": ([1024, 4096, 1024], 256),
}
made = {}


def case(name):
    kind, which, mode = name.split("/")
    if kind == "checkpoint":
        # Here, for it wants safetensors, which the other benchmarks do not.
        from files import files

        return files(which, int(mode))
    if kind == "file":
        from files import prune_file

        return prune_file
    if kind == "prune":
        return prune_globally(int(mode))
    if kind == "weight":
        return weights.weight(which, int(mode))
    modes = mode.split("+")
    if kind == "step":
        widths, batch = NETS[which]
        return step(widths, batch, "fused" in modes, "weight_norm" in modes, "pruned" in modes)
    return optimizer(which, BIG, "fused" in modes)


def versions():
    yield "PyTorch " + torch.__version__.split("+")[0]
    try:
        yield "geotorch " + importlib.metadata.version("geotorch")
    except importlib.metadata.PackageNotFoundError:
        pass


print(", ".join(versions()), flush=True)
for line in sys.stdin:
    name, iterations = line.split()
    if name not in made:
        made[name] = case(name)
    run, iterations = made[name], int(iterations)
    print(run(iterations) / max(iterations, 1), flush=True)
