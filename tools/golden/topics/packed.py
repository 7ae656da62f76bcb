"""Recurrent layers and attention, whose gates and projections PyTorch keeps in one tensor."""

import torch
from torch import nn

from .common import Topic

LAYERS = {
    "lstm": lambda options: nn.LSTM(4, 3, batch_first=True, **options),
    "gru": lambda options: nn.GRU(4, 3, batch_first=True, **options),
    "rnn": lambda options: nn.RNN(4, 3, batch_first=True, **options),
    "attention": lambda options: nn.MultiheadAttention(6, 2, batch_first=True, **options),
}


def build() -> Topic:
    topic = Topic("packed")
    for layer in ["lstm", "gru", "rnn"]:
        topic.add(layer, run, layer=layer)
        topic.add(f"{layer}_both_ways", run, layer=layer, bidirectional=True)
    topic.add("lstm_no_bias", run, layer="lstm", bias=False)
    topic.add("attention", run, layer="attention")
    topic.add("attention_no_bias", run, layer="attention", bias=False)
    return topic


def run(draw, layer, **options):
    module = LAYERS[layer](options).to(draw.dtype)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(draw.normal(*parameter.shape, scale=0.5))
    module.eval()
    if layer == "attention":
        x = draw.normal(2, 5, 6)
        output, _ = module(x, x, x)
    else:
        x = draw.normal(2, 5, 4)
        output, _ = module(x)
    state = {f"state.{name}": tensor for name, tensor in module.state_dict().items()}
    return state | {"input": x, "output": output}, {"state_dict": list(module.state_dict())}
