"""The peer's side of the benchmarks: PyTorch on the CPU.

Reads lines `CASE ITERATIONS`, runs the case that often and prints the seconds of one iteration.
"""

import importlib.metadata
import sys
import time

import torch

import weights

torch.manual_seed(0)


def step(widths, batch, fused, weight_norm=False, activation=torch.nn.ReLU):
    layers = []
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        layer = torch.nn.Linear(a, b)
        layers.append(torch.nn.utils.parametrizations.weight_norm(layer) if weight_norm else layer)
        if i + 2 < len(widths):
            layers.append(activation())
    net = torch.nn.Sequential(*layers)
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


BIG = [(1024, 4096), (4096,), (4096, 1024), (1024,)]
NETS = {
    "784-512-512-10": ([784, 512, 512, 10], 128),
    "32-32-32-8": ([32, 32, 32, 8], 16),
    "1024-4096-1024": ([1024, 4096, 1024], 256),
}
made = {}


def case(name):
    kind, which, mode = name.split("/")
    if kind == "weight":
        return weights.weight(which, int(mode))
    modes = mode.split("+")
    if kind == "step":
        widths, batch = NETS[which]
        return step(widths, batch, "fused" in modes, "weight_norm" in modes)
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
