//! What a run tells while it goes on, and what it comes to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a run tells its [`Observer`].
///
/// ```
/// use espalier_recipe::{Event, Observer};
///
/// /// Keeps the lines.
/// struct Lines(Vec<String>);
///
/// impl Observer for Lines {
///     fn event(&mut self, event: Event<'_>) {
///         if let Event::Log(line) = event {
///             self.0.push(line.to_owned());
///         }
///     }
/// }
///
/// let mut lines = Lines(Vec::new());
/// lines.event(Event::Log("data: digits"));
/// assert_eq!(lines.0, ["data: digits"]);
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A run begins, of one or several.
    Run {
        /// The recipe's name, `pretrain`, or a variant's name.
        name: &'a str,
        /// Its place among the runs, from 0.
        index: usize,
        /// How many runs there are.
        count: usize,
        /// Its training steps in all.
        steps: usize,
        /// Its epochs in all.
        epochs: usize,
    },
    /// One line, led by what it is about: `prune: round 2 of 3 after 12 epochs: ...`.
    Log(&'a str),
    /// The network's parameters as they are.
    Table {
        /// When: `before training`, `after pruning`.
        title: &'a str,
        /// One row a parameter, in the network's order.
        rows: &'a [TableRow],
    },
    /// A training step is done.
    Step {
        /// Steps done so far, this one included.
        step: usize,
        /// The epoch it belongs to, from 1.
        epoch: usize,
        /// Mean loss of its batch.
        loss: f64,
    },
    /// An epoch is done.
    Epoch(&'a EpochMetrics),
}

/// Who is told how a run goes on, and may stop it.
pub trait Observer {
    /// Something happened.
    fn event(&mut self, event: Event<'_>);

    /// Whether to stop after the present step; asked after every one.
    fn interrupted(&self) -> bool {
        false
    }
}

/// One parameter in an [`Event::Table`], by PyTorch's name and in its layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRow {
    /// `0.weight`
    pub name: String,
    /// Output features first.
    pub shape: Vec<usize>,
    /// Elements.
    pub parameters: u64,
    /// Elements that are exactly zero.
    pub zeros: u64,
}

/// What is measured after each epoch: one line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EpochMetrics {
    /// Epochs done so far, this one included.
    pub epoch: usize,
    /// Steps done so far.
    pub step: usize,
    /// Mean training loss of the epoch's examples, each before its step.
    pub loss: f64,
    /// Fraction of the epoch's training examples (positions, of sequences) that were right, each before
    /// its step; none where targets are no classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_accuracy: Option<f64>,
    /// Fraction of the test examples that are right after the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
    /// Mean loss of the test examples after the epoch.
    pub test_loss: f64,
    /// Euclidean norm of all gradients together in the epoch's last step, before they are clipped.
    pub gradient_norm: f64,
    /// The learning rate of each group in the epoch's last step, by the group's name.
    pub rates: BTreeMap<String, f64>,
    /// Fraction of the network's weights (parameters of two or more dimensions) that are zero.
    pub sparsity: f64,
    /// Seconds that the epoch took, testing included.
    pub seconds: f64,
}

/// Test accuracies of a run, fractions of the test examples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Right before the first round of pruning; without pruning the same as the other.
    pub before_pruning: f64,
    /// Of the network that is saved.
    pub after_pruning: f64,
}

/// What a run came to: `summary.json`.
///
/// ```
/// use espalier_recipe::Summary;
///
/// let text = r#"{"accuracy": {"before_pruning": 0.99, "after_pruning": 0.98}, "loss": 0.05,
///     "sparsity": 0.8, "parameters": 1000, "trained": 1000, "epochs": 36, "seconds": 12.5, "seed": 3}"#;
/// let summary: Summary = serde_json::from_str(text)?;
/// assert_eq!(summary.accuracy.map(|accuracy| accuracy.after_pruning), Some(0.98));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Test accuracies; none where targets are no classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Accuracy>,
    /// Test loss of the network that is saved.
    pub loss: f64,
    /// Fraction of zeros among the saved tensors of two or more dimensions.
    pub sparsity: f64,
    /// Elements of the network's parameters, zeros included, tied ones once.
    pub parameters: u64,
    /// Elements that were trained: those of rules' own parameters, and none that are frozen.
    pub trained: u64,
    /// Epochs that were trained.
    pub epochs: usize,
    /// Seconds from the first step to the saved files; of a run that was gone on with, of its last part.
    pub seconds: f64,
    /// The seed that the run followed from.
    pub seed: u64,
}
