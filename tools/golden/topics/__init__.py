"""The golden files, one function a topic; `TOPICS` lists them by file name."""

from . import (
    average,
    chain,
    clip,
    errors,
    groups,
    init,
    optim,
    orthogonal,
    pruning,
    schedule,
    schedules,
    symmetric,
    tie,
    trajectory,
    weight_norm,
)

TOPICS = {
    "weight_norm": weight_norm.build,
    "orthogonal_cayley": orthogonal.build,
    "orthogonal_cayley_plain": orthogonal.build_plain,
    "symmetric": symmetric.build,
    "chain": chain.build,
    "prune_l1": pruning.build,
    "tie": tie.build,
    "trajectory": trajectory.build,
    "multistep": schedule.build,
    "init": init.build,
    "optim": optim.build,
    "clip": clip.build,
    "average": average.build,
    "schedules": schedules.build,
    "schedules_composed": schedules.build_composed,
    "groups": groups.build,
    "errors": errors.build,
}
