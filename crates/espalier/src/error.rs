//! What can go wrong, with the path, what was expected, what was found, and the mend.

use burn::tensor::DType;

use crate::init::InitError;
use crate::nn::LayerError;
use crate::parametrize::RuleError;
use crate::prune::PruneError;
use crate::state::{LoadReport, PeftFault};
use crate::tree::{Kind, TreeReport};

/// An error of this library.
///
/// Nothing is changed by a call that returns one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A selector that matches no parameter.
    #[error("{selector} matches no parameter{}", nearest_text(nearest))]
    NoMatch {
        /// The selector, as it prints itself.
        selector: String,
        /// The paths most like it, best first.
        nearest: Vec<String>,
    },
    /// A glob or regular expression that does not parse.
    #[error("`{selector}` is not a valid selector: {reason}")]
    Selector {
        /// The text as given.
        selector: String,
        /// What the parser says.
        reason: String,
    },
    /// A tensor of another rank than asked for.
    #[error("expected a tensor of rank {expected}, found rank {} {found:?}", found.len())]
    Rank {
        /// The rank asked for.
        expected: usize,
        /// The shape of the tensor.
        found: Vec<usize>,
    },
    /// A parameter read with another rank than it has.
    #[error("`{path}`: read as a tensor of rank {expected}, it has rank {} {found:?}", found.len())]
    PathRank {
        /// The parameter.
        path: String,
        /// The rank asked for.
        expected: usize,
        /// Its shape.
        found: Vec<usize>,
    },
    /// A buffer where a parameter is meant, or a parameter where a buffer is.
    #[error("`{path}` is not a {expected}; `get_{other}` and `set_{other}` reach it",
        other = other(*expected))]
    Kind {
        /// The path.
        path: String,
        /// What it was taken for.
        expected: Kind,
    },
    /// A buffer of integers or booleans read or set as floats.
    #[error("`{path}` holds no floats but {}; `get_weights` reads it", found.name())]
    NotFloat {
        /// The buffer.
        path: String,
        /// Its dtype.
        found: DType,
    },
    /// Two tensors that are computed with value by value and differ in shape.
    #[error("the shapes {left:?} and {right:?} differ")]
    Operands {
        /// The shape of the first.
        left: Vec<usize>,
        /// The shape of the second.
        right: Vec<usize>,
    },
    /// Values that do not fit the module.
    #[error(transparent)]
    Tree(#[from] TreeReport),
    /// The gradient of a parameter that has none of its own.
    #[error(
        "`{path}` is computed and has no gradient of its own; those of its originals are at {}",
        quoted(originals)
    )]
    ComputedGradient {
        /// The parameter.
        path: String,
        /// The paths of its originals.
        originals: Vec<String>,
    },
    /// A value of another shape than the parameter's.
    #[error("`{path}`: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// The parameter.
        path: String,
        /// Its shape.
        expected: Vec<usize>,
        /// The value's shape.
        found: Vec<usize>,
    },
    /// A list index past the end.
    #[error("index {index} is past the end of a list of {len}")]
    Index {
        /// The index asked for.
        index: usize,
        /// The length of the list.
        len: usize,
    },
    /// A module of another type than asked for.
    #[error("expected a {expected}, found a {found}")]
    Type {
        /// The type asked for.
        expected: &'static str,
        /// The type there.
        found: &'static str,
    },
    /// A layer that does not fit its input.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A parameter of a lazy layer that has not seen an input yet.
    #[error(
        "{}: not initialized yet, since the layer has not seen an input; run one forward pass \
         first, or load a state dict",
        uninitialized_text(path, layer)
    )]
    Uninitialized {
        /// The parameter; empty if the layer itself was asked.
        path: String,
        /// The layer's type: `LazyLinear`.
        layer: &'static str,
    },
    /// A hook that failed. The forward pass ended there.
    #[error("{hook} of {}: {source}", layer_text(name, layer))]
    Hook {
        /// The layer's name in its container, empty if it stands alone.
        name: String,
        /// The type of the layer that the hook is registered on: `Linear`.
        layer: &'static str,
        /// `forward pre-hook` or `forward hook`.
        hook: &'static str,
        /// What the hook returned.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A rule that refuses a parameter or a value.
    #[error("`{path}`: {rule}: {source}")]
    Rule {
        /// The parameter.
        path: String,
        /// The rule's name.
        rule: String,
        /// Why it refuses.
        source: RuleError,
    },
    /// A constraint with an impossible option.
    #[error("{selector}: {constraint}: {source}")]
    Constraint {
        /// What it was to constrain.
        selector: String,
        /// The constraint's name.
        constraint: String,
        /// What is wrong with it.
        source: RuleError,
    },
    /// Registering on a running statistic, which the layer itself overwrites.
    #[error(
        "`{path}` is a running statistic that its layer writes: it cannot be parametrized, pruned, \
         tied or trained"
    )]
    RunningStatistic {
        /// The buffer.
        path: String,
    },
    /// An operation that needs a parametrization where there is none.
    #[error("`{path}` is not parametrized")]
    NotParametrized {
        /// The parameter.
        path: String,
    },
    /// A list of no rules to register.
    #[error("{selector}: a parametrization list requires one or more rules")]
    EmptyList {
        /// What it was to be registered on.
        selector: String,
    },
    /// A parametrization where there must be none yet.
    #[error("`{path}` is parametrized, pruned or tied already; remove that first")]
    AlreadyParametrized {
        /// The parameter.
        path: String,
    },
    /// A pruning operation where there is no mask.
    #[error("`{path}` is not pruned")]
    NotPruned {
        /// The parameter.
        path: String,
    },
    /// Going back to the original where there are several.
    #[error(
        "`{path}` is computed from {originals} originals and cannot go back to one; remove it with \
         `Leave::Parametrized`"
    )]
    SeveralOriginals {
        /// The parameter.
        path: String,
        /// How many originals it has.
        originals: usize,
    },
    /// A path that is no layer of the module.
    #[error("there is no layer `{path}`{}", nearest_text(nearest))]
    NoLayer {
        /// The path as given.
        path: String,
        /// The layers most like it, best first.
        nearest: Vec<String>,
    },
    /// Untying what is tied to nothing.
    #[error("`{path}` is not tied to another parameter{}", tied_to_it(aliases))]
    NotTied {
        /// The parameter or layer.
        path: String,
        /// What is tied to it.
        aliases: Vec<String>,
    },
    /// A tie that cannot be made.
    #[error("cannot tie `{target}` to `{to}`: {reason}")]
    Tie {
        /// The path that would become the alias.
        target: String,
        /// The path it would share.
        to: String,
        /// Why not.
        reason: TieError,
    },
    /// What cannot be pruned as asked.
    #[error("`{path}`: {source}")]
    Prune {
        /// The parameter, or the selection for a global pruning.
        path: String,
        /// What is wrong.
        source: PruneError,
    },
    /// Trainable parameters that the loss does not depend on.
    #[error(
        "no gradient for {}; the loss was not computed from the module that `effective()` returned \
         for this step, or does not use these parameters",
        paths.join(", ")
    )]
    MissingGradient {
        /// The parameters.
        paths: Vec<String>,
    },
    /// Parameter groups that overlap.
    #[error("`{path}` is in group `{first}` and in group `{second}`; a parameter has one group")]
    TwoGroups {
        /// The parameter.
        path: String,
        /// The group that has it.
        first: String,
        /// The group that wants it too.
        second: String,
    },
    /// Two groups of one name.
    #[error("there is a group `{group}` already; give this one another name")]
    GroupName {
        /// The name.
        group: String,
    },
    /// A group that does not exist.
    #[error("there is no group `{group}`; there are {}", known.join(", "))]
    NoGroup {
        /// The name asked for.
        group: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// An option that an optimizer cannot take.
    #[error("group `{group}`: {source}")]
    Options {
        /// The group.
        group: String,
        /// What is wrong with it.
        source: crate::optim::OptionError,
    },
    /// A saved state without one of the groups.
    #[error("the saved state has no group `{group}`; it has {}", known.join(", "))]
    NoSavedGroup {
        /// The group.
        group: String,
        /// The groups that it has.
        known: Vec<String>,
    },
    /// A schedule of a group that cannot start, move on or be restored.
    #[error("group `{group}`: {source}")]
    GroupSchedule {
        /// The group.
        group: String,
        /// What the schedule says.
        source: Box<Error>,
    },
    /// A saved state that is not of this optimizer.
    #[error(transparent)]
    OptimizerState(#[from] crate::optim::StateError),
    /// A file that training cannot go on from.
    #[error(transparent)]
    Training(#[from] crate::state::TrainingFault),
    /// An observation that failed.
    #[error(transparent)]
    Observe(#[from] crate::observe::ObserveError),
    /// A state dict that does not fit the module.
    #[error(transparent)]
    Load(Box<LoadReport>),
    /// An adapter in PEFT's files that cannot be read, written or put on the module.
    #[error(transparent)]
    Peft(#[from] PeftFault),
    /// Saved slots that cannot be rebuilt.
    #[error("the saved parametrizations cannot be rebuilt: {reason}")]
    ExtraState {
        /// What is wrong with them.
        reason: String,
    },
    /// A checkpoint file that cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] espalier_checkpoint::Error),
    /// A Burn record that cannot be read or written.
    #[error("record: {0}")]
    Record(#[from] burn::store::RecordError),
    /// An initializer with impossible options or on a tensor it cannot fill.
    #[error("`{path}`: {reason}")]
    Init {
        /// The parameter.
        path: String,
        /// What does not fit.
        reason: InitError,
    },
    /// A schedule with impossible options.
    #[error("{schedule}: {reason}")]
    Schedule {
        /// The schedule's name.
        schedule: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A step past the end of a schedule.
    #[error(
        "{schedule} ends after {total} steps: give it the number of steps of the whole training, or \
         stop stepping it"
    )]
    ScheduleEnd {
        /// The schedule's name.
        schedule: &'static str,
        /// Its length.
        total: usize,
    },
    /// A step without the metric that the schedule needs.
    #[error(
        "{schedule} needs a metric at each step: call `step_with(metric)`; for groups, \
         `end_step_with` or `end_epoch_with`"
    )]
    ScheduleMetric {
        /// The schedule's name.
        schedule: &'static str,
    },
    /// A saved state of another schedule.
    #[error(
        "the saved state is of `{found}`, the schedule is `{expected}`; build the schedule as it \
         was, or start a new one from the present values"
    )]
    ScheduleState {
        /// The schedule that the state was to be loaded into.
        expected: String,
        /// The schedule that the state belongs to.
        found: String,
    },
    /// Gradients that are not finite.
    #[error(
        "the gradient of {} {} NaN or infinite; lower the rate, or skip such steps with \
         `NonFinite::Skip`",
        first_few(paths),
        if paths.len() == 1 { "is" } else { "are" }
    )]
    NonFiniteGradient {
        /// The parameters.
        paths: Vec<String>,
    },
    /// Clipping with an impossible bound or norm.
    #[error("{function}: {reason}")]
    Clip {
        /// The function.
        function: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// An average with impossible options, or of networks that differ.
    #[error("average: {reason}")]
    Average {
        /// What is wrong.
        reason: String,
    },
}

impl From<LoadReport> for Error {
    fn from(report: LoadReport) -> Self {
        Self::Load(Box::new(report))
    }
}

impl Error {
    /// The error of a layer, told by the container in which the layer is named `name`.
    pub(crate) fn inside(mut self, name: &str) -> Self {
        if let Self::Layer(LayerError { name: inner, .. })
        | Self::Hook { name: inner, .. }
        | Self::Uninitialized { path: inner, .. } = &mut self
        {
            *inner = if inner.is_empty() { name.to_owned() } else { format!("{name}.{inner}") };
        }
        self
    }
}

/// ``layer `2` (Linear)``, or `Linear` for a layer that stands alone.
pub(crate) fn layer_text(name: &str, kind: &str) -> String {
    if name.is_empty() { kind.to_owned() } else { format!("layer `{name}` ({kind})") }
}

/// `` `0.weight` (LazyLinear)``, or `LazyLinear`.
fn uninitialized_text(path: &str, layer: &str) -> String {
    if path.is_empty() { layer.to_owned() } else { format!("`{path}` ({layer})") }
}

/// Why two paths cannot be tied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TieError {
    /// A path tied to itself, directly or through others.
    #[error("they are one parameter already")]
    Same,
    /// The alias has a parametrization or mask of its own.
    #[error("the first is parametrized or pruned; remove that, then tie")]
    Slotted,
    /// Layers that do not have the same parameters.
    #[error("the layers differ: {}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Layers {
        /// Everything that does not fit, in the order of the parameters.
        faults: Vec<LayerFault>,
    },
    /// A layer that cannot be saved alone.
    #[error(
        "the first is the transpose of a parametrized or pruned parameter of another layer, for \
         which a state dict has no name; untie it, then save the layer"
    )]
    TransposedAlone,
    /// The shapes differ.
    #[error("shapes {target:?} and {to:?} differ (in PyTorch's layout, output features first)")]
    Shape {
        /// Shape of the alias.
        target: Vec<usize>,
        /// Shape of the path to share.
        to: Vec<usize>,
    },
}

/// What keeps one parameter of a layer from being tied to the same one of another layer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayerFault {
    /// Only the layer to share has it.
    #[error("the first has no `{name}`")]
    Missing {
        /// The parameter's name in the layer.
        name: String,
    },
    /// Only the layer that would share has it.
    #[error("the second has no `{name}`")]
    Extra {
        /// The parameter's name in the layer.
        name: String,
    },
    /// The shapes differ.
    #[error("`{name}` has shape {target:?} in the first and {to:?} in the second")]
    Shape {
        /// The parameter's name in the layers.
        name: String,
        /// The shape in the layer that would share, in PyTorch's layout.
        target: Vec<usize>,
        /// The shape in the layer to share.
        to: Vec<usize>,
    },
    /// It has a parametrization, a mask or a tie of its own.
    #[error("`{name}` of the first is parametrized, pruned or tied already; remove that, then tie")]
    Slotted {
        /// The parameter's name in the layer.
        name: String,
    },
}

/// `; a, b are tied to it`, or nothing.
fn tied_to_it(aliases: &[String]) -> String {
    match aliases {
        [] => String::new(),
        aliases => format!("; tied to it: {}, to be untied there", quoted(aliases)),
    }
}

/// `a, b, c and 5 more`.
fn first_few(paths: &[String]) -> String {
    let quoted: Vec<String> = paths.iter().take(3).map(|path| format!("`{path}`")).collect();
    match paths.len().saturating_sub(quoted.len()) {
        0 => quoted.join(", "),
        more => format!("{} and {more} more", quoted.join(", ")),
    }
}

/// `; nearest: a, b`, or nothing.
fn nearest_text(nearest: &[String]) -> String {
    if nearest.is_empty() {
        return String::new();
    }
    format!("; nearest: {}", quoted(nearest))
}

/// `a`, `b`, in quotes.
fn quoted(paths: &[String]) -> String {
    let quoted: Vec<String> = paths.iter().map(|path| format!("`{path}`")).collect();
    quoted.join(", ")
}

/// What is a tensor of a module that is not of this kind.
fn other(kind: Kind) -> Kind {
    match kind {
        Kind::Parameter => Kind::Buffer,
        Kind::Buffer => Kind::Parameter,
    }
}
