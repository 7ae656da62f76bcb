#!/usr/bin/env python3
"""LoRA adapters saved by the PEFT library, and what its model computes with them.

    pip install torch peft safetensors
    python tools/golden/files/peft_files.py                      # write crates/espalier/tests/golden/peft
    python tools/golden/files/peft_files.py --check-written DIR  # have PEFT load an adapter that Espalier wrote

`base.safetensors` is the network without adapters, `case.safetensors` an input and what each adapter
makes of it; `plain`, `patterns` and `rslora` are what `save_pretrained` wrote, `whole.safetensors` the
state dict of the whole model with the adapter `plain` in it.
"""

import argparse
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn

OUTPUT = Path(__file__).resolve().parents[3] / "crates/espalier/tests/golden/peft"
TARGETS = ["emb", "conv", "block.fc", "head"]
CONFIGS = {
    "plain": {"r": 2, "lora_alpha": 4, "target_modules": TARGETS},
    "patterns": {
        "r": 2,
        "lora_alpha": 4,
        "target_modules": TARGETS,
        "rank_pattern": {"head": 3, "fc": 1},
        "alpha_pattern": {"emb": 1.5},
        "bias": "lora_only",
    },
    "rslora": {"r": 2, "lora_alpha": 4, "target_modules": ["fc"], "use_rslora": True},
}


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 5)


class Net(nn.Module):
    """Token numbers [batch, 8] to [batch, 4], through each kind of layer that has adapters."""

    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(7, 6)
        self.conv = nn.Conv2d(1, 3, (3, 2), padding=0)
        self.block = Block()
        self.head = nn.Linear(5, 4)

    def forward(self, tokens):
        x = self.emb(tokens)
        image = self.conv(x[:, None])
        x = x + image.mean((1, 2, 3))[:, None, None]
        return self.head(torch.tanh(self.block.fc(x)).mean(1))


def base():
    torch.manual_seed(7)
    return Net()


def adapted(name):
    model = get_peft_model(base(), LoraConfig(**CONFIGS[name]))
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "lora_" in key or (name == "patterns" and key.endswith("bias")):
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return model.eval()


def make():
    OUTPUT.mkdir(parents=True, exist_ok=True)
    save_file(base().state_dict(), OUTPUT / "base.safetensors")
    tokens = torch.randint(7, (3, 8), generator=torch.Generator().manual_seed(3))
    found = {"tokens": tokens, "base": base().eval()(tokens)}
    for name in CONFIGS:
        model = adapted(name)
        found[name] = model(tokens)
        model.save_pretrained(OUTPUT / name)
        (OUTPUT / name / "README.md").unlink(missing_ok=True)
        if name == "plain":
            save_file(model.state_dict(), OUTPUT / "whole.safetensors")
    save_file({name: value.detach().contiguous() for name, value in found.items()}, OUTPUT / "case.safetensors")


def check_written(folder):
    case = load_file(OUTPUT / "case.safetensors")
    for name in CONFIGS:
        model = PeftModel.from_pretrained(base(), folder / name).eval()
        if name == "patterns":
            # Espalier's adapters are without the biases, which are the network's.
            biases = {k: v for k, v in load_file(OUTPUT / name / "adapter_model.safetensors").items() if k.endswith("bias")}
            from peft import set_peft_model_state_dict

            set_peft_model_state_dict(model, load_file(folder / name / "adapter_model.safetensors") | biases)
        torch.testing.assert_close(model(case["tokens"]), case[name])
        print(f"{name}: PEFT computes the same with what Espalier wrote")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make or check PEFT's files.")
    parser.add_argument("--check-written", type=Path)
    args = parser.parse_args()
    check_written(args.check_written) if args.check_written else make()
