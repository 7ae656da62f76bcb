//! Darknet's `.cfg` files: a section a layer.

mod lines;
mod sections;

use lines::{Reader, sections};
use sections::{OTHERS, SECTIONS};

use crate::input::Input;
use crate::layer::{Layer, LayerSpec};
use crate::plan::{Fault, Plan};
use crate::reference::Reference;
use crate::text::{Log, Span, Spanned, did_you_mean};

/// What a `.cfg` file says that is no layer.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Darknet {
    /// Its training options.
    pub training: DarknetTraining,
    /// The sections that judge the network's output: each passes on the tensor before it.
    pub heads: Vec<Head>,
}

/// The training options of a `.cfg`; none has a default here.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct DarknetTraining {
    /// `batch`: examples a step.
    pub batch: Option<Spanned<usize>>,
    /// `subdivisions`: into so many parts the batch is cut, whose gradients add up.
    pub subdivisions: Option<Spanned<usize>>,
    /// `learning_rate`
    pub learning_rate: Option<Spanned<f64>>,
    /// `momentum`
    pub momentum: Option<Spanned<f64>>,
    /// `decay`: weight decay.
    pub decay: Option<Spanned<f64>>,
    /// The options that are read over, `key=value` each.
    pub ignored: Vec<Spanned<String>>,
}

/// A section that judges the network's output.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// Its layer's place.
    pub layer: usize,
    /// What it is.
    pub kind: HeadKind,
    /// How many channels its boxes need, where its options say so.
    pub channels: Option<usize>,
    /// The place of its section.
    pub span: Span,
}

/// The kinds of [`Head`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadKind {
    /// `[yolo]`: boxes on a grid.
    Yolo,
    /// `[region]`: boxes on a grid, of the second version.
    Region,
    /// `[detection]`: boxes on a grid, of the first version.
    Detection,
    /// `[softmax]`: the chance of each class.
    Softmax,
    /// `[cost]`: a loss.
    Cost,
}

impl HeadKind {
    /// Whether its input is an output of the network in its own right.
    fn is_output(self) -> bool {
        matches!(self, Self::Yolo | Self::Region | Self::Detection)
    }

    /// As its section is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Yolo => "yolo",
            Self::Region => "region",
            Self::Detection => "detection",
            Self::Softmax => "softmax",
            Self::Cost => "cost",
        }
    }
}

/// Options of `[net]` that say how to train and how to vary images.
const HARMLESS: &[&str] = &[
    "B1",
    "B2",
    "adam",
    "angle",
    "aspect",
    "blur",
    "burn_in",
    "center",
    "contrastive",
    "cutmix",
    "eps",
    "exposure",
    "flip",
    "gamma",
    "hue",
    "label_smooth_eps",
    "letter_box",
    "max_batches",
    "max_chart_loss",
    "max_crop",
    "max_ratio",
    "min_crop",
    "min_ratio",
    "mixup",
    "mosaic",
    "mosaic_bound",
    "notruth",
    "optimized_memory",
    "policy",
    "power",
    "random",
    "resize_step",
    "saturation",
    "scale",
    "scales",
    "sgdr_cycle",
    "sgdr_mult",
    "step",
    "steps",
    "time_steps",
    "track",
    "try_fix_nan",
    "workspace_size_limit_MB",
];

/// What a `.cfg` describes.
pub(crate) struct Network {
    pub(crate) input: Option<Spanned<Input>>,
    pub(crate) layers: Vec<Spanned<LayerSpec>>,
    pub(crate) outputs: Vec<Spanned<Reference>>,
    pub(crate) darknet: Darknet,
}

/// Reads a `.cfg`; what is wrong with it goes to `log`.
pub(crate) fn read(text: &str, log: &Log<'_>) -> Network {
    let sections = sections(text, log);
    let mut network = Network {
        input: None,
        layers: Vec::new(),
        outputs: Vec::new(),
        darknet: Darknet::default(),
    };
    let (first, rest) = match sections.split_first() {
        Some((first, rest)) if is_net(first.name) => (first, rest),
        first => {
            let span = first.map_or(0..0, |(first, _)| first.span.clone());
            let expected = Some("`[net]`, the network's input".to_owned());
            log.add(span, "", "the first section is another".to_owned(), expected, None);
            return network;
        }
    };
    net(&Reader::new(first, log, "net".to_owned()), &mut network);
    if rest.is_empty() {
        let expected = Some("sections like `[convolutional]`, one for each layer".to_owned());
        log.add(first.span.clone(), "net", "found no layer".to_owned(), expected, None);
    }
    for (index, section) in rest.iter().enumerate() {
        let reader = Reader::new(section, log, format!("layer[{index}]"));
        let heads = &mut network.darknet.heads;
        let spec = match SECTIONS.iter().find(|(name, _)| *name == section.name) {
            Some((_, read)) => read(&reader, index, heads),
            None => unknown(&reader),
        };
        // A layer that is wrong keeps its place: the others' numbers count it.
        let spec = spec.unwrap_or_else(|| LayerSpec::new(Layer::Identity));
        network.layers.push(reader.spanned(spec));
    }
    let heads = network.darknet.heads.iter().filter(|head| head.kind.is_output());
    let output = |head: &Head| Spanned::new(Reference::Index(head.layer), head.span.clone());
    network.outputs = heads.map(output).collect();
    network
}

impl Darknet {
    /// The heads whose input has another number of channels than their boxes need.
    pub(crate) fn misfits(&self, plan: &Plan) -> Vec<Fault> {
        let outputs = self.heads.iter().filter(|head| head.kind.is_output());
        let mut faults = Vec::new();
        for (head, place) in outputs.zip(&plan.outputs) {
            let dims = plan.layers.get(*place).map_or(&[][..], |layer| &layer.output);
            let Some(channels) = head.channels else { continue };
            if dims.first() != Some(&channels) {
                let key = format!("layer[{}]", head.layer);
                let message = format!("[{}] is given {dims:?}", head.kind.name());
                let expected =
                    Some(format!("{channels} channels, what its boxes and classes need"));
                let help = Some(format!("set `filters={channels}` in the section before"));
                faults.push(Fault {
                    expected,
                    help,
                    ..Fault::new(head.span.clone(), &key, message)
                });
            }
        }
        faults
    }
}

/// Whether a text begins as a `.cfg` does.
pub(crate) fn looks_like(text: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    matches!(first, Some("[net]" | "[network]"))
}

fn is_net(name: &str) -> bool {
    name == "net" || name == "network"
}

/// Says why a section is no layer.
fn unknown(section: &Reader<'_, '_>) -> Option<LayerSpec> {
    let name = section.section.name;
    let names: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
    let (message, help) = if is_net(name) {
        ("only the first section is the network's".to_owned(), None)
    } else if OTHERS.contains(&name) {
        (format!("[{name}] is a section of darknet that is not supported"), None)
    } else {
        (format!("unknown section {}", crate::text::quoted(name)), did_you_mean(name, &names))
    };
    section.refuse(message, crate::text::one_of(&names), help);
    None
}

/// `[net]`: the input, and how to train.
fn net(section: &Reader<'_, '_>, network: &mut Network) {
    let [channels, height, width] =
        ["channels", "height", "width"].map(|key| section.count(key, 1));
    let inputs = section.count("inputs", 1);
    let training = &mut network.darknet.training;
    training.batch = section.count("batch", 1);
    training.subdivisions = section.count("subdivisions", 1);
    let positive = ("a number above 0", |x| x > 0.0);
    training.learning_rate = section.real("learning_rate", positive.0, positive.1);
    let below_one = |x| (0.0..1.0).contains(&x);
    training.momentum = section.real("momentum", "a number of at least 0 and below 1", below_one);
    training.decay = section.real("decay", "a number of at least 0", |x| x >= 0.0);
    training.ignored = section.finish(HARMLESS);
    network.input = match [channels, height, width, inputs] {
        [Some(channels), Some(height), Some(width), _] => {
            Some(section.spanned(Input::values([channels.value, height.value, width.value])))
        }
        [None, None, None, Some(inputs)] => Some(section.spanned(Input::values([inputs.value]))),
        [None, None, None, None] => None,
        _ => {
            let expected = "`channels`, `height` and `width` of an image, or `inputs`".to_owned();
            section.refuse("[net] says only a part of the input's size".to_owned(), expected, None);
            None
        }
    };
}
