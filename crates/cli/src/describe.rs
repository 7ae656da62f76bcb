//! What `espalier train --dry-run` prints.

use std::fmt::Write as _;

use espalier_recipe::Description;
use espalier_report::{ParameterRow, parameter_table};

use crate::terminal::{Console, harmless};
use crate::train::per_cent;

/// Everything that a training would do.
pub(crate) fn text(description: &Description, console: &Console) -> String {
    let mut text = String::new();
    for line in &description.lines {
        let _ = writeln!(text, "{}", harmless(line));
    }
    text.push('\n');
    layers(&mut text, description);
    let rows: Vec<ParameterRow> = description
        .parameters
        .iter()
        .map(|row| ParameterRow {
            name: row.name.clone(),
            shape: row.shape.clone(),
            parameters: row.parameters,
            zeros: row.zeros,
        })
        .collect();
    text.push('\n');
    text.push_str(&parameter_table(&rows, "parameters before training", console.tables));
    text.push('\n');
    for group in &description.groups {
        let _ = writeln!(
            text,
            "group {}: rate {}, decay {}",
            harmless(&group.name),
            group.rate,
            group.decay
        );
        for name in &group.parameters {
            let _ = writeln!(text, "  {}", harmless(name));
        }
    }
    let (epochs, steps) = description.length;
    let _ = writeln!(text, "\n{epochs} epochs, {steps} steps");
    if !description.curve.is_empty() {
        text.push_str(description.curve.trim_end());
        text.push('\n');
    }
    for (epoch, sparsity) in &description.rounds {
        let _ = writeln!(text, "pruning after {epoch} epochs to {}", per_cent(*sparsity));
    }
    text.push_str("nothing was trained\n");
    text
}

/// The network, a line a layer.
fn layers(text: &mut String, description: &Description) {
    let rows: Vec<[String; 5]> = description
        .layers
        .iter()
        .map(|layer| {
            let output: Vec<String> = layer.output.iter().map(ToString::to_string).collect();
            [
                layer.path.clone(),
                harmless(&layer.layer),
                output.join(" x "),
                layer.parameters.to_string(),
                layer.macs.to_string(),
            ]
        })
        .collect();
    let head = ["", "layer", "output", "parameters", "MACs"].map(str::to_owned);
    let width = |column: usize| {
        let all = rows.iter().chain([&head]).map(|row| row[column].chars().count());
        all.max().unwrap_or(0)
    };
    let widths = [0, 1, 2, 3, 4].map(width);
    for row in [&head].into_iter().chain(&rows) {
        let [path, layer, output, parameters, macs] = row;
        let [a, b, c, d, e] = widths;
        let line = format!("{path:<a$}  {layer:<b$}  {output:<c$}  {parameters:>d$}  {macs:>e$}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let parameters: u64 = description.layers.iter().map(|layer| layer.parameters).sum();
    let macs: u64 = description.layers.iter().map(|layer| layer.macs).sum();
    let _ = writeln!(text, "{parameters} parameters, {macs} multiply-accumulates for an example");
}
