//! The values of a tensor as bars.

use espalier_files::Bins;

use crate::format::{grouped, harmless, per_cent, shape, statistic};
use crate::style::Style;

/// The width where there is no terminal, in columns.
const WIDTH: usize = 80;

/// The shortest bar that is worth drawing, in columns.
const LEAST: usize = 8;

/// Parts of a column, from an eighth to seven.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// A histogram: a line that says what it is of, one for each bin with its lower edge, a bar and its count, and one with
/// the upper edge. As wide as the terminal, or as 80 columns.
///
/// ```
/// use std::sync::Arc;
/// use espalier_checkpoint::NamedTensor;
/// use espalier_files::{Silent, bins};
/// use espalier_report::{Style, histogram};
/// let tensor = NamedTensor::f32("w", vec![4], &[0.0, 0.0, 0.5, 1.0])?;
/// let text = histogram(&bins(&tensor, 2, &Arc::new(Silent))?, Style::ascii().with_width(30));
/// assert_eq!(text, "\
/// w  F32 4: 4 values, 50.00% zero
///      0 |#################### 2
/// 0.5000 |#################### 2
///  1.000
/// ");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn histogram(bins: &Bins, style: Style) -> String {
    let mut text = format!(
        "{}  {} {}: {} values, {} zero",
        harmless(&bins.name),
        bins.dtype,
        shape(&bins.shape),
        grouped(bins.numel),
        per_cent(Some(bins.sparsity)),
    );
    if bins.nonfinite > 0 {
        text.push_str(&format!(", {} not finite (left out)", grouped(bins.nonfinite)));
    }
    text.push('\n');
    let (Some(low), Some(high)) = (bins.low, bins.high) else {
        text.push_str("no value is finite\n");
        return text;
    };
    let count = bins.counts.len();
    // Not `high - low`, which may be no number.
    let edge = |at: usize| {
        let share = at as f64 / count.max(1) as f64;
        let edge = low * (1.0 - share) + high * share;
        // What rounding leaves of a zero.
        let nothing = edge.abs() < 1e-12 * low.abs().max(high.abs());
        statistic(Some(if nothing { 0.0 } else { edge }))
    };
    let edges: Vec<String> = (0..=count).map(edge).collect();
    let counts: Vec<String> = bins.counts.iter().map(|count| grouped(*count)).collect();
    let widest = |texts: &[String]| texts.iter().map(String::len).max().unwrap_or(0);
    let (edge_width, count_width) = (widest(&edges), widest(&counts));
    let width = style.width.map_or(WIDTH, usize::from);
    let room = width.saturating_sub(edge_width + count_width + 3).max(LEAST);
    let most = bins.counts.iter().copied().max().unwrap_or(0);
    let line = if style.utf8 { '│' } else { '|' };
    for ((edge, count), shown) in edges.iter().zip(&bins.counts).zip(&counts) {
        let bar = bar(*count, most, room, style.utf8);
        let blanks = " ".repeat(room - bar.chars().count());
        text.push_str(&format!("{edge:>edge_width$} {line}{bar}{blanks} {shown:>count_width$}\n"));
    }
    text.push_str(&format!("{:>edge_width$}\n", edges[count]));
    text
}

/// A bar for a count; the most gets all the room, and any at least a trace.
fn bar(count: u64, most: u64, room: usize, utf8: bool) -> String {
    if count == 0 {
        return String::new();
    }
    let eighths = ((count as f64 / most as f64 * (8 * room) as f64).round() as usize).max(1);
    if !utf8 {
        return "#".repeat(eighths.div_ceil(8));
    }
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8 - 1]);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bins() -> Bins {
        Bins {
            name: "a\n".into(),
            dtype: "F32".into(),
            shape: vec![2, 20],
            numel: 40,
            sparsity: 0.25,
            nonfinite: 2,
            low: Some(-1.0),
            high: Some(2.0),
            counts: vec![1, 20, 17],
        }
    }

    #[test]
    fn in_eighths_of_a_column() {
        // Eleven columns are 88 eighths: of 20, 1 is 4 of them and 17 are 75.
        let text = histogram(&bins(), Style::utf8().with_width(22));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "a\\u{a}  F32 2x20: 40 values, 25.00% zero, 2 not finite (left out)");
        assert_eq!(lines[1], "-1.000 │▌            1");
        assert_eq!(lines[2], "     0 │███████████ 20");
        assert_eq!(lines[3], " 1.000 │█████████▍  17");
        assert_eq!(lines[4], " 2.000");
    }

    #[test]
    fn nothing_finite() {
        let bins = Bins { low: None, high: None, counts: vec![], ..bins() };
        assert!(histogram(&bins, Style::ascii()).ends_with("no value is finite\n"));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 24..200 {
            for style in [Style::ascii(), Style::utf8()] {
                let text = histogram(&bins(), style.with_width(width));
                let widest = text.lines().skip(1).map(|line| line.chars().count()).max();
                assert_eq!(widest, Some(usize::from(width)), "{text}");
            }
        }
    }
}
