"""`torch.nn.utils.weight_norm` and `spectral_norm`: the keys of files from before parametrizations."""

import warnings

from torch.nn import utils

from .common import Topic, module_with


def build() -> Topic:
    topic = Topic("legacy_keys")
    topic.add("weight_norm_3x5", weight_norm, module="linear", weight_shape=[3, 5], dim=0)
    topic.add("spectral_norm_4x6", spectral_norm, module="linear", weight_shape=[4, 6])
    return topic


def saved(layer):
    return {f"state.{name}": tensor for name, tensor in layer.state_dict().items()}


def weight_norm(draw, module, weight_shape, dim):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = utils.weight_norm(module_with(module, draw.normal(*weight_shape)), dim=dim)
    layer.weight_g.data.add_(draw.normal(*layer.weight_g.shape, scale=0.5))
    layer(draw.normal(1, weight_shape[1]))
    return saved(layer) | {"value": layer.weight}, {"state_dict": list(layer.state_dict())}


def spectral_norm(draw, module, weight_shape):
    layer = utils.spectral_norm(module_with(module, draw.normal(*weight_shape)))
    layer(draw.normal(1, weight_shape[1]))
    layer.eval()
    layer(draw.normal(1, weight_shape[1]))
    return saved(layer) | {"value": layer.weight}, {"state_dict": list(layer.state_dict())}
