//! What is said of a training run.

use espalier_files::{Run, RunPruning, RunSummary};

use super::escape::html;
use super::totals::tile;
use crate::format::{grouped, harmless, per_cent};

pub(super) fn section(run: &Run) -> String {
    let mut text = String::from(
        "<section aria-labelledby=\"run-title\">\n<h2 id=\"run-title\">Training</h2>\n<dl class=\"tiles\">\n",
    );
    text.push_str(&tiles(run));
    text.push_str("</dl>\n");
    if run.summary.is_none() {
        text.push_str(
            "<p class=\"note\">The run has not ended: these are its epochs so far.</p>\n",
        );
    }
    if run.torn {
        text.push_str(
            "<p class=\"note\">The last line of metrics.jsonl breaks off and is left out.</p>\n",
        );
    }
    if run.epochs.is_empty() {
        text.push_str("<p class=\"note\">No epoch is done.</p>\n");
    } else {
        text.push_str(CURVES);
    }
    if let Some(pruning) = &run.pruning {
        text.push_str(&timeline(pruning));
    }
    text.push_str(&format!(
        "<details><summary>The recipe</summary><pre tabindex=\"0\">{}</pre></details>\n</section>\n",
        html(&run.recipe)
    ));
    text
}

const CURVES: &str = "<div id=\"curves\" class=\"charts\"></div>
<details id=\"numbers\" hidden><summary>The numbers of the curves</summary>\
<div class=\"scroll\" role=\"region\" aria-label=\"The numbers of the curves\" tabindex=\"0\"></div></details>
";

fn tiles(run: &Run) -> String {
    let mut text = String::new();
    if let Some(summary) = &run.summary {
        let RunSummary { accuracy, sparsity, seconds, seed, parameters } = summary;
        let before = match accuracy.before_pruning {
            Some(before) if run.pruning.is_some() => {
                format!("{} before pruning", per_cent(Some(before)))
            }
            _ => String::new(),
        };
        text.push_str(&tile("Test accuracy", &per_cent(accuracy.after_pruning), &before, false));
        text.push_str(&tile("Sparsity of the weights", &per_cent(*sparsity), "", false));
        let number = |number: Option<u64>| number.map_or_else(|| "-".into(), grouped);
        text.push_str(&tile("Parameters", &number(*parameters), "tied ones once", false));
        text.push_str(&tile("Time", &seconds.map_or_else(|| "-".into(), time), "", false));
        text.push_str(&tile(
            "Seed",
            &seed.map_or_else(|| "-".into(), |seed| seed.to_string()),
            "",
            false,
        ));
    } else if let Some(last) = run.epochs.last() {
        text.push_str(&tile("Test accuracy", &per_cent(last.test_accuracy), "so far", false));
    }
    let steps = run.epochs.last().and_then(|epoch| epoch.step);
    let steps = steps.map(|steps| format!("{} steps", grouped(steps as u64))).unwrap_or_default();
    text.push_str(&tile("Epochs", &grouped(run.epochs.len() as u64), &steps, false));
    text
}

/// Seconds, or minutes and hours where there are any.
fn time(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours} h {minutes:02} min")
    } else {
        format!("{minutes} min {seconds:02} s")
    }
}

/// The rounds of pruning in a table.
fn timeline(pruning: &RunPruning) -> String {
    let said = |text: &Option<String>| text.as_deref().map(|text| html(&harmless(text)));
    let method = said(&pruning.method).unwrap_or_default();
    let scope = said(&pruning.scope).map(|scope| format!(", {scope} scope")).unwrap_or_default();
    let of = match pruning.of.as_str() {
        "network" => "of all of the network's weights",
        _ => "of the selected parameters",
    };
    let mut text = format!(
        "<h2>Pruning</h2>\n<p class=\"note\"><span class=\"name\">{method}</span>{scope}; targets are shares {of}, what \
         was reached is of all weights.</p>\n<div class=\"scroll\" role=\"region\" aria-label=\"Rounds of pruning\" \
         tabindex=\"0\">\n<table>\n<thead><tr><th scope=\"col\">Round</th><th scope=\"col\">After epoch</th>\
         <th scope=\"col\">Target</th><th scope=\"col\">Reached</th><th scope=\"col\">Accuracy before</th>\
         <th scope=\"col\">One epoch later</th></tr></thead>\n<tbody>\n"
    );
    for (at, round) in pruning.rounds.iter().enumerate() {
        text.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            at + 1,
            round.epoch,
            per_cent(round.target),
            per_cent(round.reached),
            per_cent(round.accuracy_before),
            per_cent(round.accuracy_after),
        ));
    }
    text.push_str("</tbody>\n</table>\n</div>\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let cases =
            [(0.25, "0.2 s"), (59.94, "59.9 s"), (75.0, "1 min 15 s"), (7260.0, "2 h 01 min")];
        for (seconds, text) in cases {
            assert_eq!(time(seconds), text);
        }
    }
}
