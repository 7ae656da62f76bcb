"""What every topic shares: named cases, fixed random numbers, modules with set weights."""

import zlib

import torch
from torch import nn

DTYPES = {"f32": torch.float32, "f64": torch.float64}


class Draw:
    """Random numbers of one case, drawn in float64 and then rounded.

    So both dtypes of a case start from the same numbers. The seed comes from the
    case's name: a new case leaves the others as they were.
    """

    def __init__(self, label: str, dtype: torch.dtype):
        seed = zlib.crc32(label.encode())
        self.dtype = dtype
        self.generator = torch.Generator().manual_seed(seed)
        # PyTorch's own draws (the completion of a tall base) use the global generator.
        torch.manual_seed(seed)

    def normal(self, *shape: int, scale: float = 1.0) -> torch.Tensor:
        numbers = torch.randn(shape, generator=self.generator, dtype=torch.float64)
        return (scale * numbers).to(self.dtype)

    def symmetric(self, *shape: int) -> torch.Tensor:
        numbers = self.normal(*shape)
        return (numbers + numbers.mT) / 2

    def orthogonal(self, *shape: int) -> torch.Tensor:
        numbers = torch.randn(shape, generator=self.generator, dtype=torch.float64)
        return torch.linalg.qr(numbers).Q.to(self.dtype)

    def labels(self, count: int, classes: int) -> torch.Tensor:
        return torch.randint(classes, (count,), generator=self.generator)


class Topic:
    """The cases of one file: tensors under `<case>.<dtype>.<what>` and a note on each case."""

    def __init__(self, name: str):
        self.name = name
        self.tensors: dict[str, torch.Tensor] = {}
        self.cases: dict[str, dict] = {}

    def add(self, case: str, build, **options) -> None:
        """Run `build(draw, **options)` for each dtype.

        It returns the tensors by name and the facts that go beside the options.
        """
        if case in self.cases:
            raise ValueError(f"{self.name}: the case {case} is there twice")
        notes = []
        for tag, dtype in DTYPES.items():
            tensors, facts = build(Draw(f"{self.name}/{case}", dtype), **options)
            for what, tensor in tensors.items():
                copy = tensor.detach().clone(memory_format=torch.contiguous_format)
                self.tensors[f"{case}.{tag}.{what}"] = copy
            if options.keys() & facts.keys():
                raise ValueError(f"{self.name}: {case} has a fact named as an option")
            notes.append({**options, **facts})
        if notes[0] != notes[1]:
            raise ValueError(f"{self.name}: {case} differs between the dtypes: {notes}")
        self.cases[case] = notes[0]


class Holder(nn.Module):
    """A module with one free parameter `weight`, for stacks of matrices."""

    def __init__(self, weight: torch.Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight.clone())


class Symmetric(nn.Module):
    """The symmetric rule of PyTorch's tutorial on parametrizations; PyTorch ships none."""

    def forward(self, X):
        return X.triu() + X.triu(1).mT

    def right_inverse(self, A):
        return A.triu()


def module_with(kind: str, weight: torch.Tensor) -> nn.Module:
    """`linear`, a convolution or `holder`, without bias, holding a copy of `weight`."""
    if kind == "holder":
        return Holder(weight)
    if kind == "linear":
        module = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=weight.dtype)
    elif kind == "conv2d":
        outputs, inputs, *window = weight.shape
        module = nn.Conv2d(inputs, outputs, tuple(window), bias=False, dtype=weight.dtype)
    elif kind == "conv_transpose2d":
        inputs, outputs, *window = weight.shape
        module = nn.ConvTranspose2d(
            inputs, outputs, tuple(window), bias=False, dtype=weight.dtype
        )
    else:
        raise ValueError(f"unknown module {kind}")
    with torch.no_grad():
        module.weight.copy_(weight)
    return module


def originals(module: nn.Module) -> dict[str, nn.Parameter]:
    """The stored tensors behind `weight`: `original`, or `original0`, `original1` and on."""
    return dict(module.parametrizations.weight.named_parameters(recurse=False))


def buffers(module: nn.Module) -> dict[str, torch.Tensor]:
    """The buffers of the rules on `weight`: `0.base`, `0._u`, and on."""
    return dict(module.parametrizations.weight.named_buffers())


def copies(tensors: dict[str, torch.Tensor], prefix: str = "") -> dict[str, torch.Tensor]:
    """Copies under `prefix`, for PyTorch may go on writing to the tensors themselves."""
    return {prefix + name: tensor.detach().clone() for name, tensor in tensors.items()}


def set_values(parameters: dict[str, nn.Parameter], values: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, value in values.items():
            parameters[name].copy_(value)


def backward(module: nn.Module, grad_value: torch.Tensor) -> dict[str, torch.Tensor]:
    """The effective weight, and the gradient that `grad_value` on it gives each original."""
    module.zero_grad()
    value = module.weight
    value.backward(grad_value)
    grads = {f"grad_{name}": tensor.grad for name, tensor in originals(module).items()}
    return copies({"value": value, "grad_value": grad_value, **grads})


def assign(module: nn.Module, value: torch.Tensor, name: str = "assigned") -> dict:
    """`module.weight = value`, then the originals and the effective weight."""
    module.weight = value.clone()
    state = copies({name: value, **copies(originals(module), f"{name}_")})
    return state | copies({f"{name}_value": module.weight})


def raised(action) -> dict[str, str]:
    """The type and message of the error that `action` must raise."""
    try:
        action()
    except Exception as error:  # any type: the type is what is recorded
        return {"error": type(error).__name__, "message": str(error)}
    raise AssertionError("PyTorch was expected to raise an error here")
