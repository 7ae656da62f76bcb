"""A whole run: prune, orthogonal, weight norm, two groups, a schedule, ten steps."""

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune

from .common import Topic, copies, set_values

LAYERS = [0, 2, 4]


def build() -> Topic:
    topic = Topic("trajectory")
    topic.add(
        "run",
        run,
        steps=10,
        samples=12,
        prune_amount=0.25,
        weight_norm_dim=0,
        lr=0.01,
        betas=[0.9, 0.999],
        eps=1e-8,
        weight_decay={"weights": 0.05, "biases": 0.0},
        milestones=[3, 6],
        gamma=0.1,
    )
    return topic


def network(draw, prune_amount, weight_norm_dim):
    model = nn.Sequential(
        nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)
    ).to(draw.dtype)
    start = {
        name: draw.normal(*tensor.shape, scale=0.4) for name, tensor in model.named_parameters()
    }
    set_values(dict(model.named_parameters()), start)
    prune.l1_unstructured(model[0], "weight", prune_amount)
    parametrizations.orthogonal(model[2], orthogonal_map="cayley", use_trivialization=True)
    parametrizations.weight_norm(model[4], dim=weight_norm_dim)
    return model, start


def run(
    draw,
    steps,
    samples,
    prune_amount,
    weight_norm_dim,
    lr,
    betas,
    eps,
    weight_decay,
    milestones,
    gamma,
):
    model, start = network(draw, prune_amount, weight_norm_dim)
    inputs, labels = draw.normal(samples, 6), draw.labels(samples, 3)
    out = {"inputs": inputs, "labels": labels} | copies(start, "before.")
    out |= copies(model.state_dict(), "initial.") | effective(model, inputs, "initial_value.")

    named = list(model.named_parameters())
    groups = {
        "weights": [name for name, _ in named if not name.endswith("bias")],
        "biases": [name for name, _ in named if name.endswith("bias")],
    }
    parameters = dict(named)
    optimizer = torch.optim.AdamW(
        [
            {
                "params": [parameters[name] for name in names],
                "weight_decay": weight_decay[group],
            }
            for group, names in groups.items()
        ],
        lr=lr,
        betas=tuple(betas),
        eps=eps,
    )
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma)
    losses, rates = [], []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(inputs), labels)
        loss.backward()
        losses.append(loss.detach())
        rates.append(scheduler.get_last_lr()[0])
        if not rates[1:]:
            grads = {name: tensor.grad for name, tensor in parameters.items()}
            out |= copies(grads, "first_grad.")
        optimizer.step()
        scheduler.step()
    with torch.no_grad():
        outputs = model(inputs)
        losses.append(functional.cross_entropy(outputs, labels))
    out |= copies({"final_output": outputs})
    # The rates are Python floats, whatever the dtype of the weights.
    out |= {"loss": torch.stack(losses), "lr": torch.tensor(rates, dtype=torch.float64)}
    out |= copies(model.state_dict(), "final.") | effective(model, inputs, "final_value.")
    facts = {
        "layers": [
            "0: Linear(6, 8), l1_unstructured",
            "1: Tanh",
            "2: Linear(8, 8), orthogonal, cayley, trivialized",
            "3: Tanh",
            "4: Linear(8, 3), weight_norm",
        ],
        "groups": groups,
        "state_dict": list(model.state_dict()),
        "loss_note": "cross_entropy, mean; entry i is the loss after i steps, steps + 1 in all",
        "lr_note": "entry i is the rate that step i used, counting from 0",
    }
    return out, facts


def effective(model, inputs, prefix):
    """The weights as the layers use them; a forward call makes the pruned one anew."""
    with torch.no_grad():
        model(inputs)
        return copies({f"{layer}.weight": model[layer].weight for layer in LAYERS}, prefix)
