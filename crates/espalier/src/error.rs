//! What can go wrong, with the path, what was expected, what was found, and the mend.

use crate::init::InitError;
use crate::nn::LayerError;
use crate::parametrize::RuleError;
use crate::state::LoadReport;

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
    /// An amount to prune outside its range.
    #[error("`{path}`: {source}")]
    Amount {
        /// The parameter, or the selection for a global pruning.
        path: String,
        /// What is wrong with it.
        source: AmountError,
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
    /// A state dict that does not fit the module.
    #[error(transparent)]
    Load(Box<LoadReport>),
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
}

impl From<LoadReport> for Error {
    fn from(report: LoadReport) -> Self {
        Self::Load(Box::new(report))
    }
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

/// What is wrong with an amount to prune.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// A fraction outside `[0, 1]`.
    #[error("a fraction to prune lies in 0.0..=1.0, found {found}")]
    Fraction {
        /// The fraction given.
        found: f64,
    },
    /// More units than there are.
    #[error("cannot prune {asked} of {available} values")]
    Count {
        /// Units asked for.
        asked: usize,
        /// Units there are.
        available: usize,
    },
}

/// `; a, b are tied to it`, or nothing.
fn tied_to_it(aliases: &[String]) -> String {
    match aliases {
        [] => String::new(),
        aliases => {
            let quoted: Vec<String> = aliases.iter().map(|path| format!("`{path}`")).collect();
            format!("; tied to it: {}, to be untied there", quoted.join(", "))
        }
    }
}

/// `; did you mean a, b?`, or nothing.
fn nearest_text(nearest: &[String]) -> String {
    if nearest.is_empty() {
        return "; the module has none".to_owned();
    }
    let quoted: Vec<String> = nearest.iter().map(|path| format!("`{path}`")).collect();
    format!("; nearest: {}", quoted.join(", "))
}
