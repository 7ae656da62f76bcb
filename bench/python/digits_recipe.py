"""The training of recipes/digits.toml in PyTorch, on the CPU.

    python bench/python/digits_recipe.py [--out model.pt] [--threads 1] [--seed 0] [--cached] [--no-fused] [--contiguous]

The same network, initial values, weight norm, orthogonal layer, optimizer groups, schedule, shifts and rounds of
pruning; a test after each epoch; the folded network is saved. It prints the accuracies, the seconds of the training
loop, which are what `seconds` in a run's summary.json is about, and those since the interpreter began to import.

The defaults are what was fastest on two cores that others used too: images with their channels last, a fused optimizer, one
thread. On idle cores two threads are worth a try.
"""

import time

BEGAN = time.perf_counter()

import argparse
import contextlib
import gzip
import struct
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize, prune

DATA = Path(__file__).resolve().parents[2] / "crates/data/data/digits.bin.gz"
EPOCHS, BATCH = 36, 32
# Before which epoch a round is, and how much of the whole network is zero after it.
ROUNDS = {16: 0.4, 20: 0.65, 24: 0.8}


def digits(test_fraction=0.2):
    """Images in 0 to 1 and labels, split by class."""
    content = gzip.decompress(DATA.read_bytes())
    assert content[:8] == b"ESPDIGIT"
    count, rows, columns = struct.unpack("<3I", content[8:20])
    pixels = torch.frombuffer(bytearray(content[20:]), dtype=torch.uint8)
    size = count * rows * columns
    images = pixels[:size].reshape(count, 1, rows, columns).float() / 16
    labels = pixels[size:].long()
    own = torch.Generator().manual_seed(0)
    train, test = [], []
    for label in range(10):
        places = (labels == label).nonzero().flatten()
        places = places[torch.randperm(len(places), generator=own)]
        held = round(test_fraction * len(places))
        test.append(places[:held])
        train.append(places[held:])
    train, test = torch.cat(train), torch.cat(test)
    return (images[train], labels[train]), (images[test], labels[test])


def shifted(images, by=1):
    """Each image moved by up to `by` pixels along each axis."""
    count, _, height, width = images.shape
    windows = F.pad(images, (by, by, by, by)).unfold(2, height, 1).unfold(3, width, 1)
    down, right = torch.randint(2 * by + 1, (2, count))
    return windows[torch.arange(count), :, down, right]


def network():
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(1024, 64),
        nn.ReLU(),
        nn.Linear(64, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    for layer in net:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    nn.init.orthogonal_(net[10].weight)
    nn.init.xavier_uniform_(net[12].weight)
    parametrizations.weight_norm(net[8], dim=0)
    parametrizations.orthogonal(net[10], orthogonal_map="cayley")
    return net


class Mask(nn.Module):
    """What `prune` does, for a weight that a parametrization gives: `prune` itself takes plain parameters only."""

    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight):
        return weight * self.mask

    def right_inverse(self, weight):
        return weight


def prune_globally(net, count):
    """`global_unstructured` of the convolutions, the normed layer and the classifier: `count` zeros in all."""
    layers = [net[0], net[3], net[8], net[12]]
    with torch.no_grad():
        # What is masked is 0, so it is among the smallest again.
        sizes = torch.cat([layer.weight.abs().flatten() for layer in layers])
    kept = torch.ones_like(sizes)
    kept[sizes.topk(count, largest=False).indices] = 0
    for layer, own in zip(layers, kept.split([layer.weight.numel() for layer in layers])):
        own = own.reshape(layer.weight.shape)
        if parametrize.is_parametrized(layer):
            rules = layer.parametrizations.weight
            if isinstance(rules[-1], Mask):
                rules[-1].mask.copy_(own)
            else:
                parametrize.register_parametrization(layer, "weight", Mask(own))
        else:
            prune.custom_from_mask(layer, "weight", own)


def weights(net):
    return [layer.weight for layer in net if isinstance(layer, (nn.Conv2d, nn.Linear))]


def sparsity(net):
    return sum((w == 0).sum().item() for w in weights(net)) / sum(w.numel() for w in weights(net))


def accuracy(net, images, labels):
    net.eval()
    with torch.inference_mode():
        output = net(images)
        loss = F.cross_entropy(output, labels).item()
        right = (output.argmax(1) == labels).float().mean().item()
    net.train()
    return right, loss


def train(options):
    torch.manual_seed(options.seed)
    (images, labels), test = digits()
    net = network()
    if not options.contiguous:
        net = net.to(memory_format=torch.channels_last)
    decaying = [p for i in (0, 3, 8, 12) for name, p in net[i].named_parameters() if name != "bias"]
    known = {id(p) for p in decaying}
    rest = [p for p in net.parameters() if id(p) not in known]
    optimizer = torch.optim.AdamW(
        [{"params": decaying, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}],
        lr=2e-3,
        fused=not options.no_fused,
    )
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [12, 28], gamma=0.2)
    total = sum(w.numel() for w in weights(net))
    cached = parametrize.cached if options.cached else contextlib.nullcontext
    before = None
    begin = time.perf_counter()
    for epoch in range(EPOCHS):
        if epoch in ROUNDS:
            if before is None:
                before, _ = accuracy(net, *test)
            prune_globally(net, round(ROUNDS[epoch] * total))
        order = torch.randperm(len(images))
        moved, named = shifted(images)[order], labels[order]
        if not options.contiguous:
            moved = moved.to(memory_format=torch.channels_last)
        loss_sum, right = torch.zeros(()), torch.zeros((), dtype=torch.long)
        for x, y in zip(moved.split(BATCH), named.split(BATCH)):
            with cached():
                output = net(x)
                loss = F.cross_entropy(output, y)
                optimizer.zero_grad()
                loss.backward()
            optimizer.step()
            loss_sum += loss.detach() * len(y)
            right += (output.argmax(1) == y).sum()
        schedule.step()
        found, test_loss = accuracy(net, *test)
        if options.verbose:
            print(
                f"epoch {epoch + 1:2}  loss {loss_sum.item() / len(images):.4f}  training {right.item() / len(images):.4f}"
                f"  test {found:.4f} {test_loss:.4f}  sparsity {sparsity(net):.4f}"
            )
    after, _ = accuracy(net, *test)
    seconds = time.perf_counter() - begin
    for layer in net:
        if parametrize.is_parametrized(layer):
            parametrize.remove_parametrizations(layer, "weight")
        elif prune.is_pruned(layer):
            prune.remove(layer, "weight")
    torch.save(net.state_dict(), options.out)
    return before, after, sparsity(net), seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="digits.pt")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cached", action="store_true", help="parametrize.cached around each step")
    parser.add_argument("--no-fused", action="store_true")
    parser.add_argument("--contiguous", action="store_true", help="channels before rows and columns")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    before, after, zeros, seconds = train(options)
    print(f"accuracy {before:.4f} before pruning, {after:.4f} after; sparsity {zeros:.4f}")
    print(f"seconds {seconds:.2f} training, {time.perf_counter() - BEGAN:.2f} in all")


if __name__ == "__main__":
    main()
