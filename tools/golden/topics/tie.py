"""One parameter under two names: its gradient is the sum over its uses."""

import torch
from torch import nn
from torch.nn import functional

from .common import Topic, copies, set_values


def build() -> Topic:
    topic = Topic("tie")
    topic.add("linear_linear", two_linears, weight_shape=[6, 4], lr=0.1)
    topic.add("embedding_linear", embedding_linear, weight_shape=[6, 4], lr=0.1)
    return topic


def stepped(tied, weight, loss, lr, partial):
    """Backward and one SGD step; `partial` holds one loss a use, whose sum is `loss`."""
    out = {}
    for name, part in partial.items():
        (grad,) = torch.autograd.grad(part, weight, retain_graph=True)
        out |= copies({f"grad_{name}": grad})
    loss.backward()
    out |= copies({"loss": loss, "grad_weight": weight.grad})
    torch.optim.SGD(tied.parameters(), lr=lr).step()
    facts = {
        "parameters": [name for name, _ in tied.named_parameters()],
        "state_dict": list(tied.state_dict()),
    }
    return out | copies({"stepped_weight": weight}), facts


def two_linears(draw, weight_shape, lr):
    rows, columns = weight_shape
    tied = nn.ModuleDict(
        {
            name: nn.Linear(columns, rows, dtype=draw.dtype)
            for name in ["first", "second"]
        }
    )
    tied["second"].weight = tied["first"].weight
    values = {
        "first.weight": draw.normal(rows, columns),
        "first.bias": draw.normal(rows),
        "second.bias": draw.normal(rows),
    }
    set_values(dict(tied.named_parameters()), values)
    out, partial = dict(values), {}
    for name, count in [("first", 3), ("second", 5)]:
        inputs, targets = draw.normal(count, columns), draw.normal(count, rows)
        outputs = tied[name](inputs)
        partial[name] = functional.mse_loss(outputs, targets)
        out |= {f"{name}.input": inputs, f"{name}.target": targets}
        out |= copies({f"{name}.output": outputs})
    loss = partial["first"] + partial["second"]
    more, facts = stepped(tied, tied["first"].weight, loss, lr, partial)
    return out | more, facts | {"loss_note": "mse_loss, mean, of each layer; summed"}


def embedding_linear(draw, weight_shape, lr):
    """A table of vectors whose weight is also that of the layer that scores them."""
    rows, columns = weight_shape
    tied = nn.ModuleDict(
        {
            "embedding": nn.Embedding(rows, columns, dtype=draw.dtype),
            "head": nn.Linear(columns, rows, bias=False, dtype=draw.dtype),
        }
    )
    tied["head"].weight = tied["embedding"].weight
    weight = draw.normal(rows, columns)
    set_values(dict(tied.named_parameters()), {"embedding.weight": weight})
    # A repeated index, so that its row gets two gradients from the table.
    indices, labels = torch.tensor([0, 3, 3, 5]), draw.labels(4, rows)
    vectors = tied["embedding"](indices)
    outputs = tied["head"](vectors)
    loss = functional.cross_entropy(outputs, labels)
    out = {"weight": weight, "indices": indices, "labels": labels}
    out |= copies({"vectors": vectors, "output": outputs})
    more, facts = stepped(tied, tied["embedding"].weight, loss, lr, {})
    return out | more, facts | {"loss_note": "cross_entropy, mean"}
