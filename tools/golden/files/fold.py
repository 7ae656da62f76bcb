"""Networks that are parametrized, pruned and adapted, and the weights that their layers compute.

Writes into `crates/files/tests/data/fold`: `torch_f32.pt` and `torch_f64.pt` by PyTorch, `tied.pt`, and `lora/`, `dora/`,
`rslora/` by PEFT: the base, the adapter as `save_pretrained` writes it, and the whole state. Beside each, in
`*.folded.safetensors`, is what is to come of it.
"""

import json
import pathlib
import shutil
import warnings

import torch
from torch import nn
from torch.nn.utils import parametrizations as par
from torch.nn.utils import prune
from torch.nn.utils import spectral_norm as old_spectral_norm
from torch.nn.utils import weight_norm as old_weight_norm
from safetensors.torch import save_file

DATA = pathlib.Path(__file__).resolve().parents[3] / "crates/files/tests/data/fold"
warnings.simplefilter("ignore")


class Batch(nn.Module):
    """A weight of several matrices."""

    def __init__(self, *shape):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(*shape))


def orthogonal(layer, how, base):
    return par.orthogonal(layer, "weight", how, use_trivialization=base)


def network():
    """One layer of each kind. In a name, `told_cayley` is a map that the file does not tell."""
    net = nn.ModuleDict()
    net["plain"] = nn.Linear(3, 2)
    net["wn_old"] = old_weight_norm(nn.Linear(5, 4))
    net["wn_old_conv"] = old_weight_norm(nn.Conv2d(3, 4, 2), dim=1)
    net["wn_old_whole"] = old_weight_norm(nn.Linear(5, 4), dim=None)
    net["wn_bias"] = old_weight_norm(nn.Linear(3, 4), name="bias")
    net["wn"] = par.weight_norm(nn.Linear(5, 4))
    net["wn_dim1"] = par.weight_norm(nn.Linear(4, 4), dim=1)
    net["wn_whole"] = par.weight_norm(nn.Conv1d(3, 4, 2), dim=None)
    net["sn_old"] = old_spectral_norm(nn.Linear(5, 4))
    net["sn_old_turned"] = old_spectral_norm(nn.ConvTranspose2d(3, 5, 2))
    net["sn"] = par.spectral_norm(nn.Linear(5, 4))
    net["sn_square"] = par.spectral_norm(nn.Linear(4, 4))
    net["sn_conv"] = par.spectral_norm(nn.Conv2d(3, 4, 2))
    net["sn_turned"] = par.spectral_norm(nn.ConvTranspose1d(3, 5, 2))
    net["exp"] = orthogonal(nn.Linear(5, 5, bias=False), "matrix_exp", True)
    net["exp_batch"] = orthogonal(Batch(2, 3, 3), "matrix_exp", True)
    for base in (True, False):
        for how in ("matrix_exp", "cayley", "householder"):
            for kind, (columns, rows) in {"square": (4, 4), "tall": (3, 6), "wide": (6, 3)}.items():
                is_told = how == "householder" and not base
                name = f"{'' if is_told else 'told_'}{how}_{kind}{'_base' if base else ''}"
                net[name] = orthogonal(nn.Linear(columns, rows, bias=False), how, base)
    net["householder_batch"] = orthogonal(Batch(2, 2, 5, 3), "householder", False)
    net["told_cayley_batch"] = orthogonal(Batch(3, 2, 4), "cayley", True)
    net["pruned"] = nn.Linear(6, 4)
    prune.l1_unstructured(net["pruned"], "weight", 0.5)
    prune.random_unstructured(net["pruned"], "bias", 0.5)
    net["wn_pruned"] = old_weight_norm(nn.Linear(5, 4))
    prune.l1_unstructured(net["wn_pruned"], "weight_v", 0.4)
    net["pruned_exp"] = nn.Linear(4, 4)
    prune.l1_unstructured(net["pruned_exp"], "weight", 0.5)
    par.orthogonal(net["pruned_exp"], "weight_orig", "matrix_exp")
    net["exp_sn"] = par.spectral_norm(orthogonal(nn.Linear(4, 4), "matrix_exp", True))
    net["wn_sn"] = par.spectral_norm(par.weight_norm(nn.Linear(5, 4)))
    net["nested"] = par.weight_norm(nn.Linear(5, 4))
    par.spectral_norm(net["nested"].parametrizations.weight, "original1")
    net["norm"] = nn.BatchNorm1d(4)
    return net


def move(net):
    """Every parameter elsewhere, but for diagonals that tell signs."""
    with torch.no_grad():
        for name, value in net.named_parameters():
            step = 0.3 * torch.randn(value.shape, dtype=torch.float64).to(value.dtype)
            if "householder" in name and value.dim() > 1:
                step = step.tril(-1) if value.shape[-2] >= value.shape[-1] else step.triu(1)
            value.add_(step)


def value(layer, name):
    """What a layer computes; hooks of the old kinds do it when they are called.

    Twice, for the first may use what the second makes: the direction of a weight norm that is pruned.
    """
    for _ in range(2):
        for hook in layer._forward_pre_hooks.values():
            hook(layer, ())
    return getattr(layer, name)


def folded(net):
    out = {}
    for key, layer in net.items():
        for name in ("weight", "bias"):
            if getattr(layer, name, None) is not None:
                out[f"{key}.{name}"] = value(layer, name).detach().clone().contiguous()
        for name, buffer in layer.named_buffers(recurse=False):
            if name.startswith(("running_", "num_")):
                out[f"{key}.{name}"] = buffer.clone()
    return out


def torch_files():
    for kind, dtype in {"f32": torch.float32, "f64": torch.float64}.items():
        torch.manual_seed(7)
        torch.set_default_dtype(dtype)
        net = network()
        move(net)
        net.eval()
        torch.save(net.state_dict(), DATA / f"torch_{kind}.pt")
        save_file(folded(net), DATA / f"torch_{kind}.folded.safetensors")
    torch.set_default_dtype(torch.float32)
    layer = par.weight_norm(nn.Linear(3, 2))
    net = nn.ModuleDict({"a": layer, "b": layer})
    move(net)
    torch.save(net.state_dict(), DATA / "tied.pt")
    save_file(folded(net), DATA / "tied.folded.safetensors")


def peft_files():
    from peft import LoraConfig, get_peft_model
    from transformers.pytorch_utils import Conv1D

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(7, 6)
            self.q = nn.Linear(6, 5)
            self.block = nn.ModuleDict({"v": nn.Linear(6, 6), "conv": nn.Conv2d(3, 4, 3)})
            self.head = nn.Linear(6, 2)

    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.c_attn = Conv1D(5, 6)
            self.c_proj = Conv1D(6, 6)

    all_of_it = ["embed", "q", "v", "conv"]
    cases = {
        "lora": (Net, dict(r=2, lora_alpha=6, target_modules=all_of_it, modules_to_save=["head"],
                           rank_pattern={"v": 3}, alpha_pattern={"block.v": 5})),
        "lora_bias": (Net, dict(r=2, lora_alpha=3, target_modules=["q"], lora_bias=True)),
        "rslora": (Net, dict(r=4, lora_alpha=6, target_modules=["q", "v"], use_rslora=True, bias="lora_only")),
        "dora": (Net, dict(r=2, lora_alpha=4, target_modules=all_of_it, use_dora=True)),
        "turned": (Turned, dict(r=2, lora_alpha=4, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True)),
        "turned_dora": (Turned, dict(r=2, lora_alpha=4, target_modules=["c_attn", "c_proj"],
                                     fan_in_fan_out=True, use_dora=True)),
    }
    for name, (make, options) in cases.items():
        folder = DATA / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        torch.manual_seed(11)
        base = make()
        save_file({key: value.clone().contiguous() for key, value in base.state_dict().items()},
                  folder / "base.safetensors")
        net = get_peft_model(base, LoraConfig(**options))
        with torch.no_grad():
            for parameter in net.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.3 * torch.randn(parameter.shape))
        net.eval()
        net.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        # Sets are saved in any order.
        config = json.loads((folder / "adapter_config.json").read_text())
        config["target_modules"].sort()
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
        torch.save(net.state_dict(), folder / "whole.pt")
        merged = net.merge_and_unload()
        save_file({key: value.clone().contiguous() for key, value in merged.state_dict().items()},
                  folder / "merged.folded.safetensors")


if __name__ == "__main__":
    DATA.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch_files()
    peft_files()
