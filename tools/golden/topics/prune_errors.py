"""What each mistake in pruning raises, or does not, and the module's state after it.

Every case has the notes `call`, as Python writes it, `options`, the same in parts, `earlier`, the
calls before it, `error` and `message` (null where nothing was raised), and `before` and `after`,
the state around it: `is_pruned`, the state dict, the parameters, the methods, the kept counts.
The numbers are stored where nothing was raised; elsewhere they do not matter.
"""

import re

import torch
from torch import nn
from torch.nn.utils import prune

from .common import Topic
from .prune_calls import count, methods

SHAPE, CONV = [5, 6], [4, 3, 2, 2]
NAN = float("nan")


def told(action, method, **options):
    """The action, with what a test needs to make the same call."""
    if "amount" in options:
        amount = options["amount"]
        kinds = {bool: "bool", int: "int", float: "float", str: "text", type(None): "none"}
        options["amount_kind"] = kinds[type(amount)]
        # JSON has no such number.
        options["amount"] = "nan" if amount != amount else amount
    if "n" in options:
        options["n"] = None if options["n"] is None else str(options["n"])
    action.told = {"method": method, **options}
    return action


def l1(amount, name="weight"):
    return told(
        lambda layer, _: prune.l1_unstructured(layer, name, amount),
        "l1_unstructured",
        parameter=name,
        amount=amount,
    )


def ln(amount, n=2, dim=0, name="weight"):
    return told(
        lambda layer, _: prune.ln_structured(layer, name, amount, n, dim),
        "ln_structured",
        parameter=name,
        amount=amount,
        n=n,
        dim=dim,
    )


def random(amount, name="weight"):
    return told(
        lambda layer, _: prune.random_unstructured(layer, name, amount),
        "random_unstructured",
        parameter=name,
        amount=amount,
    )


def channels(amount, dim=0, name="weight"):
    return told(
        lambda layer, _: prune.random_structured(layer, name, amount, dim),
        "random_structured",
        parameter=name,
        amount=amount,
        dim=dim,
    )


def pooled(method=prune.L1Unstructured, scores=None, **options):
    def run(layer, draw):
        given = scores(layer, draw) if scores else None
        prune.global_unstructured([(layer, "weight")], method, given, **options)

    return told(run, "global_unstructured", pruning_method=method.__name__, **options)


def custom(*shape):
    return told(
        lambda layer, draw: prune.custom_from_mask(layer, "weight", ones(draw, *shape)),
        "custom_from_mask",
        parameter="weight",
        mask_shape=list(shape),
    )


def ones(draw, *shape):
    return torch.ones(shape, dtype=draw.dtype)


def of_shape(*shape):
    """Importance scores for the weight, in a dict as global pruning takes them."""
    return lambda layer, draw: {(layer, "weight"): draw.normal(*shape)}


def remove(name="weight"):
    return told(lambda layer, _: prune.remove(layer, name), "remove", parameter=name)


def scored(function, *shape, **options):
    def run(layer, draw):
        function(layer, "weight", importance_scores=draw.normal(*shape), **options)

    return told(
        run, function.__name__, parameter="weight", scores_shape=list(shape), **options
    )


def on_tensor(method, scores=None, mask=None):
    def run(layer, draw):
        method().prune(
            layer.weight.detach(),
            default_mask=ones(draw, *mask) if mask else None,
            importance_scores=draw.normal(*scores) if scores else None,
        )

    return run


def container(names, direct=False):
    def run(layer, _):
        made = [prune.L1Unstructured(0.5) for _ in names]
        for method, name in zip(made, names):
            if name is not None:
                method._tensor_name = name
        if direct:
            return prune.PruningContainer(*made)
        both = prune.PruningContainer(made[0])
        for method in made[1:]:
            both.add_pruning_method(method)

    return run


def add_text(layer, _):
    method = prune.L1Unstructured(0.5)
    method._tensor_name = "weight"
    prune.PruningContainer(method).add_pruning_method("l1")


def twice_global(layer, _):
    prune.global_unstructured([(layer, "weight")] * 2, prune.L1Unstructured, amount=0.5)


def generator_global(layer, _):
    pairs = ((layer, name) for name in ["weight"])
    prune.global_unstructured(pairs, prune.L1Unstructured, amount=0.5)


def given_global(parameters, scores=None):
    def run(layer, _):
        prune.global_unstructured(parameters, prune.L1Unstructured, scores, amount=0.5)

    return run


def mask_for_bias(layer, draw):
    prune.custom_from_mask(layer, "bias", ones(draw, *SHAPE))


def nothing(layer, _):
    pass


class Sideways(prune.BasePruningMethod):
    """A method of no kind that PyTorch knows."""

    PRUNING_TYPE = "diagonal"

    def compute_mask(self, t, default_mask):
        return default_mask


# Case, call as Python would write it, shape of the weight, calls before, the call itself.
TABLE = [
    # Amounts, for each method that takes one.
    *[
        (f"{method}_{what}", f"{text}(m, 'weight', {shown}{rest})", SHAPE, [], make(amount))
        for method, text, rest, make in [
            ("l1", "l1_unstructured", "", l1),
            ("random", "random_unstructured", "", random),
            ("ln", "ln_structured", ", n=2, dim=0", ln),
            ("random_structured", "random_structured", ", dim=0", channels),
        ]
        for what, amount, shown in [
            ("amount_above_one", 1.5, "1.5"),
            ("amount_negative_float", -0.1, "-0.1"),
            ("amount_negative_int", -3, "-3"),
            ("amount_above_size", 31, "31"),
            ("amount_text", "0.5", "'0.5'"),
            ("amount_none", None, "None"),
            ("amount_true", True, "True"),
            ("amount_nan", NAN, "nan"),
        ]
    ],
    ("ln_amount_above_channels", "ln_structured(m, 'weight', 6, n=2, dim=0)", SHAPE, [], ln(6)),
    ("random_structured_amount_above_channels", "random_structured(m, 'weight', 7, dim=1)", SHAPE,
     [], channels(7, 1)),
    # The channels left count, and so do the weights left.
    ("ln_amount_above_left", "ln_structured(m, 'weight', 3, n=2, dim=0)", SHAPE, [ln(3)], ln(3)),
    ("l1_amount_above_left", "l1_unstructured(m, 'weight', 11)", SHAPE, [l1(20)], l1(11)),
    # Structure.
    ("ln_vector", "ln_structured(m, 'bias', 0.5, n=2, dim=0)", SHAPE, [],
     ln(0.5, name="bias")),
    ("random_structured_vector", "random_structured(m, 'bias', 0.5, dim=0)", SHAPE, [],
     channels(0.5, name="bias")),
    ("ln_dim_outside", "ln_structured(m, 'weight', 0.5, n=2, dim=2)", SHAPE, [], ln(0.5, dim=2)),
    ("ln_dim_outside_negative", "ln_structured(m, 'weight', 0.5, n=2, dim=-3)", SHAPE, [],
     ln(0.5, dim=-3)),
    ("ln_dim_outside_conv", "ln_structured(m, 'weight', 0.5, n=2, dim=4)", CONV, [],
     ln(0.5, dim=4)),
    ("ln_dim_outside_second", "ln_structured(m, 'weight', 0.5, n=2, dim=2)", SHAPE, [l1(0.5)],
     ln(0.5, dim=2)),
    ("ln_dim_outside_negative_second", "ln_structured(m, 'weight', 0.5, n=2, dim=-3)", SHAPE,
     [l1(0.5)], ln(0.5, dim=-3)),
    ("random_structured_dim_outside", "random_structured(m, 'weight', 0.5, dim=2)", SHAPE, [],
     channels(0.5, 2)),
    ("ln_norm_text", "ln_structured(m, 'weight', 0.5, n='two', dim=0)", SHAPE, [],
     ln(0.5, "two")),
    ("ln_norm_none", "ln_structured(m, 'weight', 0.5, n=None, dim=0)", SHAPE, [],
     ln(0.5, None)),
    ("ln_nuclear_linear", "ln_structured(m, 'weight', 0.5, n='nuc', dim=0)", SHAPE, [],
     ln(0.5, "nuc")),
    ("ln_nuclear_conv", "ln_structured(m, 'weight', 0.5, n='nuc', dim=0)", CONV, [],
     ln(0.5, "nuc")),
    # Names.
    ("unknown_name", "l1_unstructured(m, 'wieght', 0.5)", SHAPE, [], l1(0.5, "wieght")),
    ("unknown_name_original", "l1_unstructured(m, 'weight_orig', 0.5)", SHAPE, [l1(0.5)],
     l1(0.5, "weight_orig")),
    ("unknown_name_global", "global_unstructured([(m, 'wieght')], L1Unstructured, amount=0.5)",
     SHAPE, [],
     lambda layer, _: prune.global_unstructured(
         [(layer, "wieght")], prune.L1Unstructured, amount=0.5)),
    # Global.
    ("global_structured", "global_unstructured([(m, 'weight')], LnStructured, amount=0.5, n=2)",
     SHAPE, [], pooled(prune.LnStructured, amount=0.5, n=2)),
    ("global_random_structured",
     "global_unstructured([(m, 'weight')], RandomStructured, amount=0.5)", SHAPE, [],
     pooled(prune.RandomStructured, amount=0.5)),
    ("global_custom", "global_unstructured([(m, 'weight')], CustomFromMask, mask=None)", SHAPE,
     [], pooled(prune.CustomFromMask, mask=None)),
    ("global_without_amount", "global_unstructured([(m, 'weight')], L1Unstructured)", SHAPE, [],
     pooled()),
    ("global_empty", "global_unstructured([], L1Unstructured, amount=0.5)", SHAPE, [],
     given_global([])),
    ("global_no_list", "global_unstructured(3, L1Unstructured, amount=0.5)", SHAPE, [],
     given_global(3)),
    ("global_generator", "global_unstructured(generator, L1Unstructured, amount=0.5)", SHAPE, [],
     generator_global),
    ("global_twice_the_same",
     "global_unstructured([(m, 'weight')] * 2, L1Unstructured, amount=0.5)", SHAPE, [],
     twice_global),
    ("global_amount_above_size", "global_unstructured([(m, 'weight')], L1Unstructured, amount=31)",
     SHAPE, [], pooled(amount=31)),
    ("global_amount_above_left", "global_unstructured([(m, 'weight')], L1Unstructured, amount=11)",
     SHAPE, [l1(20)], pooled(amount=11)),
    ("global_scores_list", "global_unstructured(..., importance_scores=[scores])", SHAPE, [],
     pooled(scores=lambda layer, draw: [draw.normal(*SHAPE)], amount=0.5)),
    ("global_scores_shape_same_size", "global_unstructured(..., importance_scores of [6, 5])",
     SHAPE, [], pooled(scores=of_shape(6, 5), amount=0.5)),
    ("global_scores_fewer", "global_unstructured(..., importance_scores of [4, 6])", SHAPE, [],
     pooled(scores=of_shape(4, 6), amount=0.5)),
    ("global_scores_more", "global_unstructured(..., importance_scores of [7, 6])", SHAPE, [],
     pooled(scores=of_shape(7, 6), amount=0.5)),
    # Scores.
    ("l1_scores_shape", "l1_unstructured(m, 'weight', 0.5, importance_scores of [2, 6])", SHAPE,
     [], scored(prune.l1_unstructured, 2, 6, amount=0.5)),
    ("l1_scores_turned", "l1_unstructured(m, 'weight', 0.5, importance_scores of [6, 5])", SHAPE,
     [], scored(prune.l1_unstructured, 6, 5, amount=0.5)),
    ("l1_scores_shape_second", "l1_unstructured(m, 'weight', 0.5, importance_scores of [2, 6])",
     SHAPE, [l1(0.5)], scored(prune.l1_unstructured, 2, 6, amount=0.5)),
    ("ln_scores_shape",
     "ln_structured(m, 'weight', 0.5, n=2, dim=0, importance_scores of [2, 6])", SHAPE, [],
     scored(prune.ln_structured, 2, 6, amount=0.5, n=2, dim=0)),
    # A mask of one's own.
    ("custom_fewer_rows", "custom_from_mask(m, 'weight', ones(4, 6))", SHAPE, [], custom(4, 6)),
    ("custom_turned", "custom_from_mask(m, 'weight', ones(6, 5))", SHAPE, [], custom(6, 5)),
    ("custom_would_broadcast", "custom_from_mask(m, 'weight', ones(1, 6))", SHAPE, [],
     custom(1, 6)),
    ("custom_fewer_rows_second", "custom_from_mask(m, 'weight', ones(4, 6))", SHAPE, [l1(0.5)],
     custom(4, 6)),
    ("custom_of_weight_for_bias", "custom_from_mask(m, 'bias', ones(5, 6))", SHAPE, [],
     mask_for_bias),
    ("custom_list", "custom_from_mask(m, 'weight', [1, 0])", SHAPE, [],
     lambda layer, _: prune.custom_from_mask(layer, "weight", [1, 0])),
    # Bare tensors and containers.
    ("tensor_scores_shape", "L1Unstructured(0.5).prune(t, importance_scores of [2, 6])", SHAPE,
     [], on_tensor(lambda: prune.L1Unstructured(0.5), scores=(2, 6))),
    ("tensor_mask_shape", "L1Unstructured(0.5).prune(t, default_mask=ones(4, 6))", SHAPE, [],
     on_tensor(lambda: prune.L1Unstructured(0.5), mask=(4, 6))),
    ("tensor_mask_would_broadcast", "LnStructured(0.5, 2, 0).prune(t, default_mask=ones(1, 6))",
     SHAPE, [], on_tensor(lambda: prune.LnStructured(0.5, 2, 0), mask=(1, 6))),
    ("tensor_custom_shape", "CustomFromMask(ones(4, 6)).prune(t)", SHAPE, [],
     on_tensor(lambda: prune.CustomFromMask(torch.ones(4, 6)))),
    ("container_other_name", "PruningContainer(l1 on 'weight').add_pruning_method(l1 on 'bias')",
     SHAPE, [], container(["weight", "bias"])),
    ("container_no_name", "PruningContainer(L1Unstructured(0.5))", SHAPE, [], container([None])),
    ("container_of_two", "PruningContainer(l1 on 'weight', l1 on 'weight')", SHAPE, [],
     container(["weight", "weight"], direct=True)),
    ("container_text", "PruningContainer(l1 on 'weight').add_pruning_method('l1')", SHAPE, [],
     add_text),
    ("unknown_kind_first", "Sideways.apply(m, 'weight')", SHAPE, [],
     lambda layer, _: Sideways.apply(layer, "weight")),
    ("unknown_kind_second", "Sideways.apply(m, 'weight')", SHAPE, [l1(0.5)],
     lambda layer, _: Sideways.apply(layer, "weight")),
    # Removing, and asking.
    ("remove_unpruned", "remove(m, 'weight')", SHAPE, [], remove()),
    ("remove_unknown_name", "remove(m, 'wieght')", SHAPE, [l1(0.5)], remove("wieght")),
    ("remove_other_name", "remove(m, 'bias')", SHAPE, [l1(0.5)], remove("bias")),
    ("remove_twice", "remove(m, 'weight')", SHAPE, [l1(0.5), remove()], remove()),
    ("removed", "remove(m, 'weight')", SHAPE, [l1(0.5)], remove()),
    ("removed_one_of_two", "remove(m, 'weight')", SHAPE, [l1(0.5), l1(0.4, "bias")], remove()),
    ("unpruned", "nothing", SHAPE, [], nothing),
    ("pruned", "l1_unstructured(m, 'weight', 0.5)", SHAPE, [], l1(0.5)),
    ("pruned_identity", "identity(m, 'weight')", SHAPE, [],
     lambda layer, _: prune.identity(layer, "weight")),
    ("pruned_none", "l1_unstructured(m, 'weight', 0)", SHAPE, [], l1(0)),
    # A second call that fails, and what is possible then.
    ("second_amount_above_one", "l1_unstructured(m, 'weight', 1.5)", SHAPE, [l1(0.5)], l1(1.5)),
    ("second_amount_text", "l1_unstructured(m, 'weight', '0.5')", SHAPE, [l1(0.5)], l1("0.5")),
    ("third_amount_above_left", "l1_unstructured(m, 'weight', 9)", SHAPE, [l1(0.5), l1(0.5)],
     l1(9)),
    ("remove_after_second_failed", "remove(m, 'weight')", SHAPE, [l1(0.5), l1(16)], remove()),
    ("third_after_second_failed", "l1_unstructured(m, 'weight', 0.5)", SHAPE, [l1(0.5), l1(16)],
     l1(0.5)),
]


def build() -> Topic:
    topic = Topic("prune_errors")
    for case, text, shape, before, action in TABLE:
        topic.add(case, refused(before, action), weight_shape=shape, call=text)
    return topic


def refused(earlier, action):
    """Calls among the `earlier` ones may fail too; how they do is a case of its own."""

    def build(draw, weight_shape, call):
        layer = module(draw, weight_shape)
        weights = {"weight": layer.weight.detach().clone(), "bias": layer.bias.detach().clone()}
        for made in earlier:
            outcome(lambda: made(layer, draw))
        facts = {"module": type(layer).__name__, "before": state(layer)}
        facts |= outcome(lambda: action(layer, draw))
        facts |= {"earlier": [made.told for made in earlier], "after": state(layer)}
        # What is none of the usual calls is told by `call` alone.
        facts |= {"options": getattr(action, "told", None)}
        return weights if facts["error"] is None else {}, facts

    return build


def module(draw, shape):
    """With a bias, the weight being linear or of a convolution by its rank."""
    if len(shape) == 2:
        layer = nn.Linear(shape[1], shape[0], dtype=draw.dtype)
    else:
        layer = nn.Conv2d(shape[1], shape[0], tuple(shape[2:]), dtype=draw.dtype)
    with torch.no_grad():
        layer.weight.copy_(draw.normal(*shape))
        layer.bias.copy_(draw.normal(shape[0]))
    return layer


def outcome(action):
    try:
        action()
    except Exception as error:  # any type: the type is what is recorded
        # An object's address is another one each time.
        message = re.sub(r" at 0x[0-9a-f]+", "", str(error))
        # One message for both dtypes.
        message = message.replace("torch.DoubleTensor", "torch.FloatTensor")
        return {"error": type(error).__name__, "message": message}
    return {"error": None, "message": None}


def state(layer):
    masks = {name: count(mask) for name, mask in layer.named_buffers()}
    return {
        "is_pruned": prune.is_pruned(layer),
        "state_dict": list(layer.state_dict()),
        "parameters": [name for name, _ in layer.named_parameters()],
        "methods": {name: methods(layer, name) for name in ("weight", "bias")},
        "kept": masks,
    }
