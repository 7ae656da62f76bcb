//! A curve as text.

use super::Unit;

const WIDTH: usize = 60;
const HEIGHT: usize = 10;

/// A title, the values as dots between the lowest and the highest, and the time below.
pub(super) fn draw(title: &str, values: &[f64], unit: Unit) -> String {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        (low, high) = (low.min(*value), high.max(*value));
    }
    let Some(last) = values.len().checked_sub(1) else {
        return format!("{title}\n(no values)\n");
    };
    let width = WIDTH.min(values.len());
    let mut rows = vec![vec![' '; width]; HEIGHT];
    for (index, value) in values.iter().enumerate() {
        let part = if high > low { (value - low) / (high - low) } else { 0.0 };
        let row = HEIGHT - 1 - (part * (HEIGHT - 1) as f64).round() as usize;
        rows[row][index * width / values.len()] = '*';
    }
    // Six digits tell a person enough; the shortest form of those.
    let label = |value: f64| {
        let short: f64 = format!("{value:.5e}").parse().unwrap_or(value);
        if short != 0.0 && short.abs() < 1e-3 { format!("{short:e}") } else { short.to_string() }
    };
    let (top, bottom) = (label(high), label(low));
    let margin = top.len().max(bottom.len());
    let mut text = format!("{title}\n");
    for (row, dots) in rows.iter().enumerate() {
        let label = match row {
            0 => top.as_str(),
            row if row == HEIGHT - 1 => bottom.as_str(),
            _ => "",
        };
        let dots: String = dots.iter().collect();
        text.push_str(format!("{label:>margin$} |{}", dots).trim_end());
        text.push('\n');
    }
    let end = format!("{unit} {last}");
    let axis = format!("{:>margin$} 0{end:>width$}\n", "");
    text + &axis
}
