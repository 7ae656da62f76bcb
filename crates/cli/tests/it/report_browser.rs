//! The page of `espalier report` in a browser, where there is one.

use std::fs;
use std::path::{Path, PathBuf};

use espalier_checkpoint::{Checkpoint, Dtype, NamedTensor, write_safetensors};
use serde_json::json;
use tempfile::tempdir;

use crate::chromium::Chromium;
use crate::{espalier, stdout_of};

const HOSTILE: [&str; 3] = [
    "</script><script>hurt = 1</script>",
    "<img src=x onerror=\"hurt = 1\">",
    "turned \u{202e} around \u{0}",
];

fn single(name: &str, shape: Vec<usize>, value: impl Fn(usize) -> f32) -> NamedTensor {
    let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
    NamedTensor::f32(name, shape, &values).unwrap()
}

/// All kinds of tensors.
fn zoo() -> Vec<NamedTensor> {
    let wave = |i: usize| (i as f32 * 0.37).sin();
    let pruned = |i: usize| if i.is_multiple_of(3) { 0.0 } else { wave(i) };
    let mut tensors = vec![
        single("fc.weight", vec![64, 200], pruned),
        single("conv.weight", vec![8, 4, 3, 3], wave),
        single("layer.2.bias", vec![10], wave),
        single("layer.10.bias", vec![12], wave),
        single("nan", vec![4], |i| if i == 0 { f32::NAN } else { 1.0 }),
        single("all infinite", vec![2, 2], |_| f32::NEG_INFINITY),
        single("zeros", vec![5, 5], |_| 0.0),
        single("ones", vec![3], |_| 1.0),
        single("empty", vec![0, 4], wave),
        single("scalar", vec![], |_| 2.5),
        single("rank one", vec![6, 6], |_| 1.0),
        single("single row", vec![1, 300], pruned),
        NamedTensor::f64("huge", vec![2, 2], &[f64::MAX, -f64::MAX, 1.0, 0.0]).unwrap(),
        NamedTensor::f64("tiny", vec![2, 2], &[1e-300, 2e-300, 5e-324, 0.0]).unwrap(),
        NamedTensor::f64("close", vec![3], &[1.0, 1.0 + f64::EPSILON, 1.0 + 3e-16]).unwrap(),
        NamedTensor::new("f8", Dtype::F8E4M3, vec![2, 2], vec![0; 4]).unwrap(),
        NamedTensor::boolean("mask", vec![2, 3], &[true, false, true, true, false, true]).unwrap(),
        NamedTensor::new("ids", Dtype::I64, vec![2], vec![0xff; 16]).unwrap(),
    ];
    tensors.extend(HOSTILE.map(|name| single(name, vec![2], wave)));
    tensors
}

fn saved(directory: &Path, tensors: Vec<NamedTensor>) -> PathBuf {
    let mut checkpoint = Checkpoint::new();
    for tensor in tensors {
        checkpoint.push(tensor).unwrap();
    }
    let path = directory.join("model.safetensors");
    write_safetensors(&path, &checkpoint).unwrap();
    path
}

fn page(directory: &Path, of: &Path) -> PathBuf {
    let path = directory.join("report.html");
    stdout_of(espalier().arg("report").arg(of).arg("-o").arg(&path).arg("--force"));
    path
}

const FIRST: &str = "document.querySelector('#rows th').textContent";
const SHOWN: &str = "table.shown.length";
const FOCUS: &str =
    "document.activeElement.closest('tr')?.sectionRowIndex ?? document.activeElement.id";
const OVERFLOW: &str =
    "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) - innerWidth";

#[test]
fn it_renders_sorts_and_filters() {
    let Some(mut browser) = Chromium::start() else { return };
    let directory = tempdir().unwrap();
    let tensors = zoo();
    let count = tensors.len();
    let path = page(directory.path(), &saved(directory.path(), tensors));
    browser.width(1200);
    browser.open(&path);
    assert_eq!(browser.of("document.querySelectorAll('#rows tr').length"), count);
    assert_eq!(browser.of("typeof hurt"), "undefined");
    let names =
        browser.of("[...document.querySelectorAll('#rows th')].map((head) => head.textContent)");
    for hostile in &HOSTILE[..2] {
        assert!(names.as_array().unwrap().contains(&json!(hostile)), "{names}");
    }
    assert!(
        names.as_array().unwrap().contains(&json!("turned \\u{202e} around \\u{0}")),
        "{names}"
    );

    // Numbers are as in the tables of the terminal.
    let numbers =
        "[0, -0.012345, 9.99996, 1234.5678, 123456, 1234567, 0.000012345, null].map(number)";
    let expected = ["0", "-0.01235", "10.00", "1235", "123456", "1.235e6", "1.234e-5", "–"];
    assert_eq!(browser.of(numbers), json!(expected));
    let ticks = browser.of("[0, 1, 20, 0.9, 1e-5, 144000].map(tick)");
    assert_eq!(ticks, json!(["0", "1", "20", "0.9", "1e-5", "144000"]));

    // Numbers from the greatest down, then up, then as in the file.
    let heading = "document.querySelector('[data-column=numel]')";
    let sort =
        "document.querySelector('[data-column=numel]').closest('th').getAttribute('aria-sort')";
    let file_order = browser.of(FIRST);
    for (way, first) in
        [(json!("descending"), json!("fc.weight")), (json!("ascending"), json!("empty"))]
    {
        browser.of(&format!("{heading}.click()"));
        assert_eq!((browser.of(sort), browser.of(FIRST)), (way, first));
    }
    browser.of(&format!("{heading}.click()"));
    assert_eq!((browser.of(sort), browser.of(FIRST)), (json!(null), file_order));
    // What has no value is last either way, and texts are sorted as a person counts.
    for _ in 0..2 {
        browser.of("document.querySelector('[data-column=mean]').click()");
        assert_eq!(browser.of("table.shown.at(-1).statistics?.mean ?? null"), json!(null));
    }
    browser.of("document.querySelector('[data-column=name]').click()");
    let places = "['layer.2.bias', 'layer.10.bias'].map((name) => table.shown.indexOf(table.named.get(name)))";
    let places = browser.of(places);
    assert!(places[0].as_u64() < places[1].as_u64(), "{places}");

    // Filters.
    browser.press("/");
    assert_eq!(browser.of(FOCUS), "search");
    browser.write("layer BIAS");
    assert_eq!(browser.of(SHOWN), 2);
    assert_eq!(
        browser.of("document.getElementById('count').value"),
        format!("2 of {count} tensors")
    );
    browser.write(" none such");
    assert_eq!(browser.of("document.getElementById('nothing').hidden"), false);
    browser.press("Escape");
    assert_eq!(browser.of(SHOWN), count);
    for (kind, expected) in [("nonfinite", 2), ("unknown", 1), ("tied", 0), ("all", count)] {
        browser.of(&format!(
            "(() => {{ const kind = document.getElementById('kind'); kind.value = '{kind}'; \
             kind.dispatchEvent(new Event('change')); }})()"
        ));
        assert_eq!(browser.of(SHOWN), expected, "{kind}");
    }
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn every_tensor_opens_by_keyboard() {
    let Some(mut browser) = Chromium::start() else { return };
    let directory = tempdir().unwrap();
    let tensors = zoo();
    let count = tensors.len();
    let path = page(directory.path(), &saved(directory.path(), tensors));
    browser.width(1200);
    browser.open(&path);
    // From the field of the filter into the rows, and down.
    browser.press("/");
    browser.press("ArrowDown");
    assert_eq!(browser.of(FOCUS), 0);
    browser.press("ArrowDown");
    assert_eq!(browser.of(FOCUS), 1);
    browser.press("ArrowUp");
    browser.press("Enter");
    assert_eq!(browser.of("detail.dialog.open"), true);
    for at in 0..count {
        assert_eq!(browser.of("detail.at"), at);
        let expected = browser.of("[table.shown[detail.at]].map((row) => \
            (row.histogram?.counts.some((count) => count > 0) ? 1 : 0) + (row.spectrum?.values ? 1 : 0) \
            + (row.zeros ? 1 : 0))[0]");
        let found = browser.of("document.querySelectorAll('#detail canvas').length");
        assert_eq!(found, expected, "{at}");
        browser.press("ArrowRight");
    }
    assert_eq!(browser.of("document.getElementById('later').disabled"), true);
    browser.press("Escape");
    assert_eq!(browser.of("detail.dialog.open"), false);
    assert_eq!(browser.of(FOCUS), count - 1);
    // What is drawn is drawn, not blank: some pixel is of the bars' colour.
    browser.of("detail.open(table.rows, 0)");
    browser.settle();
    let inked = "[...document.querySelectorAll('#detail canvas')].every((canvas) => \
        canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0))";
    assert_eq!(browser.of(inked), true);
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn a_run_on_a_phone_in_the_dark() {
    let Some(mut browser) = Chromium::start() else { return };
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let run = directory.join("a-run-with-a-name-that-is-quite-long-and-has-no-spaces-in-it");
    fs::create_dir(&run).unwrap();
    saved(&run, zoo());
    let recipe =
        "name = 'tiny'\nprune = { method = 'l1_unstructured', epochs = [2], sparsity = [0.5] }\n";
    fs::write(run.join("recipe.toml"), recipe).unwrap();
    let line = |epoch: usize| {
        let rates = json!({ "weights": 0.1f64.powi(epoch as i32), "<b>": 1e-3 });
        let norms = json!({ "fc.weight": 1.0 / epoch as f64 });
        let sparsity = if epoch > 2 { 0.5 } else { 0.0 };
        let line = json!({
            "epoch": epoch, "step": 45 * epoch, "loss": 2.0 / epoch as f64, "test_loss": null,
            "train_accuracy": 0.5, "test_accuracy": 0.6, "rates": rates, "sparsity": sparsity,
            "gradient_norms": norms, "seconds": 0.25,
        });
        format!("{line}\n")
    };
    fs::write(run.join("metrics.jsonl"), (1..=5).map(line).collect::<String>()).unwrap();
    let path = page(directory, &run);
    browser.width(375);
    browser.prefer("dark");
    browser.open(&path);
    // Loss, accuracy, rate, sparsity, gradient norm and seconds.
    assert_eq!(browser.of("document.querySelectorAll('#curves canvas').length"), 6);
    assert_eq!(browser.of(OVERFLOW), 0);
    let ground =
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every((part) => part < 64)";
    assert_eq!(browser.of(ground), true, "dark");
    // As the system, then light, then dark whatever the system prefers.
    browser.of("document.getElementById('theme').click()");
    assert_eq!(browser.of(ground), false, "light");
    browser.of("document.getElementById('theme').click()");
    browser.prefer("light");
    assert_eq!(browser.of(ground), true, "dark by choice");
    browser.of("document.getElementById('theme').click()");
    assert_eq!(browser.of(ground), false, "as the system");

    browser.of("document.getElementById('numbers').open = true");
    browser.settle();
    assert_eq!(browser.of("document.querySelectorAll('#numbers tbody tr').length"), 5);
    assert_eq!(browser.of(OVERFLOW), 0);
    for at in 0..4 {
        browser
            .of(&format!("detail.dialog.open ? detail.show({at}) : detail.open(table.rows, {at})"));
        browser.settle();
        assert_eq!(browser.of(OVERFLOW), 0);
        assert_eq!(browser.of("detail.dialog.scrollWidth - detail.dialog.clientWidth"), 0, "{at}");
    }
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn ten_thousand_tensors_are_drawn_as_far_as_they_are_seen() {
    let Some(mut browser) = Chromium::start() else { return };
    let directory = tempdir().unwrap();
    let named =
        |i: usize| single(&format!("layers.{i}.weight"), vec![2, 3], move |j| (i + j) as f32);
    let path = page(directory.path(), &saved(directory.path(), (0..10_000).map(named).collect()));
    browser.width(1200);
    browser.open(&path);
    browser.settle();
    let drawn = "document.querySelectorAll('#rows tr').length";
    let rows = browser.of(drawn).as_u64().unwrap();
    assert!((100..=300).contains(&rows), "{rows}");
    browser.of("document.querySelector('[data-column=mean]').click()");
    assert_eq!(browser.of(FIRST), "layers.9999.weight");
    // Further rows come as the table is scrolled.
    browser.of("document.getElementById('table').scrollTop = 1e6");
    browser.settle();
    browser.settle();
    assert!(browser.of(drawn).as_u64().unwrap() > rows);
    browser.press("/");
    browser.write("layers.77");
    assert_eq!(browser.of(SHOWN), 111);
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn an_empty_file() {
    let Some(mut browser) = Chromium::start() else { return };
    let directory = tempdir().unwrap();
    let path = page(directory.path(), &saved(directory.path(), Vec::new()));
    browser.width(375);
    browser.open(&path);
    assert_eq!(browser.of("document.body.innerText.includes('The file holds no tensors.')"), true);
    assert_eq!(browser.of(OVERFLOW), 0);
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn metrics_that_no_training_has() {
    let Some(mut browser) = Chromium::start() else { return };
    let directory = tempdir().unwrap();
    let directory = directory.path();
    fs::write(directory.join("recipe.toml"), "name = '</title><script>hurt = 1</script>'\n")
        .unwrap();
    let cases = [
        "{\"epoch\":1e300,\"loss\":1e308}\n{\"epoch\":-1e300,\"loss\":-1e308,\"sparsity\":7}\n",
        "{\"epoch\":1,\"loss\":1e-310}\n{\"epoch\":1,\"loss\":0}\n{\"epoch\":1,\"loss\":5e-324}\n",
        "{\"epoch\":1,\"loss\":1.0}\n{\"epoch\":2,\"loss\":1.0000000000000002}\n",
        "{\"epoch\":3,\"loss\":1}\n{\"epoch\":2,\"loss\":null}\n{\"epoch\":2.5,\"loss\":1e19,\"step\":1e30}\n",
        "{\"epoch\":1,\"rates\":{\"__proto__\":1,\"constructor\":2,\"<img src=x onerror=hurt=1>\":3}}\n{\"epoch\":2}\n",
        "{\"epoch\":1,\"loss\":0.5}\n",
        "",
    ];
    for metrics in cases {
        fs::write(directory.join("metrics.jsonl"), metrics).unwrap();
        let path = page(directory, directory);
        browser.width(375);
        browser.open(&path);
        let charts = browser.of("document.querySelectorAll('#curves canvas').length");
        assert_eq!(charts.as_u64() > Some(0), !metrics.is_empty(), "{metrics}");
        assert_eq!(browser.of(OVERFLOW), 0, "{metrics}");
        assert_eq!(browser.of("typeof hurt"), "undefined");
        assert_eq!(browser.complaints, [""; 0], "{metrics}");
    }
}
