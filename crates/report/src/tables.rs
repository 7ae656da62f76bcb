//! The tables of the program.

use espalier_files::{Summary, TensorRow};

use crate::format::{bytes, grouped, harmless, per_cent, shape, statistic};
use crate::style::{Column, Style, draw};

const fn column(heading: &'static str, dispensable: u8) -> Column {
    Column { heading, dispensable }
}

/// The table of a whole summary: a row for each tensor and one of the sums, ending in a newline.
///
/// Sparsity is in per cent, statistics have four digits, and what has no value is `-`. On a narrow
/// terminal long names break over lines; where that is not enough, the extremes, then mean and deviation,
/// then the type are left out, which a line below says. A name cannot direct the terminal: its control
/// characters are escaped.
///
/// Lines below the table name each tensor that holds values that are not finite, and count the values of
/// each type that is not decoded; the zeros and the sparsity of the total are without these.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor};
/// use espalier_files::{Silent, inspect};
/// use espalier_report::{Style, table};
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("w", vec![2], &[0.0, 1.0])?)?;
/// let text = table(&inspect(&checkpoint, &std::sync::Arc::new(Silent))?, Style::ascii());
/// assert_eq!(text.lines().nth(3), Some(
///     "| w          | F32   | 2     |          2 |     1 |   50.00% | 0.5000 | 0.5000 |   0 | 1.000 |"
/// ));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn table(summary: &Summary, style: Style) -> String {
    let columns = [
        column("name", 0),
        column("dtype", 1),
        column("shape", 0),
        column("parameters", 0),
        column("zeros", 0),
        column("sparsity", 0),
        column("mean", 2),
        column("std", 2),
        column("min", 3),
        column("max", 3),
    ];
    let total = &summary.total;
    let own = || summary.tensors.iter().filter(|row| row.tied_to.is_none());
    let unknown = own().next().is_some() && own().all(|row| row.zeros.is_none());
    let mut rows: Vec<Vec<String>> = summary.tensors.iter().map(tensor_row).collect();
    let mut sums = vec![
        format!("total of {}", grouped(total.tensors)),
        String::new(),
        String::new(),
        grouped(total.parameters),
        if unknown { "-".into() } else { grouped(total.zeros) },
        per_cent((!unknown).then_some(total.sparsity)),
    ];
    sums.resize(columns.len(), String::new());
    rows.push(sums);
    let mut text = draw(&columns, 3, &rows, style);
    text.extend(summary.tensors.iter().filter_map(not_finite));
    text.push_str(&not_decoded(own()));
    text
}

/// The table of a summary without a look at the elements: names, types, shapes, parameters and bytes.
///
/// Narrow terminals and names are dealt with as in [`table`].
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor};
/// use espalier_report::{Style, headers_table};
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("w", vec![2], &[0.0, 1.0])?)?;
/// let text = headers_table(&espalier_files::headers(&checkpoint), Style::ascii());
/// assert_eq!(text.lines().nth(3), Some("| w          | F32   | 2     |          2 |   8 B |"));
/// # Ok::<(), espalier_checkpoint::Error>(())
/// ```
pub fn headers_table(summary: &Summary, style: Style) -> String {
    let columns = [
        column("name", 0),
        column("dtype", 1),
        column("shape", 0),
        column("parameters", 0),
        column("bytes", 0),
    ];
    let total = &summary.total;
    let mut rows: Vec<Vec<String>> = summary
        .tensors
        .iter()
        .map(|row| {
            let mut cells = tensor_row(row);
            cells.truncate(4);
            cells.push(bytes(row.bytes));
            cells
        })
        .collect();
    rows.push(vec![
        format!("total of {}", grouped(total.tensors)),
        String::new(),
        String::new(),
        grouped(total.parameters),
        bytes(total.bytes),
    ]);
    draw(&columns, 3, &rows, style)
}

/// The line about the values of a tensor that are not finite, if it has any.
fn not_finite(row: &TensorRow) -> Option<String> {
    let found = row.nonfinite.filter(|&found| found > 0)?;
    let statistics = if found == row.numel {
        "there are no statistics"
    } else {
        "its statistics are over the finite ones"
    };
    Some(format!(
        "not finite: {} has {} of {} values (NaN or infinite); {statistics}\n",
        harmless(&row.name),
        grouped(found),
        grouped(row.numel),
    ))
}

/// A line for each type that is not decoded, in the order of the tensors.
fn not_decoded<'a>(rows: impl Iterator<Item = &'a TensorRow>) -> String {
    let mut counts: Vec<(&str, u64)> = Vec::new();
    for row in rows.filter(|row| row.zeros.is_none() && row.numel > 0) {
        match counts.iter_mut().find(|(dtype, _)| *dtype == row.dtype) {
            Some((_, count)) => *count = count.saturating_add(row.numel),
            None => counts.push((&row.dtype, row.numel)),
        }
    }
    let mut text = String::new();
    for (dtype, count) in counts {
        let (values, are) = if count == 1 { ("value", "is") } else { ("values", "are") };
        text.push_str(&format!(
            "{} {values} of {} {are} not decoded and left out of zeros and statistics\n",
            grouped(count),
            harmless(dtype),
        ));
    }
    text
}

fn tensor_row(row: &TensorRow) -> Vec<String> {
    let name = match &row.tied_to {
        Some(to) => format!("{} = {}", harmless(&row.name), harmless(to)),
        None => harmless(&row.name),
    };
    vec![
        name,
        row.dtype.clone(),
        shape(&row.shape),
        grouped(row.numel),
        row.zeros.map_or_else(|| "-".into(), grouped),
        per_cent(row.sparsity),
        statistic(row.mean),
        statistic(row.std),
        statistic(row.min),
        statistic(row.max),
    ]
}

/// A parameter, counted.
///
/// ```
/// use espalier_report::ParameterRow;
/// let row = ParameterRow { name: "fc.weight".into(), shape: vec![10, 4], parameters: 40, zeros: 12 };
/// assert_eq!(row.shape.iter().product::<usize>() as u64, row.parameters);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterRow {
    /// The path of the parameter.
    pub name: String,
    /// The size of each dimension.
    pub shape: Vec<usize>,
    /// The number of elements.
    pub parameters: u64,
    /// The number of elements that are zero.
    pub zeros: u64,
}

/// The compact table of a network, before or after a change: a title, a row for each parameter and one of
/// the sums, ending in a newline.
///
/// Long names and control characters are dealt with as in [`table`].
///
/// ```
/// use espalier_report::{ParameterRow, Style, parameter_table};
/// let row = ParameterRow { name: "fc".into(), shape: vec![4], parameters: 4, zeros: 3 };
/// let text = parameter_table(&[row], "after pruning", Style::ascii());
/// assert_eq!(text.lines().next(), Some("after pruning"));
/// assert_eq!(text.lines().nth(4), Some("| fc    | 4     |          4 |     3 | 75.00% |"));
/// ```
pub fn parameter_table(rows: &[ParameterRow], title: &str, style: Style) -> String {
    let columns = [
        column("name", 0),
        column("shape", 1),
        column("parameters", 0),
        column("zeros", 0),
        column("%", 0),
    ];
    let sum = |of: fn(&ParameterRow) -> u64| rows.iter().map(of).fold(0, u64::saturating_add);
    let line = |name: String, shape: String, parameters: u64, zeros: u64| {
        let share = if parameters == 0 { 0.0 } else { zeros as f64 / parameters as f64 };
        vec![name, shape, grouped(parameters), grouped(zeros), per_cent(Some(share))]
    };
    let mut lines: Vec<Vec<String>> = rows
        .iter()
        .map(|row| line(harmless(&row.name), shape(&row.shape), row.parameters, row.zeros))
        .collect();
    let (parameters, zeros) = (sum(|row| row.parameters), sum(|row| row.zeros));
    lines.push(line("total".into(), String::new(), parameters, zeros));
    format!("{}\n{}", harmless(title), draw(&columns, 2, &lines, style))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use espalier_checkpoint::{Checkpoint, Dtype, NamedTensor};
    use espalier_files::{Silent, inspect};

    use super::*;

    fn summarize(checkpoint: &Checkpoint) -> Summary {
        inspect(checkpoint, &Arc::new(Silent)).unwrap()
    }

    fn summary() -> Summary {
        let weight: Vec<f32> = (0..1200).map(|i| [0.0, 1.5, -0.5][i % 3]).collect();
        let tensors = [
            NamedTensor::f32("encoder.layers.0.attention.query.weight", vec![4, 300], &weight),
            NamedTensor::f32("b", vec![], &[f32::NAN]),
            NamedTensor::new("scale", Dtype::F6E2M3, vec![8], vec![0; 6]),
        ];
        let mut checkpoint = Checkpoint::new();
        for tensor in tensors {
            checkpoint.push(tensor.unwrap()).unwrap();
        }
        summarize(&checkpoint)
    }

    fn rows() -> Vec<ParameterRow> {
        let row = |name: &str, shape: &[usize], zeros| ParameterRow {
            name: name.into(),
            shape: shape.to_vec(),
            parameters: shape.iter().product::<usize>() as u64,
            zeros,
        };
        vec![row("fc1.weight", &[512, 784], 200_704), row("fc1.bias", &[512], 0)]
    }

    #[test]
    fn all_columns_in_ascii() {
        let expected = "\
+-----------------------------------------+---------+-------+------------+-------+----------+--------+--------+---------+-------+
| name                                    | dtype   | shape | parameters | zeros | sparsity |   mean |    std |     min |   max |
+===============================================================================================================================+
| encoder.layers.0.attention.query.weight | F32     | 4x300 |      1,200 |   400 |   33.33% | 0.3333 | 0.8498 | -0.5000 | 1.500 |
| b                                       | F32     | ()    |          1 |     0 |    0.00% |      - |      - |       - |     - |
| scale                                   | F6_E2M3 | 8     |          8 |     - |        - |      - |      - |       - |     - |
| total of 3                              |         |       |      1,209 |   400 |   33.31% |        |        |         |       |
+-----------------------------------------+---------+-------+------------+-------+----------+--------+--------+---------+-------+
not finite: b has 1 of 1 values (NaN or infinite); there are no statistics
8 values of F6_E2M3 are not decoded and left out of zeros and statistics
";
        assert_eq!(table(&summary(), Style::ascii()), expected);
    }

    #[test]
    fn a_long_name_on_a_narrow_terminal() {
        let expected = "\
┌────────────────────────────┬─────────┬───────┬────────────┬───────┬──────────┐
│ name                       ┆ dtype   ┆ shape ┆ parameters ┆ zeros ┆ sparsity │
╞════════════════════════════╪═════════╪═══════╪════════════╪═══════╪══════════╡
│ encoder.layers.0.attention ┆ F32     ┆ 4x300 ┆      1,200 ┆   400 ┆   33.33% │
│ .query.weight              ┆         ┆       ┆            ┆       ┆          │
│ b                          ┆ F32     ┆ ()    ┆          1 ┆     0 ┆    0.00% │
│ scale                      ┆ F6_E2M3 ┆ 8     ┆          8 ┆     - ┆        - │
│ total of 3                 ┆         ┆       ┆      1,209 ┆   400 ┆   33.31% │
└────────────────────────────┴─────────┴───────┴────────────┴───────┴──────────┘
left out for want of width: mean, std, min, max
not finite: b has 1 of 1 values (NaN or infinite); there are no statistics
8 values of F6_E2M3 are not decoded and left out of zeros and statistics
";
        assert_eq!(table(&summary(), Style::utf8().with_width(80)), expected);
    }

    #[test]
    fn before_and_after() {
        let expected = "\
after pruning
┌────────────┬─────────┬────────────┬─────────┬────────┐
│ name       ┆ shape   ┆ parameters ┆   zeros ┆      % │
╞════════════╪═════════╪════════════╪═════════╪════════╡
│ fc1.weight ┆ 512x784 ┆    401,408 ┆ 200,704 ┆ 50.00% │
│ fc1.bias   ┆ 512     ┆        512 ┆       0 ┆  0.00% │
│ total      ┆         ┆    401,920 ┆ 200,704 ┆ 49.94% │
└────────────┴─────────┴────────────┴─────────┴────────┘
";
        assert_eq!(parameter_table(&rows(), "after pruning", Style::utf8()), expected);
    }

    #[test]
    fn nothing_to_show() {
        let expected = "\
empty
+-------+-------+------------+-------+-------+
| name  | shape | parameters | zeros |     % |
+============================================+
| total |       |          0 |     0 | 0.00% |
+-------+-------+------------+-------+-------+
";
        assert_eq!(parameter_table(&[], "empty", Style::ascii()), expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut rows = rows();
        rows[0].name = "layer.".repeat(500);
        for width in 20..200 {
            let text = parameter_table(&rows, "t", Style::ascii().with_width(width));
            let drawn = text.lines().filter(|line| line.starts_with(['|', '+']));
            let widths: Vec<usize> = drawn.map(str::len).collect();
            assert!(widths.iter().all(|&line| line == widths[0]), "{width}:\n{text}");
            assert!(widths[0] <= usize::from(width), "{width}:\n{text}");
            // Broken, but whole.
            let first_column = text.lines().filter_map(|line| line.split('|').nth(1));
            let name: String = first_column.map(str::trim).collect();
            assert!(name.contains(&rows[0].name), "{width}");
        }
    }

    #[test]
    fn values_that_are_not_finite_have_a_line() {
        let values = [f32::NAN, 1.0, f32::NEG_INFINITY, 3.0];
        let mut checkpoint = Checkpoint::new();
        checkpoint.push(NamedTensor::f32("a\n", vec![4], &values).unwrap()).unwrap();
        checkpoint.push(NamedTensor::f32("b", vec![2], &values[1..2].repeat(2)).unwrap()).unwrap();
        let text = table(&summarize(&checkpoint), Style::ascii());
        let below: Vec<&str> = text.lines().filter(|line| !line.starts_with(['|', '+'])).collect();
        let expected = "not finite: a\\u{a} has 2 of 4 values (NaN or infinite); its statistics are \
                        over the finite ones";
        assert_eq!(below, [expected]);
    }

    #[test]
    fn what_is_not_decoded_is_not_counted_as_zero() {
        let mut checkpoint = Checkpoint::new();
        let mut push = |name: &str, dtype, size: usize, bytes: usize| {
            let tensor = NamedTensor::new(name, dtype, vec![size], vec![0; bytes]).unwrap();
            checkpoint.push(tensor).unwrap();
        };
        push("c", Dtype::F6E3M2, 4, 3);
        push("a", Dtype::F6E2M3, 4, 3);
        push("b", Dtype::F6E2M3, 8, 6);
        push("none", Dtype::F6E2M3, 0, 0);
        let mut summary = summarize(&checkpoint);
        let total = |summary: &Summary| {
            let text = table(summary, Style::ascii());
            let line = text.lines().find(|line| line.starts_with("| total")).unwrap();
            let cells: Vec<String> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
            let below = text.lines().skip_while(|line| !line.starts_with("| total")).skip(2);
            let below: Vec<String> = below.map(ToOwned::to_owned).collect();
            ([cells[4].clone(), cells[5].clone(), cells[6].clone()].join(" "), below)
        };
        let left_out = "not decoded and left out of zeros and statistics";
        let lines = [
            format!("4 values of F6_E3M2 are {left_out}"),
            format!("12 values of F6_E2M3 are {left_out}"),
        ];
        assert_eq!(total(&summary), ("16 - -".to_owned(), lines.to_vec()));

        // Elements count where they are tied to.
        summary.tensors[2].tied_to = Some("a".into());
        assert_eq!(total(&summary).1[1], format!("4 values of F6_E2M3 are {left_out}"));

        checkpoint.push(NamedTensor::f32("w", vec![2], &[0.0, 1.0]).unwrap()).unwrap();
        let summary = summarize(&checkpoint);
        assert_eq!(total(&summary), ("18 1 50.00%".to_owned(), lines.to_vec()));

        let nothing = summarize(&Checkpoint::new());
        assert_eq!(total(&nothing), ("0 0 0.00%".to_owned(), vec![]));
    }

    #[test]
    fn a_tied_tensor_says_so() {
        let mut summary = summary();
        summary.tensors[1].tied_to = Some("scale".into());
        let text = table(&summary, Style::ascii());
        assert!(text.contains("| b = scale "), "{text}");
    }

    #[test]
    fn a_hostile_name_stays_on_its_line() {
        let mut rows = rows();
        rows[0].name = "a\n\u{1b}[2J".into();
        let text = parameter_table(&rows, "t\u{7}", Style::ascii());
        assert!(text.starts_with("t\\u{7}\n") && text.contains("| a\\u{a}\\u{1b}[2J |"), "{text}");
    }
}
