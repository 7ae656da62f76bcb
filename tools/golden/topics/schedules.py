"""Curves of every schedule, alone and composed, and the options that PyTorch refuses.

A case's note `spec` describes the schedule. The rates are float64, so there is no f32.
"""

import math

import torch
from torch.optim import lr_scheduler as sched
from torch.optim import swa_utils

from .common import Topic

STEPS = 200
BASE = 0.1


def halve_at_three_and_fifty(t):
    return 0.5 if t in (0, 3, 50) else 1.0


FUNCTIONS = {
    "inverse_root": lambda t: (1 + t) ** -0.5,
    "halve_at_0_3_50": halve_at_three_and_fifty,
}


def noam(size, warmup):
    return lambda t: size**-0.5 * min((t + 1) ** -0.5, (t + 1) * warmup**-1.5)


def wsd(warmup, stable, decay, warmup_shape, decay_shape, start, end):
    shapes = {
        "linear": lambda x: 1 - x,
        "cosine": lambda x: (1 + math.cos(math.pi * x)) / 2,
        "1-sqrt": lambda x: 1 - math.sqrt(x),
    }

    def factor(t):
        if t < warmup:
            return 1 - (1 - start) * shapes[warmup_shape](t / warmup)
        x = min(max(t - warmup - stable, 0) / decay, 1)
        return end + (1 - end) * shapes[decay_shape](x)

    return factor


def make(optimizer, spec):
    """The scheduler of a spec; the parts of a composed one first, in order."""
    kind, options = spec["kind"], {k: v for k, v in spec.items() if k != "kind"}
    if kind == "sequential":
        parts = [make(optimizer, part) for part in options["parts"]]
        return sched.SequentialLR(optimizer, parts, options["milestones"])
    if kind == "chained":
        return sched.ChainedScheduler([make(optimizer, p) for p in options["parts"]], optimizer)
    if kind in ("lambda", "multiplicative"):
        name = {"lambda": sched.LambdaLR, "multiplicative": sched.MultiplicativeLR}[kind]
        return name(optimizer, FUNCTIONS[options["function"]])
    if kind == "noam":
        return sched.LambdaLR(optimizer, noam(**options))
    if kind == "wsd":
        return sched.LambdaLR(optimizer, wsd(**options))
    kinds = {
        "step": sched.StepLR,
        "multi_step": sched.MultiStepLR,
        "constant_factor": sched.ConstantLR,
        "linear": sched.LinearLR,
        "exponential": sched.ExponentialLR,
        "polynomial": sched.PolynomialLR,
        "cosine_annealing": sched.CosineAnnealingLR,
        "cosine_annealing_warm_restarts": sched.CosineAnnealingWarmRestarts,
        "one_cycle": sched.OneCycleLR,
        "cyclic": sched.CyclicLR,
        "reduce_on_plateau": sched.ReduceLROnPlateau,
        "swa": swa_utils.SWALR,
    }
    return kinds[kind](optimizer, **options)


def optimizer_of():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE, momentum=0.9)


def metrics():
    """Falls, stays, falls a little, rises, is NaN once."""
    values = []
    for t in range(STEPS):
        wave = 0.05 * math.sin(0.7 * t)
        values.append(2.0 * math.exp(-t / 40) + wave if t < 90 else 0.3 + 0.001 * (t - 90) + wave)
    values[20] = math.nan
    return values


def run(spec):
    """Rates and momenta at each time, and the error at the end if there is one."""
    optimizer = optimizer_of()
    scheduler = make(optimizer, spec)
    group = optimizer.param_groups[0]
    rates, momenta, facts = [], [], {}
    for metric in metrics():
        rates.append(group["lr"])
        momenta.append(group["momentum"])
        optimizer.step()
        try:
            if spec["kind"] == "reduce_on_plateau":
                scheduler.step(metric)
            else:
                scheduler.step()
        except ValueError as error:
            facts = {"error": type(error).__name__, "error_after": len(rates) - 1}
            break
    return rates, momenta, facts


def add(topic, case, **spec):
    if case in topic.cases:
        raise ValueError(f"the case {case} is there twice")
    rates, momenta, facts = run(spec)
    topic.tensors[f"{case}.f64.rate"] = torch.tensor(rates, dtype=torch.float64)
    moves = len(set(momenta)) > 1
    if moves:
        topic.tensors[f"{case}.f64.momentum"] = torch.tensor(momenta, dtype=torch.float64)
    if case == "plateau":
        topic.tensors["plateau.f64.metric"] = torch.tensor(metrics(), dtype=torch.float64)
    topic.cases[case] = {"base": BASE, "spec": spec, "moves_momentum": moves, **facts}


def build() -> Topic:
    topic = Topic("schedules")
    add(topic, "lambda", kind="lambda", function="inverse_root")
    add(topic, "multiplicative", kind="multiplicative", function="halve_at_0_3_50")
    add(topic, "step", kind="step", step_size=30, gamma=0.3)
    add(topic, "step_each", kind="step", step_size=1, gamma=0.97)
    add(topic, "multi_step", kind="multi_step", milestones=[30, 80, 80, 150], gamma=0.3)
    add(topic, "multi_step_zero", kind="multi_step", milestones=[0, 7], gamma=0.5)
    add(topic, "constant_factor", kind="constant_factor", factor=1 / 3, total_iters=5)
    add(topic, "constant_factor_long", kind="constant_factor", factor=0.7, total_iters=120)
    add(topic, "linear", kind="linear", start_factor=1 / 3, end_factor=1.0, total_iters=5)
    add(topic, "linear_up", kind="linear", start_factor=0.01, end_factor=1.0, total_iters=150)
    add(topic, "linear_down", kind="linear", start_factor=1.0, end_factor=0.0, total_iters=90)
    add(topic, "exponential", kind="exponential", gamma=0.97)
    add(topic, "polynomial", kind="polynomial", total_iters=150, power=1.0)
    add(topic, "polynomial_power", kind="polynomial", total_iters=180, power=2.5)
    add(topic, "cosine", kind="cosine_annealing", T_max=200, eta_min=0.0)
    add(topic, "cosine_again", kind="cosine_annealing", T_max=37, eta_min=0.003)
    add(topic, "cosine_one", kind="cosine_annealing", T_max=1, eta_min=0.01)
    restarts = "cosine_annealing_warm_restarts"
    add(topic, "restarts", kind=restarts, T_0=23, T_mult=1, eta_min=0.0)
    add(topic, "restarts_double", kind=restarts, T_0=10, T_mult=2, eta_min=0.004)
    add(topic, "restarts_triple", kind=restarts, T_0=3, T_mult=3, eta_min=0.0)
    add(topic, "one_cycle", kind="one_cycle", max_lr=0.7, total_steps=200)
    add(
        topic, "one_cycle_linear", kind="one_cycle", max_lr=0.7, total_steps=210,
        pct_start=0.25, anneal_strategy="linear", div_factor=10.0, final_div_factor=100.0,
        base_momentum=0.7, max_momentum=0.99,
    )  # fmt: skip
    add(
        topic, "one_cycle_three", kind="one_cycle", max_lr=0.7, total_steps=199,
        three_phase=True,
    )  # fmt: skip
    add(
        topic, "one_cycle_three_linear", kind="one_cycle", max_lr=0.7, total_steps=200,
        three_phase=True, anneal_strategy="linear", pct_start=0.4, cycle_momentum=False,
    )  # fmt: skip
    add(topic, "one_cycle_ends", kind="one_cycle", max_lr=0.7, total_steps=50)
    cyclic = {"kind": "cyclic", "base_lr": 0.01, "max_lr": 0.3}
    add(topic, "cyclic", step_size_up=20, **cyclic)
    add(topic, "cyclic_uneven", step_size_up=11, step_size_down=30, **cyclic)
    add(topic, "cyclic_two", step_size_up=15, mode="triangular2", **cyclic)
    add(
        topic, "cyclic_exp", step_size_up=15, mode="exp_range", gamma=0.99,
        base_momentum=0.6, max_momentum=0.95, **cyclic,
    )  # fmt: skip
    add(topic, "cyclic_rate_only", step_size_up=40, cycle_momentum=False, **cyclic)
    plateau = {"kind": "reduce_on_plateau"}
    add(topic, "plateau", **plateau)
    add(topic, "plateau_max", mode="max", factor=0.5, patience=4, **plateau)
    add(
        topic, "plateau_abs", threshold=0.02, threshold_mode="abs", patience=2, factor=0.8,
        cooldown=3, **plateau,
    )  # fmt: skip
    add(
        topic, "plateau_max_abs", mode="max", threshold=0.2, threshold_mode="abs", patience=1,
        factor=0.7, min_lr=0.02, **plateau,
    )  # fmt: skip
    add(topic, "plateau_eps", patience=0, factor=0.5, eps=1e-3, cooldown=1, **plateau)
    add(topic, "swa", kind="swa", swa_lr=0.02, anneal_epochs=10, anneal_strategy="cos")
    add(topic, "swa_linear", kind="swa", swa_lr=0.3, anneal_epochs=70, anneal_strategy="linear")
    add(topic, "swa_at_once", kind="swa", swa_lr=0.05, anneal_epochs=0, anneal_strategy="cos")
    add(topic, "noam", kind="noam", size=64, warmup=40)
    shapes = {"warmup_shape": "linear", "decay_shape": "linear", "start": 0.0, "end": 0.0}
    add(topic, "wsd", kind="wsd", warmup=20, stable=100, decay=60, **shapes)
    shapes = {"warmup_shape": "cosine", "decay_shape": "cosine", "start": 0.1, "end": 0.05}
    add(topic, "wsd_cosine", kind="wsd", warmup=30, stable=80, decay=90, **shapes)
    shapes = {"warmup_shape": "linear", "decay_shape": "1-sqrt", "start": 0.01, "end": 0.0}
    add(topic, "wsd_root", kind="wsd", warmup=1, stable=9, decay=150, **shapes)
    for case, spec in [
        ("constant_factor_above", {"kind": "constant_factor", "factor": 1.5, "total_iters": 5}),
        ("constant_factor_below", {"kind": "constant_factor", "factor": -0.1, "total_iters": 5}),
        ("linear_start_zero", linear(0.0, 1.0)),
        ("linear_start_above", linear(1.5, 1.0)),
        ("linear_end_above", linear(0.5, 1.5)),
        ("linear_end_below", linear(0.5, -0.5)),
        ("restarts_t_0", {"kind": restarts, "T_0": 0, "T_mult": 1, "eta_min": 0.0}),
        ("restarts_t_mult", {"kind": restarts, "T_0": 3, "T_mult": 0, "eta_min": 0.0}),
        ("one_cycle_empty", {"kind": "one_cycle", "max_lr": 0.1, "total_steps": 0}),
        ("one_cycle_pct", one_cycle(1.2)),
        ("one_cycle_pct_below", one_cycle(-0.2)),
        ("plateau_factor", {"kind": "reduce_on_plateau", "factor": 1.0}),
        ("sequential_empty", sequential([], [])),
        ("sequential_milestones", sequential([EXP, EXP], [3, 4])),
        ("sequential_plateau", sequential([EXP, {"kind": "reduce_on_plateau"}], [3])),
        ("chained_empty", {"kind": "chained", "parts": []}),
        ("chained_plateau", {"kind": "chained", "parts": [EXP, {"kind": "reduce_on_plateau"}]}),
    ]:
        refused(topic, case, spec)
    return topic


EXP = {"kind": "exponential", "gamma": 0.97}


def linear(start, end, total=5):
    return {"kind": "linear", "start_factor": start, "end_factor": end, "total_iters": total}


def one_cycle(pct):
    return {"kind": "one_cycle", "max_lr": 0.1, "total_steps": 10, "pct_start": pct}


def sequential(parts, milestones):
    return {"kind": "sequential", "parts": parts, "milestones": milestones}


def refused(topic, case, spec):
    try:
        optimizer = optimizer_of()
        # No schedule to take the optimizer from, where the list is empty.
        if spec["kind"] == "chained" and not spec["parts"]:
            sched.ChainedScheduler([])
        make(optimizer, spec)
    except ValueError as error:
        topic.cases[f"refused_{case}"] = {"spec": spec, "message": str(error)}
        return
    raise AssertionError(f"PyTorch was expected to refuse {case}")


def build_composed() -> Topic:
    topic = Topic("schedules_composed")
    warm = linear(0.05, 1.0, 20)
    cosine = {"kind": "cosine_annealing", "T_max": 80, "eta_min": 0.001}
    restarts = {"kind": "cosine_annealing_warm_restarts", "T_0": 17, "T_mult": 2, "eta_min": 0.0}
    poly = {"kind": "polynomial", "total_iters": 70, "power": 1.5}
    steps = {"kind": "step", "step_size": 9, "gamma": 0.8}
    multi = {"kind": "multi_step", "milestones": [0, 5, 40], "gamma": 0.7}
    constant = {"kind": "constant_factor", "factor": 0.4, "total_iters": 30}
    swa = {"kind": "swa", "swa_lr": 0.03, "anneal_epochs": 12, "anneal_strategy": "cos"}
    product = {"kind": "multiplicative", "function": "halve_at_0_3_50"}
    root = {"kind": "lambda", "function": "inverse_root"}
    cycle = {"kind": "one_cycle", "max_lr": 0.5, "total_steps": 160}
    cyclic = {"kind": "cyclic", "base_lr": 0.01, "max_lr": 0.2, "step_size_up": 13}
    for case, parts, milestones in [
        ("warm_cosine", [warm, cosine], [20]),
        ("warm_restarts", [warm, restarts], [25]),
        ("warm_poly", [warm, poly], [10]),
        ("exp_step_multi", [EXP, steps, multi], [30, 90]),
        ("cosine_constant", [cosine, constant, warm], [50, 140]),
        ("cosine_swa", [cosine, swa], [60]),
        ("multiplicative", [EXP, product], [40]),
        ("lambda", [warm, root], [20]),
        ("lambda_first", [root, EXP], [33]),
        ("one_cycle_last", [warm, cycle], [45]),
        ("one_cycle_first", [cycle, EXP], [100]),
        ("cyclic_last", [warm, cyclic], [45]),
        ("cyclic_first", [cyclic, steps], [66]),
        ("skipped", [EXP, steps, cosine], [50, 50]),
        ("from_zero", [EXP, poly], [0]),
        ("restarts_first", [restarts, EXP], [70]),
        ("swa_first", [swa, cosine], [70]),
        ("product_first", [product, cosine], [70]),
        ("single", [EXP], []),
    ]:
        add(topic, f"sequential_{case}", **sequential(parts, milestones))
    for case, parts in [
        ("constant_exp", [constant, EXP]),
        ("warm_cosine", [warm, cosine]),
        ("three", [constant, product, steps]),
        ("restarts_exp", [restarts, EXP]),
        ("poly_multi", [poly, multi]),
        ("sequential", [sequential([warm, cosine], [20]), EXP]),
        ("lambda_swa", [root, swa]),
        ("one_cycle_exp", [dict(cycle, total_steps=200), EXP]),
        ("exp_cyclic", [EXP, cyclic]),
        ("nested", [{"kind": "chained", "parts": [constant, EXP]}, steps]),
    ]:
        add(topic, f"chained_{case}", kind="chained", parts=parts)
    return topic
