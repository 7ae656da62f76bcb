//! Files of images, and predictions for them.

use std::path::PathBuf;
use std::sync::OnceLock;

use espalier_checkpoint::write_npy;

use super::*;

/// A network for the digits, trained once.
fn predictor() -> &'static Predictor {
    static RUN: OnceLock<(tempfile::TempDir, Predictor)> = OnceLock::new();
    let (_, predictor) = RUN.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path().join("run");
        train(LINEAR, &run, None);
        let predictor = Predictor::open(&run).unwrap();
        (directory, predictor)
    });
    predictor
}

/// An image whose pixels count up from `start`, at most 16.
fn image(start: usize) -> Vec<f32> {
    (0..64).map(|pixel| ((pixel + start) % 17) as f32).collect()
}

fn line(values: &[f32]) -> String {
    let fields: Vec<String> = values.iter().map(ToString::to_string).collect();
    fields.join(",")
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn csv(&self, text: &str) -> Result<Examples, String> {
        let path = self.path("x.csv");
        fs::write(&path, text).unwrap();
        self.read(&path)
    }

    fn npy(&self, shape: &[usize], values: &[f32]) -> Result<Examples, String> {
        let path = self.path("x.npy");
        write_npy(&path, shape, values).unwrap();
        self.read(&path)
    }

    /// The images, or the error without the directory.
    fn read(&self, path: &Path) -> Result<Examples, String> {
        let prefix = format!("{}/", self.0.path().display());
        Examples::read(path, predictor()).map_err(|error| error.to_string().replace(&prefix, ""))
    }
}

#[test]
fn every_form_holds_the_same_images() {
    let files = Files::new();
    let both = [image(0), image(5)].concat();
    let csv = format!("{}\n{}\n", line(&image(0)), line(&image(5)));
    let expected = files.csv(&csv).unwrap();
    assert_eq!((expected.len(), expected.labels()), (2, None));
    for shape in [&[2, 8, 8][..], &[2, 1, 8, 8], &[2, 64]] {
        assert_eq!(files.npy(shape, &both).unwrap(), expected, "{shape:?}");
    }
    for shape in [&[8, 8][..], &[1, 8, 8], &[1, 1, 8, 8], &[1, 64]] {
        assert_eq!(files.npy(shape, &image(0)).unwrap().len(), 1, "{shape:?}");
    }
    let bytes: Vec<u8> = both.iter().map(|pixel| *pixel as u8).collect();
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 8, 8), }";
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend_from_slice(&(header.len() as u16).to_le_bytes());
    npy.extend_from_slice(header.as_bytes());
    npy.extend_from_slice(&bytes);
    let path = files.path("bytes.NPY");
    fs::write(&path, npy).unwrap();
    assert_eq!(files.read(&path).unwrap(), expected);
}

#[test]
fn csv_labels_and_headers() {
    let files = Files::new();
    let header: Vec<String> = (0..64).map(|pixel| format!("pixel_{pixel}")).collect();
    let text = format!(
        "{},target\r\n{}, 7\r\n{}, 3.0\r\n",
        header.join(","),
        line(&image(0)),
        line(&image(1))
    );
    let images = files.csv(&text).unwrap();
    assert_eq!((images.len(), images.labels()), (2, Some(&[7, 3][..])));
}

#[test]
fn files_that_hold_something_else() {
    let files = Files::new();
    let good = line(&image(0));
    let with = |column: usize, text: &str| {
        let mut fields: Vec<String> = image(0).iter().map(ToString::to_string).collect();
        fields[column] = text.to_owned();
        fields.join(",")
    };
    let csv = [
        (
            format!("{good}\n{}\n", with(3, "x")),
            "x.csv: line 2, column 4: found \"x\"; expected a pixel from 0 to 16",
        ),
        (with(63, "16.5"), "x.csv: line 1, column 64: found 16.5; expected a pixel from 0 to 16"),
        (with(0, "-1"), "x.csv: line 1, column 1: found -1; expected a pixel from 0 to 16"),
        (with(0, "NaN"), "x.csv: line 1, column 1: found NaN; expected a pixel from 0 to 16"),
        (
            format!("{good}\n\n1,2,3\n"),
            "x.csv: line 3: found 3 columns; expected 64 pixels, or 65 with a label last",
        ),
        (
            format!("{good},4\n{good}\n"),
            "x.csv: line 2: found 64 columns after lines of 65; expected labels on all lines or on \
             none",
        ),
        (
            format!("{good},10\n"),
            "x.csv: line 1, column 65: found \"10\"; expected a label from 0 to 9",
        ),
        (
            format!("{good},2.5\n"),
            "x.csv: line 1, column 65: found \"2.5\"; expected a label from 0 to 9",
        ),
        (String::new(), "x.csv: holds no example"),
        ("a,b\n".to_owned(), "x.csv: holds no example"),
    ];
    for (text, expected) in csv {
        assert_eq!(files.csv(&text).unwrap_err(), expected);
    }
    let mut pixels = [image(0), image(1)].concat();
    pixels[64 + 9] = 17.0;
    let npy = [
        (
            files.npy(&[2, 8, 8], &pixels),
            "x.npy: example 1, value 9: found 17; expected a pixel from 0 to 16",
        ),
        (
            files.npy(&[8, 16], &pixels),
            "x.npy: found an array of shape [8, 16]; expected [n, 1, 8, 8], [n, 8, 8], [n, 64] or, \
             for one image, [8, 8]",
        ),
        (
            files.npy(&[], &[1.0]),
            "x.npy: found an array of shape []; expected [n, 1, 8, 8], [n, 8, \
             8], [n, 64] or, for one image, [8, 8]",
        ),
        (files.npy(&[0, 8, 8], &[]), "x.npy: holds no example"),
    ];
    for (found, expected) in npy {
        assert_eq!(found.unwrap_err(), expected);
    }
    let path = files.path("x.png");
    fs::write(&path, "").unwrap();
    assert_eq!(files.read(&path).unwrap_err(), "x.png: expected a file that ends in .npy or .csv");
    let missing = files.read(&files.path("no.csv")).unwrap_err();
    assert!(missing.starts_with("no.csv: "), "{missing}");
}

#[test]
fn predictions_need_only_the_directory() {
    let files = Files::new();
    let run = files.path("run");
    train(LINEAR, &run, None);
    let moved = files.path("moved");
    fs::rename(&run, &moved).unwrap();
    let predictor = Predictor::open(&moved).unwrap();
    assert_eq!(predictor.input_shape(), [1, 8, 8]);

    // By hand, from the saved tensors.
    let model = model(&moved);
    let (w, b) = (model.get("1.weight").unwrap(), model.get("1.bias").unwrap());
    let (w, b) = (w.to_f64_vec().unwrap(), b.to_f64_vec().unwrap());
    let images = files.npy(&[300, 64], &(0..300).flat_map(image).collect::<Vec<_>>()).unwrap();
    let predictions = predictor.predict(&images).unwrap();
    assert_eq!(predictions.len(), 300);
    for (index, prediction) in predictions.iter().enumerate() {
        let logits: Vec<f64> = (0..10)
            .map(|class| {
                let pixels = image(index).into_iter().map(|pixel| f64::from(pixel) / 16.0);
                let products = pixels.zip(&w[class * 64..]).map(|(pixel, w)| pixel * w);
                b[class] + products.sum::<f64>()
            })
            .collect();
        let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let own = logits[prediction.label.unwrap()].exp() / total;
        assert_eq!(prediction.index, index);
        assert!((own - prediction.probability.unwrap()).abs() < 1e-5);
        let best = logits.iter().copied().fold(f64::MIN, f64::max);
        assert!(best - logits[prediction.label.unwrap()] < 1e-5);
    }
}

#[test]
fn a_model_of_another_recipe_is_refused() {
    let files = Files::new();
    let run = files.path("run");
    train(LINEAR, &run, None);
    let text =
        LINEAR.replace("{ type = \"flatten\" }", "{ type = \"flatten\" }, { type = \"relu\" }");
    fs::write(run.join("recipe.toml"), text).unwrap();
    let error = Predictor::open(&run).err().unwrap().to_string();
    assert!(error.contains("model.safetensors: the state dict does not fit"), "{error}");
    assert!(error.contains("missing: `2.weight`"), "{error}");
    let error = Predictor::open(&files.path("none")).err().unwrap().to_string();
    assert!(
        error.ends_with(
            "none is no run directory: it has no recipe.toml; expected what `train` wrote"
        )
    );
}
