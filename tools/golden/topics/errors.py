"""What PyTorch says to a mistake: the type and the message, and the weight it was made on."""

import geotorch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from .common import Holder, Symmetric, Topic, module_with, raised


class Doubled(nn.Module):
    """A parametrization without a right inverse."""

    def forward(self, X):
        return 2 * X


def build() -> Topic:
    topic = Topic("errors")
    for case, amount in [
        ("prune_amount_above_one", 1.5),
        ("prune_amount_negative_float", -0.1),
        ("prune_amount_negative_int", -3),
        ("prune_amount_above_size", 31),
        ("prune_amount_text", "half"),
    ]:
        topic.add(case, pruning_amount, weight_shape=[5, 6], amount=amount)
    topic.add(
        "prune_amount_above_kept", pruning_kept, weight_shape=[5, 6], amounts=[20, 11]
    )
    for action in [
        prune_amount_nan,
        prune_unknown_name,
        prune_remove_unpruned,
        prune_scores_shape,
        register_unknown_name,
        register_unknown_original,
        register_changes_shape,
        register_empty_list,
        assign_without_right_inverse,
        assign_wrong_shape_orthogonal,
        assign_untrivialized_orthogonal,
        remove_several_originals,
        remove_unparametrized,
        orthogonal_one_dimension,
        orthogonal_unknown_map,
    ]:
        topic.add(action.__name__, on_weight, action=action.__name__)
    for case, shape in RULES.items():
        topic.add(case, refused_rule, rule=case, weight_shape=shape)
    return topic


# Rules that do not fit their weight, and the weight's shape.
RULES = {
    "spectral_norm_dim_outside": [4, 5],
    "spectral_norm_without_iterations": [4, 5],
    "skew_one_dimension": [4],
    "skew_not_square": [4, 5],
    "positive_definite_one_dimension": [4],
    "positive_definite_not_square": [4, 5],
    "positive_semidefinite_not_square": [5, 4],
    "positive_semidefinite_rank_above_size": [4, 4],
    "positive_semidefinite_rank_zero": [4, 4],
    "low_rank_one_dimension": [4],
    "low_rank_rank_above_size": [3, 4],
    "low_rank_rank_zero": [3, 4],
    "fixed_rank_one_dimension": [4],
    "fixed_rank_rank_above_size": [4, 3],
    "fixed_rank_rank_zero": [4, 3],
    "sphere_radius_zero": [4, 5],
    "sphere_radius_negative": [4, 5],
}


def refused_rule(draw, rule, weight_shape):
    weight = draw.normal(*weight_shape)
    size = weight.size()
    spectral = parametrizations.spectral_norm

    def low_rank(rank):
        return lambda: geotorch.LowRank(size, rank)

    def fixed_rank(rank):
        return lambda: geotorch.FixedRank(size, rank)

    def semidefinite(rank):
        return lambda: geotorch.PSSDLowRank(size, rank)

    make = {
        "spectral_norm_dim_outside": lambda: spectral(Holder(weight), dim=2),
        "spectral_norm_without_iterations": lambda: spectral(
            Holder(weight), n_power_iterations=0
        ),
        "skew_one_dimension": lambda: geotorch.Skew(size),
        "skew_not_square": lambda: geotorch.Skew(size),
        "positive_definite_one_dimension": lambda: geotorch.PSD(size),
        "positive_definite_not_square": lambda: geotorch.PSD(size),
        "positive_semidefinite_not_square": semidefinite(2),
        "positive_semidefinite_rank_above_size": semidefinite(5),
        "positive_semidefinite_rank_zero": semidefinite(0),
        "low_rank_one_dimension": low_rank(1),
        "low_rank_rank_above_size": low_rank(4),
        "low_rank_rank_zero": low_rank(0),
        "fixed_rank_one_dimension": fixed_rank(1),
        "fixed_rank_rank_above_size": fixed_rank(4),
        "fixed_rank_rank_zero": fixed_rank(0),
        "sphere_radius_zero": lambda: geotorch.SphereEmbedded(size, 0.0),
        "sphere_radius_negative": lambda: geotorch.SphereEmbedded(size, -1.0),
    }[rule]
    return {"weight": weight}, raised(make)


def pruning_amount(draw, weight_shape, amount):
    weight = draw.normal(*weight_shape)
    layer = module_with("linear", weight)
    return {"weight": weight}, raised(lambda: prune.l1_unstructured(layer, "weight", amount))


def pruning_kept(draw, weight_shape, amounts):
    weight = draw.normal(*weight_shape)
    layer = prune.l1_unstructured(module_with("linear", weight), "weight", amounts[0])
    error = raised(lambda: prune.l1_unstructured(layer, "weight", amounts[1]))
    return {"weight": weight}, error


def on_weight(draw, action):
    weight = draw.normal(4) if action == "orthogonal_one_dimension" else draw.normal(4, 4)
    return {"weight": weight}, globals()[action](weight)


def prune_amount_nan(weight):
    layer = module_with("linear", weight)
    return raised(lambda: prune.l1_unstructured(layer, "weight", float("nan")))


def prune_unknown_name(weight):
    layer = module_with("linear", weight)
    return raised(lambda: prune.l1_unstructured(layer, "wieght", 0.5))


def prune_remove_unpruned(weight):
    layer = module_with("linear", weight)
    return raised(lambda: prune.remove(layer, "weight"))


def prune_scores_shape(weight):
    layer = module_with("linear", weight)
    scores = weight[:2].clone()
    return raised(
        lambda: prune.l1_unstructured(layer, "weight", 0.5, importance_scores=scores)
    )


def register_unknown_name(weight):
    layer = module_with("linear", weight)
    return raised(lambda: parametrize.register_parametrization(layer, "wieght", Symmetric()))


class FirstRow(nn.Module):
    """A parametrization that changes the shape."""

    def forward(self, X):
        return X[:1]


def register_unknown_original(weight):
    layer = parametrizations.weight_norm(module_with("linear", weight))
    rules = layer.parametrizations.weight
    return raised(
        lambda: parametrize.register_parametrization(rules, "original2", Symmetric())
    )


def register_changes_shape(weight):
    layer = module_with("linear", weight)
    return raised(lambda: parametrize.register_parametrization(layer, "weight", FirstRow()))


def register_empty_list(weight):
    return raised(lambda: parametrize.ParametrizationList([], weight))


def assign_without_right_inverse(weight):
    layer = module_with("linear", weight)
    parametrize.register_parametrization(layer, "weight", Doubled())
    return raised(lambda: setattr(layer, "weight", weight.clone()))


def assign_wrong_shape_orthogonal(weight):
    layer = parametrizations.orthogonal(module_with("linear", weight), orthogonal_map="cayley")
    return raised(lambda: setattr(layer, "weight", weight[:3].clone()))


def assign_untrivialized_orthogonal(weight):
    layer = parametrizations.orthogonal(
        module_with("linear", weight), orthogonal_map="cayley", use_trivialization=False
    )
    return raised(lambda: setattr(layer, "weight", weight.clone()))


def remove_several_originals(weight):
    layer = parametrizations.weight_norm(module_with("linear", weight))
    return raised(
        lambda: parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    )


def remove_unparametrized(weight):
    layer = module_with("linear", weight)
    return raised(lambda: parametrize.remove_parametrizations(layer, "weight"))


def orthogonal_one_dimension(weight):
    return raised(lambda: parametrizations.orthogonal(Holder(weight), orthogonal_map="cayley"))


def orthogonal_unknown_map(weight):
    layer = module_with("linear", weight)
    return raised(lambda: parametrizations.orthogonal(layer, orthogonal_map="caley"))
