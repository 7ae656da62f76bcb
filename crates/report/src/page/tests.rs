//! Whole pages.

use std::fs;
use std::sync::Arc;

use espalier_checkpoint::{Checkpoint, NamedTensor};
use espalier_files::{Detail, Selection, Silent, report};

use super::*;

const HOSTILE: [&str; 5] = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!--<script>",
    "\" onfocus=\"alert(1)",
    "a\u{202e}b\u{0}c",
];

fn of(tensors: &[NamedTensor]) -> Report {
    let mut checkpoint = Checkpoint::new();
    for tensor in tensors {
        checkpoint.push(tensor.clone()).unwrap();
    }
    Report::of(&checkpoint, Detail::default(), &Arc::new(Silent)).unwrap()
}

/// What stands between two texts.
fn between<'a>(page: &'a str, start: &str, end: &str) -> &'a str {
    page.split_once(start).unwrap().1.split_once(end).unwrap().0
}

#[test]
fn hostile_names_are_text() {
    let nan = |name: &str| NamedTensor::f32(name, vec![1], &[f32::NAN]).unwrap();
    let report = Report { file: HOSTILE[0].into(), ..of(&HOSTILE.map(nan)) };
    let page = page(&report).unwrap();
    let scripts = page.matches("<script").count();
    assert_eq!(scripts, 1 + 1 + SCRIPTS.len());
    assert_eq!(page.matches("</script").count(), scripts);
    assert!(!page.contains("<img") && !page.contains("<!--<") && !page.contains('\u{202e}'));
    // In the numbers it stands within a string.
    assert!(!page.split("id=\"data\"").next().unwrap().contains("\" onfocus"));
    let data = between(&page, "id=\"data\">", "</script>");
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    for (at, name) in HOSTILE.iter().enumerate() {
        assert_eq!(data["tensors"][at]["name"], *name);
    }
    assert!(page.contains("Values that are infinite or not a number"));
}

#[test]
fn what_is_no_number_is_null() {
    let values = [f64::NAN, f64::INFINITY, f64::MAX, -f64::MAX];
    let report = of(&[NamedTensor::f64("w", vec![2, 2], &values).unwrap()]);
    let page = page(&report).unwrap();
    let data = between(&page, "id=\"data\">", "</script>");
    assert!(!data.contains("NaN") && !data.contains("inf"), "{data}");
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["tensors"][0]["statistics"]["nonfinite"], 2);
    assert_eq!(data["tensors"][0]["statistics"]["l2"], serde_json::Value::Null);
}

#[test]
fn a_page_loads_nothing() {
    let page = page(&of(&[])).unwrap();
    for tag in ["<img", "<link rel=\"stylesheet", "<iframe", "src=", "@import", "url(", " style="] {
        assert!(!page.contains(tag), "{tag}");
    }
    let policy = between(&page, "Content-Security-Policy\" content=\"", "\"");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(page.contains("The file holds no tensors."));
    assert!(!page.contains("<dialog"));
}

#[test]
fn no_asset_ends_its_element() {
    for script in SCRIPTS.iter().chain([&UPLOT]) {
        assert!(!script.contains("</script") && !script.contains("<!--"));
    }
    for style in [STYLE, UPLOT_STYLE] {
        assert!(!style.contains("</style"));
    }
    assert!(UPLOT.contains(&format!("(v{UPLOT_VERSION})")));
    assert!(include_str!("../../assets/README.md").contains(&format!("uPlot) {UPLOT_VERSION},")));
}

#[test]
fn the_columns_are_those_of_the_script() {
    let script = between(SCRIPTS[2], "const columns = [", "];");
    let found: Vec<&str> = script.split("id: \"").skip(1).map(|id| between(id, "", "\"")).collect();
    assert_eq!(found, COLUMNS.map(|column| column.0));
}

#[test]
fn a_run_is_told_in_words_too() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let recipe = "name = '<b>tiny'\ndescription = 'small & quick'\n\
        prune = { method = 'l1_unstructured', scope = 'global', epochs = [1], sparsity = [0.5] }\n";
    fs::write(directory.join("recipe.toml"), recipe).unwrap();
    let metrics = "{\"epoch\":1,\"step\":45,\"test_accuracy\":0.75}\n";
    fs::write(directory.join("metrics.jsonl"), metrics).unwrap();
    let read = || {
        let all = Selection::default();
        report(directory, None, &all, Detail::default(), &Arc::new(Silent)).unwrap()
    };
    let text = page(&read()).unwrap();
    assert!(text.contains("<h1>&lt;b&gt;tiny</h1>"));
    assert!(text.contains("small &amp; quick"));
    assert!(text.contains("The run has not ended") && text.contains("saved no model yet"));
    let round =
        "<th scope=\"row\">1</th><td>1</td><td>50.00%</td><td>-</td><td>75.00%</td><td>-</td>";
    assert!(text.contains(round), "{text}");

    let summary = "{\"accuracy\":{\"before_pruning\":0.9,\"after_pruning\":0.8},\"seconds\":75}";
    fs::write(directory.join("summary.json"), summary).unwrap();
    let text = page(&read()).unwrap();
    for said in ["80.00%", "90.00% before pruning", "1 min 15 s"] {
        assert!(text.contains(said), "{said}");
    }
    assert!(!text.contains("The run has not ended"));
}

#[test]
fn the_same_report_gives_the_same_page() {
    let report = of(&[NamedTensor::f32("w", vec![2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap()]);
    assert_eq!(page(&report).unwrap(), page(&report).unwrap());
}
