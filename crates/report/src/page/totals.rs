//! The head of the page, and the sums over all tensors.

use std::path::Path;

use espalier_files::Report;

use super::escape::html;
use crate::format::{grouped, harmless, per_cent};

/// What the page is about: a file's own name.
pub(super) fn title(report: &Report) -> String {
    let run = report.run.as_ref().and_then(|run| run.name.as_deref());
    let name = Path::new(&report.file).file_name().map(|name| name.to_string_lossy());
    let title = run.or(name.as_deref()).unwrap_or(&report.file);
    harmless(title)
}

pub(super) fn head(report: &Report, title: &str) -> String {
    let kind = match (&report.run, &report.format) {
        (Some(_), _) => "Training run".to_owned(),
        (None, Some(format)) => format!("Checkpoint · {format}"),
        (None, None) => "Checkpoint".to_owned(),
    };
    let about = report.run.as_ref().and_then(|run| run.description.as_deref());
    let about = about
        .map(|about| format!("<p class=\"lead\">{}</p>\n", html(&harmless(about))))
        .unwrap_or_default();
    let (kind, title, path) = (html(&kind), html(title), html(&harmless(&report.file)));
    format!(
        "<header>\n<div>\n<p class=\"kind\">{kind}</p>\n<h1>{title}</h1>\n{about}\
         <p class=\"path name\">{path}</p>\n</div>\n<button id=\"theme\" type=\"button\" hidden></button>\n</header>\n"
    )
}

/// The sums as tiles.
pub(super) fn section(report: &Report) -> String {
    let total = &report.total;
    if report.run.is_some() && report.format.is_none() {
        return "<p class=\"note\">The run has saved no model yet.</p>\n".into();
    }
    let mut text = String::from(
        "<section aria-labelledby=\"totals-title\">\n<h2 id=\"totals-title\">In all</h2>\n<dl class=\"tiles\">\n",
    );
    let tied = match total.tied {
        0 => String::new(),
        tied => format!("{} of them tied", grouped(tied)),
    };
    text.push_str(&tile("Tensors", &grouped(total.tensors), &tied, false));
    text.push_str(&tile("Parameters", &grouped(total.parameters), "", false));
    let exact = format!("{} bytes", grouped(total.bytes));
    text.push_str(&tile("Size", &bytes(total.bytes), &exact, false));
    let zeros = format!("{} zeros", grouped(total.zeros));
    text.push_str(&tile("Sparsity", &per_cent(Some(total.sparsity)), &zeros, false));
    text.push_str(&tile("Not finite", &grouped(total.nonfinite), "", total.nonfinite > 0));
    for (dtype, size) in &total.dtypes {
        text.push_str(&tile(dtype, &bytes(*size), &share(*size, total.bytes), false));
    }
    text.push_str("</dl>\n");
    if total.tensors == 0 {
        text.push_str("<p class=\"note\">The file holds no tensors.</p>\n");
    }
    let bad: Vec<String> = report
        .tensors
        .iter()
        .filter(|row| row.measured.statistics.is_some_and(|found| found.nonfinite > 0))
        .map(|row| html(&harmless(&row.name)))
        .collect();
    if !bad.is_empty() {
        let more = bad.len().saturating_sub(NAMED);
        let and = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named = bad[..bad.len().min(NAMED)].join(", ");
        text.push_str(&format!(
            "<p class=\"warning\">Values that are infinite or not a number: <span class=\"name\">{named}</span>{and}.</p>\n"
        ));
    }
    text.push_str("</section>\n");
    text
}

/// Tensors with values that are not finite which are named.
const NAMED: usize = 8;

/// A number with what it is, and a word about it.
pub(super) fn tile(name: &str, value: &str, about: &str, alarm: bool) -> String {
    let (name, value, about) = (html(name), html(value), html(about));
    let class = if alarm { " class=\"alarm\"" } else { "" };
    let about = if about.is_empty() { about } else { format!("<small>{about}</small>") };
    format!("<div{class}><dt>{name}</dt><dd>{value}{about}</dd></div>\n")
}

fn share(part: u64, all: u64) -> String {
    let share = if all == 0 { 0.0 } else { part as f64 / all as f64 };
    format!("{} of the bytes", per_cent(Some(share)))
}

/// A size with three digits.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut size = count as f64 / 1000.0;
    let mut unit = 0;
    // What would be rounded to 1000 is one of the next.
    while size >= 999.5 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    let decimals = if size < 9.995 { 2 } else { usize::from(size < 99.95) };
    format!("{size:.decimals$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (9_999, "10.0 kB"),
            (99_999, "100 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (1 << 30, "1.07 GB"),
            (u64::MAX, "18.4 EB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text, "{count}");
        }
    }
}
