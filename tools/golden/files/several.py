"""Training checkpoints as PyTorch saves them, with more in them than one state dict.

Writes `crates/cli/tests/data/several/two_models.pt`, of two models beside an optimizer, and `one_model.pt`, of one
under a name that is not among the usual ones.
"""

import pathlib

import torch

OUTPUT = pathlib.Path(__file__).parents[3] / "crates/cli/tests/data/several"


def trained(seed: int) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """A layer after a step, so that the optimizer has tensors of its own."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential()
    model.add_module("fc", torch.nn.Linear(2, 3))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return model, optimizer


def main() -> None:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    generator, optimizer = trained(1)
    critic, _ = trained(2)
    both = {
        "epoch": 3,
        "generator": generator.state_dict(),
        "critic": critic.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    torch.save(both, OUTPUT / "two_models.pt")
    one = {"generator": generator.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(one, OUTPUT / "one_model.pt")


if __name__ == "__main__":
    main()
