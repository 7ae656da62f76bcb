//! One layer a section.

use super::lines::Reader;
use super::{Head, HeadKind};
use crate::layer::{Interpolation, Layer, LayerSpec, UpsampleTo};
use crate::reference::Reference;
use crate::text::{Spanned, did_you_mean, one_of, quoted};

/// Darknet's rolling averages keep 99 % a batch.
const MOMENTUM: f64 = 0.01;
/// What its kernels add to a variance.
const EPSILON: f64 = 1e-5;

/// Reads the section that is layer `index`; nothing if it is wrong. Adds to `heads` if it is one.
pub(super) type Read = fn(&Reader<'_, '_>, usize, &mut Vec<Head>) -> Option<LayerSpec>;

/// By darknet's names and their short forms.
pub(super) const SECTIONS: &[(&str, Read)] = &[
    ("convolutional", convolutional),
    ("conv", convolutional),
    ("connected", connected),
    ("conn", connected),
    ("maxpool", maxpool),
    ("max", maxpool),
    ("avgpool", avgpool),
    ("avg", avgpool),
    ("dropout", dropout),
    ("shortcut", shortcut),
    ("route", route),
    ("upsample", upsample),
    ("softmax", softmax),
    ("soft", softmax),
    ("cost", cost),
    ("yolo", yolo),
    ("region", region),
    ("detection", detection),
];

/// Sections that darknet has and that are no layer here.
pub(super) const OTHERS: &[&str] = &[
    "reorg",
    "local",
    "crop",
    "normalization",
    "lrn",
    "rnn",
    "gru",
    "lstm",
    "crnn",
    "deconvolutional",
    "deconv",
    "batchnorm",
    "activation",
    "iseg",
    "logxent",
    "l2norm",
    "scale_channels",
    "sam",
    "reorg3d",
    "conv_lstm",
    "gaussian_yolo",
    "contrastive",
    "implicit",
];

/// Options of any layer that change nothing of what it computes.
const HARMLESS: &[&str] = &[
    "clip",
    "dontload",
    "dontloadscales",
    "dontsave",
    "learning_rate",
    "nostop",
    "numload",
    "onlyforward",
    "stopbackward",
];

fn finish(section: &Reader<'_, '_>) {
    section.finish(HARMLESS);
}

/// The layers of one section as one, so that sections and layers have the same numbers.
fn block(section: &Reader<'_, '_>, layers: Vec<Layer>) -> LayerSpec {
    let layers = layers.into_iter().map(|layer| section.spanned(LayerSpec::new(layer))).collect();
    LayerSpec::new(Layer::Block { layers })
}

/// The layer of an `activation`; `Some(None)` for `linear`, nothing if there is no such.
fn activation(section: &Reader<'_, '_>, default: &str) -> Option<Option<Layer>> {
    let known: [(&str, Option<Layer>); 9] = [
        ("linear", None),
        ("leaky", Some(Layer::LeakyRelu { slope: 0.1 })),
        ("relu", Some(Layer::Relu)),
        ("logistic", Some(Layer::Sigmoid)),
        ("tanh", Some(Layer::Tanh)),
        ("mish", Some(Layer::Mish)),
        ("swish", Some(Layer::Silu)),
        ("elu", Some(Layer::Elu { alpha: 1.0 })),
        ("selu", Some(Layer::Selu)),
    ];
    let given = section.text("activation");
    let name = given.as_ref().map_or(default, |given| given.value);
    let found = known.iter().find(|(known, _)| *known == name).map(|(_, layer)| layer.clone());
    if let (None, Some(given)) = (&found, &given) {
        let names = known.each_ref().map(|(name, _)| *name);
        let message = format!("unknown name {}", quoted(name));
        let help = did_you_mean(name, &names);
        section.refuse_value("activation", given, message, one_of(&names), help);
    }
    found
}

/// What follows a convolution or a dense layer.
fn ending(batch_normalize: bool, activation: Option<Layer>) -> impl Iterator<Item = Layer> {
    let norm = batch_normalize.then_some(Layer::BatchNorm { epsilon: EPSILON, momentum: MOMENTUM });
    norm.into_iter().chain(activation)
}

fn convolutional(section: &Reader<'_, '_>, _: usize, _: &mut Vec<Head>) -> Option<LayerSpec> {
    let channels = section.count_or("filters", 1, 1);
    let size = section.count_or("size", 1, 1);
    let stride = section.count_or("stride", 1, 1);
    let pad = section.flag("pad");
    let padding = section.count_or("padding", 0, 0);
    let groups = section.count_or("groups", 1, 1);
    let dilation = section.count_or("dilation", 1, 1);
    let batch_normalize = section.flag("batch_normalize");
    let activation = activation(section, "logistic");
    finish(section);
    // `pad` stands for half the window; both are counted before the window is widened.
    let padding = if pad { size / 2 } else { padding }.saturating_mul(dilation);
    let conv = Layer::Conv2d {
        channels,
        kernel: [size; 2],
        stride: [stride; 2],
        padding: [padding; 2],
        dilation: [dilation; 2],
        groups,
        bias: !batch_normalize,
    };
    let ending = ending(batch_normalize, activation?);
    Some(block(section, [conv].into_iter().chain(ending).collect()))
}

fn connected(section: &Reader<'_, '_>, _: usize, _: &mut Vec<Head>) -> Option<LayerSpec> {
    let features = section.count_or("output", 1, 1);
    let batch_normalize = section.flag("batch_normalize");
    let activation = activation(section, "logistic");
    finish(section);
    let dense = [Layer::Flatten, Layer::Linear { features, bias: !batch_normalize }];
    let ending = ending(batch_normalize, activation?);
    Some(block(section, dense.into_iter().chain(ending).collect()))
}

/// `padding`, by default `size - 1`, is for both sides together; what does not divide by two comes
/// behind. The output is `(size + padding - window) / stride + 1`.
fn maxpool(section: &Reader<'_, '_>, _: usize, _: &mut Vec<Head>) -> Option<LayerSpec> {
    let stride = section.count_or("stride", 1, 1);
    let size = section.count_or("size", 1, stride);
    let given = section.count("padding", 0);
    finish(section);
    let padding = given.as_ref().map_or(size - 1, |given| given.value);
    let before = padding / 2;
    let overhang = padding - 2 * before;
    if let Some(given) = given
        && (before > size / 2 || (padding > 0 && before + overhang >= size))
    {
        let most = (2 * (size / 2)).min(2 * size - 2);
        let message = format!("found {padding} for a size of {size}");
        section.refuse_value("padding", &given, message, format!("at most {most}"), None);
        return None;
    }
    Some(LayerSpec::new(Layer::MaxPool2d {
        kernel: [size; 2],
        stride: [stride; 2],
        padding: [before; 2],
        overhang: [overhang; 2],
    }))
}

/// Darknet's keeps the image, of one pixel.
fn avgpool(section: &Reader<'_, '_>, _: usize, _: &mut Vec<Head>) -> Option<LayerSpec> {
    finish(section);
    Some(LayerSpec::new(Layer::AdaptiveAvgPool2d { output: [1, 1] }))
}

fn dropout(section: &Reader<'_, '_>, _: usize, _: &mut Vec<Head>) -> Option<LayerSpec> {
    let below_one = |x| (0.0..1.0).contains(&x);
    let found = section.real("probability", "a number of at least 0 and below 1", below_one);
    finish(section);
    let probability = found.map_or(0.5, |found| found.value);
    Some(LayerSpec::new(Layer::Dropout { probability }))
}

/// A negative number counts back from the section itself, another from the first section.
fn reference(number: &Spanned<i64>) -> Option<Spanned<Reference>> {
    let size = usize::try_from(number.value.unsigned_abs()).ok()?;
    let of = if number.value < 0 { Reference::Back(size) } else { Reference::Index(size) };
    Some(Spanned::new(of, number.span.clone()))
}

fn references(section: &Reader<'_, '_>, key: &'static str) -> Option<Vec<Spanned<Reference>>> {
    if section.text(key).is_none() {
        let expected = format!("`{key}=`, the number of a layer before, or several");
        section.refuse(format!("[{}] has no `{key}`", section.section.name), expected, None);
        return None;
    }
    section.integers(key)?.iter().map(reference).collect()
}

fn shortcut(section: &Reader<'_, '_>, _: usize, _: &mut Vec<Head>) -> Option<LayerSpec> {
    let others = references(section, "from");
    let activation = activation(section, "linear");
    finish(section);
    let before = section.spanned(Reference::Back(1));
    let from = [before].into_iter().chain(others?).collect();
    let activation = activation?.map(Box::new);
    Some(LayerSpec { from, ..LayerSpec::new(Layer::Shortcut { activation }) })
}

fn route(section: &Reader<'_, '_>, _: usize, _: &mut Vec<Head>) -> Option<LayerSpec> {
    let from = references(section, "layers");
    let groups = section.count_or("groups", 1, 1);
    let given = section.count("group_id", 0);
    finish(section);
    let group = given.as_ref().map_or(0, |given| given.value);
    if let Some(given) = given
        && group >= groups
    {
        let expected = format!("a group below {groups}, `groups`");
        section.refuse_value("group_id", &given, format!("found {group}"), expected, None);
        return None;
    }
    Some(LayerSpec { from: from?, ..LayerSpec::new(Layer::Route { dim: 0, groups, group }) })
}

fn upsample(section: &Reader<'_, '_>, _: usize, _: &mut Vec<Head>) -> Option<LayerSpec> {
    let stride = section.count_or("stride", 1, 2);
    only(section, "scale", 1.0);
    finish(section);
    let (to, mode) = (UpsampleTo::Scale([stride; 2]), Interpolation::Nearest);
    Some(LayerSpec::new(Layer::Upsample { to, mode }))
}

/// Says if an option has another value than the one that changes nothing.
fn only(section: &Reader<'_, '_>, key: &'static str, value: f64) {
    let _ = section.real(key, &value.to_string(), |x| x == value);
}

fn softmax(section: &Reader<'_, '_>, index: usize, heads: &mut Vec<Head>) -> Option<LayerSpec> {
    only(section, "groups", 1.0);
    only(section, "temperature", 1.0);
    section.finish(&["noloss"]);
    heads.push(head(section, index, HeadKind::Softmax, None));
    Some(block(section, vec![Layer::Flatten, Layer::Softmax { dim: -1 }]))
}

fn head(section: &Reader<'_, '_>, layer: usize, kind: HeadKind, channels: Option<usize>) -> Head {
    Head { layer, kind, channels, span: section.section.span.clone() }
}

fn cost(section: &Reader<'_, '_>, index: usize, heads: &mut Vec<Head>) -> Option<LayerSpec> {
    section.finish(&["type", "scale", "ratio", "noobj_scale", "thresh"]);
    heads.push(head(section, index, HeadKind::Cost, None));
    Some(LayerSpec::new(Layer::Identity))
}

/// A box is its place, its size, whether there is something, and the chance of each class.
fn yolo(section: &Reader<'_, '_>, index: usize, heads: &mut Vec<Head>) -> Option<LayerSpec> {
    let classes = section.count_or("classes", 1, 20);
    let boxes = section.count_or("num", 1, 1);
    let boxes = section.integers("mask").map_or(boxes, |mask| mask.len());
    section.finish(&[
        "anchors",
        "beta1",
        "beta_nms",
        "cls_normalizer",
        "counters_per_class",
        "delta_normalizer",
        "focal_loss",
        "ignore_thresh",
        "iou_loss",
        "iou_normalizer",
        "iou_thresh",
        "iou_thresh_kind",
        "jitter",
        "label_smooth_eps",
        "map",
        "max",
        "max_delta",
        "new_coords",
        "nms_kind",
        "obj_normalizer",
        "objectness_smooth",
        "random",
        "resize",
        "scale_x_y",
        "truth_thresh",
    ]);
    let channels = boxes.saturating_mul(4 + 1 + classes);
    heads.push(head(section, index, HeadKind::Yolo, Some(channels)));
    Some(LayerSpec::new(Layer::Identity))
}

fn region(section: &Reader<'_, '_>, index: usize, heads: &mut Vec<Head>) -> Option<LayerSpec> {
    let classes = section.count_or("classes", 1, 20);
    let boxes = section.count_or("num", 1, 1);
    let coords = section.count_or("coords", 1, 4);
    section.finish(&[
        "absolute",
        "anchors",
        "background",
        "bias_match",
        "class_scale",
        "coord_scale",
        "jitter",
        "log",
        "map",
        "mask_scale",
        "max",
        "noobject_scale",
        "object_scale",
        "random",
        "rescore",
        "softmax",
        "sqrt",
        "thresh",
        "tree",
    ]);
    let channels = boxes.saturating_mul(coords + 1 + classes);
    heads.push(head(section, index, HeadKind::Region, Some(channels)));
    Some(LayerSpec::new(Layer::Identity))
}

fn detection(section: &Reader<'_, '_>, index: usize, heads: &mut Vec<Head>) -> Option<LayerSpec> {
    section.finish(&[
        "class_scale",
        "classes",
        "coord_scale",
        "coords",
        "forced",
        "jitter",
        "max",
        "noobject_scale",
        "num",
        "object_scale",
        "random",
        "reorg",
        "rescore",
        "side",
        "softmax",
        "sqrt",
    ]);
    heads.push(head(section, index, HeadKind::Detection, None));
    Some(LayerSpec::new(Layer::Identity))
}
