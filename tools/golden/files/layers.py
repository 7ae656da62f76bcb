"""What PyTorch's layers give and hold: output shapes, parameters, buffers, multiply-accumulates.

    python tools/golden/files/layers.py    # writes crates/network/tests/data/layers.json

Each case has the layer as a recipe writes it. Shapes are those of one example. Multiply-accumulates
are half of what `torch.utils.flop_counter` counts, for the layers that it knows.
"""

import json
import pathlib

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

OUT = pathlib.Path(__file__).resolve().parents[3] / "crates/network/tests/data/layers.json"


def last(module):
    """The states after the last step, of both directions."""

    def call(x):
        state = module(x)[1]
        state = state[0] if isinstance(state, tuple) else state
        return state.transpose(0, 1).flatten(1)

    return module, call


def attend(module, **options):
    def call(query, key=None, value=None):
        key = query if key is None else key
        return module(query, key, key if value is None else value, need_weights=False, **options)[0]

    return module, call


def parameter(shape, call):
    module = nn.Module()
    module.weight = nn.Parameter(torch.ones(shape))
    return module, lambda *x: call(module.weight, *x)


def cases():
    image, tall, signal, sequence, flat = [6, 9, 8], [4, 13, 5], [6, 17], [7, 12], [10]
    simple = [
        ("linear", "features = 3", nn.Linear(10, 3), flat),
        ("linear", "features = 3\nbias = false", nn.Linear(12, 3, bias=False), sequence),
        ("linear", "features = 5", nn.Linear(8, 5), image),
        ("conv1d", "channels = 4\nkernel = 3", nn.Conv1d(6, 4, 3), signal),
        ("conv1d", "channels = 9\nkernel = 4\nstride = 3\npadding = 2\ndilation = 2\ngroups = 3\nbias = false",
         nn.Conv1d(6, 9, 4, 3, 2, 2, 3, bias=False), signal),
        ("conv2d", "channels = 4\nkernel = 3", nn.Conv2d(6, 4, 3), image),
        ("conv2d", "channels = 8\nkernel = [3, 2]\nstride = [2, 1]\npadding = [1, 0]\ndilation = [1, 2]\ngroups = 2",
         nn.Conv2d(6, 8, (3, 2), (2, 1), (1, 0), (1, 2), 2), image),
        ("conv2d", "channels = 6\nkernel = 3\npadding = 1\ngroups = 6\nbias = false",
         nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False), image),
        ("conv_transpose1d", "channels = 4\nkernel = 3", nn.ConvTranspose1d(6, 4, 3), signal),
        ("conv_transpose1d", "channels = 4\nkernel = 5\nstride = 3\npadding = 2\noutput_padding = 1\ndilation = 2\ngroups = 2",
         nn.ConvTranspose1d(6, 4, 5, 3, 2, 1, 2, dilation=2), signal),
        ("conv_transpose2d", "channels = 4\nkernel = 2\nstride = 2", nn.ConvTranspose2d(6, 4, 2, 2), image),
        ("conv_transpose2d",
         "channels = 9\nkernel = [3, 4]\nstride = [2, 3]\npadding = [1, 2]\noutput_padding = [1, 0]\ndilation = [2, 1]\ngroups = 3\nbias = false",
         nn.ConvTranspose2d(6, 9, (3, 4), (2, 3), (1, 2), (1, 0), 3, False, (2, 1)), image),
        ("max_pool1d", "kernel = 3", nn.MaxPool1d(3), signal),
        ("max_pool1d", "kernel = 4\nstride = 3\npadding = 2", nn.MaxPool1d(4, 3, 2), signal),
        ("max_pool2d", "kernel = 2", nn.MaxPool2d(2), image),
        ("max_pool2d", "kernel = [3, 2]\nstride = [2, 3]\npadding = [1, 1]", nn.MaxPool2d((3, 2), (2, 3), 1), tall),
        ("max_pool2d", "kernel = 2\nstride = 1\noverhang = 1",
         nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.MaxPool2d(2, 1)), image),
        ("avg_pool1d", "kernel = 3\nstride = 2\npadding = 1", nn.AvgPool1d(3, 2, 1), signal),
        ("avg_pool2d", "kernel = [2, 3]\npadding = [1, 1]", nn.AvgPool2d((2, 3), padding=1), tall),
        ("adaptive_avg_pool1d", "output = 5", nn.AdaptiveAvgPool1d(5), signal),
        ("adaptive_avg_pool2d", "output = [2, 3]", nn.AdaptiveAvgPool2d((2, 3)), image),
        ("batch_norm", "", nn.BatchNorm1d(10), flat),
        ("batch_norm", "", nn.BatchNorm1d(6), signal),
        ("batch_norm", "momentum = 0.2", nn.BatchNorm2d(6), image),
        ("layer_norm", "", nn.LayerNorm(12), sequence),
        ("group_norm", "groups = 3", nn.GroupNorm(3, 6), image),
        ("instance_norm", "", nn.InstanceNorm1d(6), signal),
        ("instance_norm", "affine = true", nn.InstanceNorm2d(6, affine=True), image),
        ("rms_norm", "", nn.RMSNorm(12), sequence),
        ("dropout", "probability = 0.5", nn.Dropout(0.5), image),
        ("relu", "", nn.ReLU(), flat),
        ("leaky_relu", "slope = 0.2", nn.LeakyReLU(0.2), flat),
        ("gelu", "", nn.GELU(), flat),
        ("sigmoid", "", nn.Sigmoid(), flat),
        ("tanh", "", nn.Tanh(), flat),
        ("silu", "", nn.SiLU(), flat),
        ("mish", "", nn.Mish(), flat),
        ("elu", "alpha = 0.5", nn.ELU(0.5), flat),
        ("selu", "", nn.SELU(), flat),
        ("softplus", "beta = 2", nn.Softplus(2), flat),
        ("hard_swish", "", nn.Hardswish(), flat),
        ("prelu", "", nn.PReLU(), image),
        ("prelu", "per = 'channel'", nn.PReLU(6), image),
        ("softmax", "", nn.Softmax(-1), sequence),
        ("log_softmax", "dim = 0", nn.LogSoftmax(1), image),
        ("flatten", "", nn.Flatten(), image),
        ("reshape", "shape = [3, -1, 4]", nn.Unflatten(1, (3, 1, 4)), [12]),
        ("reshape", "shape = [-1]", nn.Flatten(), image),
        ("upsample", "scale = [2, 3]", nn.Upsample(scale_factor=(2, 3)), image),
        ("upsample", "size = 5\nmode = 'bilinear'", nn.Upsample(5, mode="bilinear"), image),
        ("pad", "sides = 2", nn.ZeroPad2d(2), image),
        ("pad", "sides = 1\nvalue = 0.5", nn.ConstantPad1d(1, 0.5), signal),
        ("pad", "sides = [1, 2, 3, 4]", nn.ZeroPad2d((1, 2, 3, 4)), image),
        ("pad", "sides = [1, 2]", nn.ConstantPad1d((1, 2), 0.0), signal),
        ("identity", "", nn.Identity(), image),
    ]
    for kind, options, module, *inputs in simple:
        yield kind, options, module, module, inputs
    recurrent = [
        ("rnn", "features = 5\nnonlinearity = 'relu'", nn.RNN(12, 5, nonlinearity="relu", batch_first=True)),
        ("lstm", "features = 5", nn.LSTM(12, 5, batch_first=True)),
        ("lstm", "features = 4\nbidirectional = true", nn.LSTM(12, 4, batch_first=True, bidirectional=True)),
        ("gru", "features = 5\nbias = false", nn.GRU(12, 5, batch_first=True, bias=False)),
    ]
    for kind, options, module in recurrent:
        yield kind, options, module, lambda x, module=module: module(x)[0], [sequence]
        yield kind, options + "\noutput = 'last'", *last(module), [sequence]
    attention = lambda heads, **options: nn.MultiheadAttention(12, heads, batch_first=True, **options)
    mask = nn.Transformer.generate_square_subsequent_mask(7)
    yield "attention", "heads = 3", *attend(attention(3)), [sequence]
    yield "attention", "heads = 2\ncausal = true\nbias = false", *attend(
        attention(2, bias=False), attn_mask=mask, is_causal=True), [sequence]
    yield "attention", "heads = 2", *attend(attention(2)), [sequence, [5, 12]]
    yield "attention", "heads = 4", *attend(attention(4, kdim=6, vdim=8)), [sequence, [5, 6], [5, 8]]
    yield "attention", "heads = 4\nbias = false", *attend(
        attention(4, kdim=6, vdim=6, bias=False)), [sequence, [5, 6]]
    yield "embedding", "features = 6", nn.Embedding(11, 6), None, [{"tokens": 11, "length": 7}]
    yield "embedding", "features = 6\nvocabulary = 20", nn.Embedding(20, 6), None, [{"tokens": 11, "length": 7}]
    yield "positions", "", *parameter((7, 12), lambda w, x: x + w), [sequence]
    yield "scale", "", *parameter((6, 72), lambda w, x: x * w.view(6, 9, 8)), [image]
    yield "scale", "per = 'channel'", *parameter((6, 1), lambda w, x: x * w[:, :, None]), [image]
    none = nn.Identity()
    yield "global_avg_pool", "", none, lambda x: x.mean((2, 3)), [image]
    yield "global_avg_pool", "", none, lambda x: x.mean(2), [signal]
    yield "global_max_pool", "", none, lambda x: x.amax((2, 3)), [image]
    yield "transpose", "", none, lambda x: x.transpose(1, 2), [signal]
    yield "transpose", "dims = [0, -1]", none, lambda x: x.transpose(1, -1), [image]
    yield "shortcut", "", none, lambda *x: sum(x), [image, image, image]
    yield "shortcut", "activation = 'relu'", none, lambda x, y: torch.relu(x + y), [flat, flat]
    yield "mul", "", none, lambda x, y: x * y, [image, image]
    yield "mul", "", none, lambda x, y: x * y[:, :, None, None], [image, [6]]
    yield "mul", "", none, lambda x, y: x * y, [image, [1, 9, 8]]
    yield "route", "", none, lambda *x: torch.cat(x, 1), [image, [2, 9, 8], [1, 9, 8]]
    yield "route", "dim = -1", none, lambda *x: torch.cat(x, -1), [sequence, [7, 3]]
    yield "route", "groups = 3\ngroup = 1", none, lambda x: x.chunk(3, 1)[1], [image]
    yield "route", "groups = 2\ngroup = 1", none, lambda x, y: torch.cat([x.chunk(2, 1)[1], y.chunk(2, 1)[1]], 1), [
        image, [4, 9, 8]]


def tensor(of):
    if isinstance(of, dict):
        return torch.zeros(2, of["length"], dtype=torch.long)
    return torch.rand(2, *of)


def described(kind, options, module, call, inputs):
    call = call or module
    module.train()
    with FlopCounterMode(display=False) as counter:
        output = call(*map(tensor, inputs))
    shapes = lambda tensors: [[name, list(t.shape)] for name, t in tensors]
    # What counts batches is no value that a layer computes with.
    buffers = [(name, t) for name, t in module.named_buffers() if name != "num_batches_tracked"]
    flops = counter.get_total_flops()
    return {
        "type": kind,
        "options": options,
        "inputs": inputs,
        "output": list(output.shape[1:]),
        "parameters": shapes(module.named_parameters()),
        "buffers": shapes(buffers),
        # Two operations each, for a batch of two.
        "macs": flops // 4 if flops else None,
    }


def main():
    torch.manual_seed(0)
    found = [described(*case) for case in cases()]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(case) for case in found)
    OUT.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
