//! `espalier predict`

use std::fmt::Write as _;

use espalier_recipe::{Examples, Prediction, Predictor};
use serde::Serialize;

use crate::args::PredictArgs;
use crate::error::CliError;
use crate::terminal::{Output, to_stderr};
use crate::train::per_cent;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Document<'a> {
    predictions: Vec<Row<'a>>,
    /// Fraction of the images whose label was found; none if the file has no labels.
    accuracy: Option<f64>,
}

/// A prediction and, if the file has labels, the image's.
#[derive(Debug, Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    prediction: &'a Prediction,
    #[serde(skip_serializing_if = "Option::is_none")]
    given: Option<usize>,
}

pub(crate) fn run(args: &PredictArgs, output: &mut Output) -> Result<(), CliError> {
    let predictor = Predictor::open(&args.run)?;
    let examples = Examples::read(&args.data, &predictor)?;
    let predictions = predictor.predict(&examples)?;
    if let Some(largest) = predictor.largest().filter(|largest| *largest > 1.0)
        && 0.0 < examples.largest()
        && examples.largest() <= 1.0
    {
        to_stderr(&format!(
            "warning: every value is at most 1; the network's data are scaled 0 to {largest}\n"
        ));
    }
    let right = examples.labels().map(|labels| right(&predictions, labels));
    if args.json {
        let document = Document {
            predictions: rows(&predictions, examples.labels()),
            accuracy: right.map(|right| right as f64 / predictions.len().max(1) as f64),
        };
        output.json(&document)?;
    } else {
        output.write(&lines(&predictions, examples.labels(), right));
    }
    Ok(())
}

/// How many labels were found.
fn right(predictions: &[Prediction], labels: &[usize]) -> usize {
    let pairs = predictions.iter().zip(labels);
    pairs.filter(|(found, label)| found.label == Some(**label)).count()
}

fn rows<'a>(predictions: &'a [Prediction], labels: Option<&[usize]>) -> Vec<Row<'a>> {
    let given = |place: usize| labels.and_then(|labels| labels.get(place)).copied();
    predictions
        .iter()
        .enumerate()
        .map(|(place, prediction)| Row { prediction, given: given(place) })
        .collect()
}

/// A line an image under a heading, and the accuracy if there are labels.
fn lines(predictions: &[Prediction], labels: Option<&[usize]>, right: Option<usize>) -> String {
    if predictions.iter().all(|found| found.label.is_none()) {
        return values(predictions);
    }
    let mut text = String::from("index  label  probability");
    text.push_str(if labels.is_some() { "  given\n" } else { "\n" });
    // Writing to a string cannot fail.
    for (place, found) in predictions.iter().enumerate() {
        let Prediction { index, label, probability, .. } = found;
        let (label, probability) = (label.unwrap_or_default(), probability.unwrap_or_default());
        let _ = write!(text, "{index:>5}  {label:>5}  {probability:>11.4}");
        let _ = match labels.and_then(|labels| labels.get(place)) {
            Some(given) => writeln!(text, "  {given:>5}"),
            None => writeln!(text),
        };
    }
    if let Some(right) = right {
        let count = predictions.len();
        let accuracy = per_cent(right as f64 / count.max(1) as f64);
        let _ = writeln!(text, "accuracy {accuracy} ({right} of {count})");
    }
    text
}

/// A line an example with the numbers that the network gives.
fn values(predictions: &[Prediction]) -> String {
    let mut text = String::from("index  values\n");
    for Prediction { index, values, .. } in predictions {
        let values: Vec<String> = values.iter().map(|value| format!("{value:.6}")).collect();
        let _ = writeln!(text, "{index:>5}  {}", values.join(" "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions() -> Vec<Prediction> {
        [(3, 0.98766), (0, 1.0), (7, 0.25)]
            .into_iter()
            .enumerate()
            .map(|(index, (label, probability))| Prediction {
                index,
                label: Some(label),
                probability: Some(probability),
                values: Vec::new(),
            })
            .collect()
    }

    #[test]
    fn lines_with_and_without_labels() {
        let (found, labels) = (predictions(), [3, 1, 7]);
        let right = right(&found, &labels);
        assert_eq!(
            lines(&found, Some(&labels), Some(right)),
            "index  label  probability  given\n    \
                 0      3       0.9877      3\n    \
                 1      0       1.0000      1\n    \
                 2      7       0.2500      7\n\
             accuracy 66.67 % (2 of 3)\n"
        );
        assert_eq!(
            lines(&found[..1], None, None),
            "index  label  probability\n    0      3       0.9877\n"
        );
    }
}
