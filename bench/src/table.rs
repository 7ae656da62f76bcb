//! Results as a table.

use std::fmt;

use crate::Times;

/// One measurement against one peer.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was done.
    pub case: String,
    /// Who did it beside us.
    pub peer: String,
    /// Our times.
    pub ours: Times,
    /// Theirs.
    pub theirs: Times,
    /// The ratio `ours / theirs` that was aimed at, if any.
    pub target: Option<f64>,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.ours.ratio(&self.theirs)
    }

    fn verdict(&self) -> &'static str {
        match self.target {
            None => "",
            Some(target) if self.ratio() <= target => "met",
            Some(_) => "missed",
        }
    }
}

/// Rows with a heading each.
#[derive(Debug, Default)]
pub struct Table(pub Vec<Row>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| {:<44} | {:>9} | {:<28} | {:>9} | {:>6} | {:>6} | {:<6} |",
            "case", "ours, ms", "peer", "peer, ms", "ratio", "target", ""
        )?;
        writeln!(
            f,
            "|{}|",
            [
                "-".repeat(46),
                "-".repeat(10) + ":",
                "-".repeat(30),
                "-".repeat(10) + ":",
                "-".repeat(7) + ":",
                "-".repeat(7) + ":",
                "-".repeat(8)
            ]
            .join("|")
        )?;
        for row in &self.0 {
            let target = row.target.map_or_else(String::new, |target| format!("{target:.2}"));
            writeln!(
                f,
                "| {:<44} | {:>9.4} | {:<28} | {:>9.4} | {:>6.3} | {:>6} | {:<6} |",
                row.case,
                row.ours.median() * 1e3,
                row.peer,
                row.theirs.median() * 1e3,
                row.ratio(),
                target,
                row.verdict()
            )?;
        }
        Ok(())
    }
}
