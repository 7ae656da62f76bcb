//! A report as one page of HTML, which needs nothing but a browser.
//!
//! What can be said in words is in the page as it is written; table and charts are drawn by its script from the numbers,
//! which are in it as JSON.

mod escape;
mod policy;
mod run;
mod totals;

use espalier_files::Report;

use self::escape::{html, json};
use self::policy::policy;

/// The charts: uPlot and its style.
const UPLOT: &str = include_str!("../../assets/uplot/uPlot.iife.min.js");
const UPLOT_STYLE: &str = include_str!("../../assets/uplot/uPlot.min.css");
const UPLOT_LICENCE: &str = include_str!("../../assets/uplot/LICENSE");
const UPLOT_VERSION: &str = "1.6.32";

/// The page's own style and scripts, in the order in which they need each other.
const STYLE: &str = include_str!("../../assets/report.css");
const SCRIPTS: [&str; 4] = [
    include_str!("../../assets/charts.js"),
    include_str!("../../assets/detail.js"),
    include_str!("../../assets/table.js"),
    include_str!("../../assets/main.js"),
];

/// The columns of the table of tensors: their names in the script, and their headings.
const COLUMNS: [(&str, &str); 13] = [
    ("name", "Name"),
    ("dtype", "Type"),
    ("shape", "Shape"),
    ("numel", "Elements"),
    ("bytes", "Size"),
    ("sparsity", "Sparsity"),
    ("mean", "Mean"),
    ("std", "Std"),
    ("min", "Min"),
    ("max", "Max"),
    ("l2", "L2 norm"),
    ("nonfinite", "Not finite"),
    ("tied_to", "Tied to"),
];

/// A report as a page of HTML that loads nothing: style, scripts and numbers are in it, and its content security policy
/// forbids all else. The same report gives the same bytes.
///
/// A name from a file is text in it, whatever it holds; what would turn or move the text around it is shown as an escape.
///
/// # Errors
///
/// If the numbers cannot be written as JSON, which those of [`report`](espalier_files::report) can.
///
/// ```
/// use std::sync::Arc;
/// use espalier_checkpoint::{Checkpoint, NamedTensor};
/// use espalier_files::{Detail, Report, Silent};
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("<script>", vec![1], &[1.0])?)?;
/// let page = espalier_report::page(&Report::of(&checkpoint, Detail::default(), &Arc::new(Silent))?)?;
/// assert!(page.starts_with("<!doctype html>"));
/// assert!(page.contains(r#""name":"\u003cscript\u003e""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn page(report: &Report) -> Result<String, serde_json::Error> {
    let data = json(&serde_json::to_string(report)?);
    let styles = [UPLOT_STYLE, STYLE];
    let scripts = [&[UPLOT], &SCRIPTS[..]].concat();
    let title = totals::title(report);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"generator\" content=\"espalier {}\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{} – espalier report</title>\n<link rel=\"icon\" href=\"data:,\">\n\
         <!-- Charts: uPlot {UPLOT_VERSION}, https://github.com/leeoniya/uPlot, MIT: see the foot of the page. -->\n",
        policy(&styles, &scripts),
        env!("CARGO_PKG_VERSION"),
        html(&title),
    );
    for style in styles {
        page.push_str(&format!("<style>{style}</style>\n"));
    }
    page.push_str("</head>\n<body>\n");
    if !report.tensors.is_empty() {
        page.push_str("<a class=\"skip\" href=\"#tensors\">Skip to the tensors</a>\n");
    }
    page.push_str(&totals::head(report, &title));
    page.push_str("<main>\n");
    if let Some(run) = &report.run {
        page.push_str(&run::section(run));
    }
    page.push_str(&totals::section(report));
    if !report.tensors.is_empty() {
        page.push_str(&table());
    }
    page.push_str("</main>\n");
    if !report.tensors.is_empty() {
        page.push_str(DIALOG);
    }
    page.push_str(&foot());
    page.push_str(&format!("<script type=\"application/json\" id=\"data\">{data}</script>\n"));
    for script in scripts {
        page.push_str(&format!("<script>{script}</script>\n"));
    }
    page.push_str("</body>\n</html>\n");
    Ok(page)
}

/// The table without its rows.
fn table() -> String {
    let mut text = String::from(TABLE_TOOLS);
    for (id, heading) in COLUMNS {
        let left = if matches!(id, "dtype" | "shape" | "tied_to") { " class=\"left\"" } else { "" };
        text.push_str(&format!(
            "<th scope=\"col\"{left}><button type=\"button\" data-column=\"{id}\">{heading}</button></th>"
        ));
    }
    text.push_str(TABLE_END);
    text
}

const TABLE_TOOLS: &str = "\
<section id=\"tensors\" aria-labelledby=\"tensors-title\" tabindex=\"-1\">
<h2 id=\"tensors-title\">Tensors</h2>
<noscript><p class=\"warning\">Table and charts are drawn by the page's script, which is turned off.</p></noscript>
<div class=\"tools\" role=\"search\">
<div class=\"search\"><label class=\"unseen\" for=\"search\">Filter by name, type or shape</label>
<input id=\"search\" type=\"search\" placeholder=\"Filter by name, type or shape\" autocomplete=\"off\" spellcheck=\"false\" aria-keyshortcuts=\"/\"></div>
<label class=\"unseen\" for=\"kind\">Show</label>
<select id=\"kind\">
<option value=\"all\">All</option>
<option value=\"zeros\">With zeros</option>
<option value=\"nonfinite\">Not finite</option>
<option value=\"tied\">Tied</option>
<option value=\"unknown\">Not decoded</option>
</select>
<output id=\"count\" for=\"search kind\"></output>
</div>
<p class=\"note wide\">Press <kbd>/</kbd> to filter, <kbd>↑</kbd> <kbd>↓</kbd> to walk the rows, <kbd>Enter</kbd> for a tensor's values, singular values and zeros.</p>
<div id=\"table\" class=\"scroll\" role=\"region\" aria-labelledby=\"tensors-title\" tabindex=\"0\">
<table>
<thead><tr>";

const TABLE_END: &str = "</tr></thead>
<tbody id=\"rows\"></tbody>
</table>
<p id=\"nothing\" class=\"empty\" hidden>No tensor matches.</p>
<button id=\"more\" class=\"more\" type=\"button\" hidden>Show more</button>
</div>
<p class=\"note\">Sparsity is the share of elements that are zero. Mean, deviation (over all elements, not one less), extremes and norm are over the finite elements.</p>
</section>
";

const DIALOG: &str = "\
<dialog id=\"detail\" aria-labelledby=\"detail-name\">
<header>
<h2 id=\"detail-name\" class=\"name\"></h2>
<button id=\"earlier\" type=\"button\" aria-keyshortcuts=\"ArrowLeft\">← Previous</button>
<button id=\"later\" type=\"button\" aria-keyshortcuts=\"ArrowRight\">Next →</button>
<button id=\"close\" type=\"button\" autofocus>Close</button>
</header>
<div id=\"detail-body\" class=\"body\"></div>
</dialog>
";

fn foot() -> String {
    format!(
        "<footer>\n<p>Made by espalier {}. Charts by <a href=\"https://github.com/leeoniya/uPlot\" \
         rel=\"noreferrer\">uPlot</a> {UPLOT_VERSION}.</p>\n<details><summary>Licence of uPlot</summary>\
         <pre>{}</pre></details>\n</footer>\n",
        env!("CARGO_PKG_VERSION"),
        html(UPLOT_LICENCE),
    )
}

#[cfg(test)]
mod tests;
