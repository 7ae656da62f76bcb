//! What is shown of a run while it goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use espalier_recipe::{EpochMetrics, Event, Observer, TableRow};
use espalier_report::{ParameterRow, Style, parameter_table};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::terminal::{Console, Output, harmless, to_stderr};
use crate::train::per_cent;

/// How progress is shown on standard error.
enum Shown {
    /// Not at all.
    Nothing,
    /// A line an epoch, for files and pipes.
    Lines,
    /// A bar that is redrawn in place, with what the last epoch came to.
    Bar { last: String },
}

/// Shows a run: tables on standard output, progress and messages on standard error.
pub(crate) struct Progress<'a> {
    shown: Shown,
    bar: ProgressBar,
    steps: usize,
    epochs: usize,
    stop: Arc<AtomicBool>,
    tables: Style,
    output: &'a mut Output,
}

impl<'a> Progress<'a> {
    /// For runs that end early once `stop` is set.
    pub(crate) fn new(
        quiet: bool,
        console: &Console,
        stop: Arc<AtomicBool>,
        output: &'a mut Output,
    ) -> Self {
        let (shown, bar) = match (quiet, console.live) {
            (true, _) => (Shown::Nothing, ProgressBar::hidden()),
            (false, false) => (Shown::Lines, ProgressBar::hidden()),
            (false, true) => (Shown::Bar { last: String::new() }, bar(console.unicode)),
        };
        Self { shown, bar, steps: 0, epochs: 0, stop, tables: console.tables, output }
    }

    /// Takes the bar away.
    pub(crate) fn close(self) {
        self.bar.finish_and_clear();
    }

    fn message(&self, line: &str) {
        if !matches!(self.shown, Shown::Nothing) {
            let line = format!("{}\n", harmless(line));
            self.bar.suspend(|| to_stderr(&line));
        }
    }

    fn table(&mut self, title: &str, rows: &[TableRow]) {
        let rows: Vec<ParameterRow> = rows.iter().map(row).collect();
        let text = parameter_table(&rows, title, self.tables);
        self.bar.suspend(|| self.output.write(&text));
    }

    fn step(&self, step: usize, epoch: usize, loss: f64) {
        let Shown::Bar { last } = &self.shown else {
            return;
        };
        let epochs = self.epochs;
        self.bar.set_message(format!("epoch {epoch}/{epochs}  loss {loss:.4}{last}"));
        self.bar.set_position(step as u64);
    }

    fn epoch(&mut self, metrics: &EpochMetrics) {
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Lines => to_stderr(&epoch_line(metrics, (self.steps, self.epochs))),
            Shown::Bar { last } => {
                let rate = metrics.rates.values().next().copied().unwrap_or_default();
                *last = format!(
                    "  {}  rate {rate:.1e}  sparsity {}",
                    tested(metrics),
                    per_cent(metrics.sparsity)
                );
            }
        }
    }
}

impl Observer for Progress<'_> {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Run { name, index, count, steps, epochs } => {
                (self.steps, self.epochs) = (steps, epochs);
                self.bar.set_length(steps as u64);
                self.bar.reset();
                if count > 1 {
                    self.message(&format!("run: {name}, {} of {count}", index + 1));
                }
            }
            Event::Log(line) => self.message(line),
            Event::Table { title, rows } => self.table(title, rows),
            Event::Step { step, epoch, loss } => self.step(step, epoch, loss),
            Event::Epoch(metrics) => self.epoch(metrics),
            _ => {}
        }
    }

    fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn row(row: &TableRow) -> ParameterRow {
    ParameterRow {
        name: row.name.clone(),
        shape: row.shape.clone(),
        parameters: row.parameters,
        zeros: row.zeros,
    }
}

fn bar(unicode: bool) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg}  {wide_bar:.green} {pos}/{len} steps, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars(if unicode { "━╸ " } else { "=> " });
    let target = ProgressDrawTarget::stderr();
    ProgressBar::with_draw_target(Some(0), target).with_style(style)
}

/// What an epoch came to; the lines of a run stand in columns.
fn epoch_line(metrics: &EpochMetrics, (steps, epochs): (usize, usize)) -> String {
    let column = |number: usize, most: usize| {
        let width = most.to_string().len();
        format!("{number:>width$}")
    };
    let wide = |fraction: f64| format!("{:>8}", per_cent(fraction));
    let accuracy = match (metrics.train_accuracy, metrics.test_accuracy) {
        (Some(train), Some(test)) => {
            format!("accuracy {} training, {} test", wide(train), wide(test))
        }
        _ => format!("test loss {:.4}", metrics.test_loss),
    };
    format!(
        "epoch {}/{epochs}  step {}  loss {:.4}  {accuracy}  sparsity {}  {:.1} s\n",
        column(metrics.epoch, epochs),
        column(metrics.step, steps),
        metrics.loss,
        wide(metrics.sparsity),
        metrics.seconds,
    )
}

/// How the network did on the test examples.
fn tested(metrics: &EpochMetrics) -> String {
    match metrics.test_accuracy {
        Some(accuracy) => format!("accuracy {}", per_cent(accuracy)),
        None => format!("test loss {:.4}", metrics.test_loss),
    }
}
