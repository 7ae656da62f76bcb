use std::path::Path;

use espalier_data::{Color, Dataset, ImageOptions, Images, Record};
use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage};

use crate::{examples, message};

fn options(size: [usize; 2], color: Color) -> ImageOptions {
    ImageOptions { size, color, classes: None }
}

fn save(folder: &Path, class: &str, name: &str, image: impl Into<DynamicImage>) {
    std::fs::create_dir_all(folder.join(class)).unwrap();
    image.into().save(folder.join(class).join(name)).unwrap();
}

fn grey(value: u8) -> GrayImage {
    GrayImage::from_pixel(3, 2, Luma([value]))
}

#[test]
fn classes_are_folders_in_natural_order() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), "10", "a.png", grey(10));
    save(folder.path(), "9", "b10.bmp", grey(30));
    save(folder.path(), "9", "b9.PGM", grey(20));
    std::fs::write(folder.path().join("9/notes.txt"), "no image").unwrap();
    std::fs::write(folder.path().join("9/.hidden.png"), "no image").unwrap();
    let data = Images::open(folder.path(), options([2, 3], Color::Grey)).unwrap();
    assert_eq!(data.schema().dims, [1, 2, 3]);
    let firsts: Vec<f32> =
        examples(&data).iter().map(|record| record.inputs.values().unwrap()[0]).collect();
    assert_eq!(firsts, [20.0, 30.0, 10.0]);
    let classes: Vec<_> = (0..3).map(|index| data.class(index).unwrap()).collect();
    assert_eq!(classes, [Some(0), Some(0), Some(1)]);
}

#[test]
fn formats_and_colours() {
    let folder = tempfile::tempdir().unwrap();
    let mut picture = RgbImage::from_pixel(8, 8, Rgb([200, 100, 50]));
    picture.put_pixel(0, 0, Rgb([200, 100, 50]));
    for name in ["1.png", "2.bmp", "3.gif", "4.ppm", "5.webp", "6.jpg"] {
        save(folder.path(), "only", name, picture.clone());
    }
    let data = Images::open(folder.path(), options([4, 2], Color::Rgb)).unwrap();
    assert_eq!((data.len(), &data.schema().dims[..]), (6, &[3, 4, 2][..]));
    for (record, name) in examples(&data).iter().zip(1..) {
        let values = record.inputs.values().unwrap();
        for (channel, expected) in values.chunks_exact(8).zip([200.0f32, 100.0, 50.0]) {
            // JPEG and the palette of GIF are not exact.
            assert!(channel.iter().all(|at| (at - expected).abs() <= 3.0), "{name}: {values:?}");
        }
    }
    let grey = Images::open(folder.path(), options([4, 2], Color::Grey)).unwrap();
    let values = examples(&grey)[0].inputs.values().unwrap().to_vec();
    assert_eq!(values.len(), 8);
    assert!(values.iter().all(|at| (at - 117.0).abs() <= 3.0), "{values:?}");
}

#[test]
fn rows_and_columns_stay_in_their_places() {
    let folder = tempfile::tempdir().unwrap();
    let picture = GrayImage::from_fn(3, 2, |x, y| Luma([(y * 10 + x) as u8]));
    save(folder.path(), "only", "a.png", picture);
    let data = Images::open(folder.path(), options([2, 3], Color::Grey)).unwrap();
    let record = &examples(&data)[0];
    assert_eq!(record.inputs.values(), Some(&[0.0, 1.0, 2.0, 10.0, 11.0, 12.0][..]));
}

#[test]
fn broken_images_are_named() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), "a", "1.png", grey(1));
    let path = folder.path().join("a/1.png");
    let whole = std::fs::read(&path).unwrap();
    let data = Images::open(folder.path(), options([2, 3], Color::Grey)).unwrap();
    let mut record = Record::new(data.schema());
    let error = |bytes: &[u8], record: &mut Record| {
        std::fs::write(&path, bytes).unwrap();
        message(data.read(0, record))
    };
    let cut = error(&whole[..whole.len() - 20], &mut record);
    assert!(cut.starts_with(&path.display().to_string()), "{cut}");
    assert!(cut.ends_with("png, jpeg, bmp, gif, webp, pnm: mend the file or remove it"), "{cut}");
    assert!(error(b"", &mut record).starts_with(&path.display().to_string()));
    // A header that claims more than any memory.
    let claims = b"P5 32768 32768 65535 ";
    let large = error(claims, &mut record);
    assert!(large.contains("emory limit"), "{large}");
    std::fs::remove_file(&path).unwrap();
    assert!(message(data.read(0, &mut record)).starts_with("cannot read "));
    // The content counts, and not the ending.
    let mut other = Vec::new();
    let to = &mut std::io::Cursor::new(&mut other);
    DynamicImage::from(grey(9)).write_to(to, ImageFormat::Bmp).unwrap();
    std::fs::write(&path, other).unwrap();
    data.read(0, &mut record).unwrap();
}

#[test]
fn wrong_folders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &Path, options| message(Images::open(path, options));
    let grey2 = || options([2, 2], Color::Grey);
    let nothing = open(folder.path(), grey2());
    assert!(nothing.ends_with("holds no examples; expected a folder of images for each class"));
    std::fs::create_dir(folder.path().join("cats")).unwrap();
    assert!(
        open(folder.path(), grey2()).contains("cats holds no examples; expected files with the")
    );
    save(folder.path(), "cats", "1.png", grey(1));
    let classes = Some(vec!["cat".to_owned(), "dog".to_owned()]);
    let unknown = open(folder.path(), ImageOptions { classes, ..grey2() });
    assert!(unknown.ends_with(
        "cats: the folder's name: found the label \"cats\"; expected one of `cat`, `dog`; did you \
         mean `cat`?"
    ));
    let file = folder.path().join("cats/1.png");
    assert!(open(&file, grey2()).ends_with("1.png is a file; expected a folder"));
    assert_eq!(
        open(folder.path(), options([0, 2], Color::Grey)),
        "size is 0 by 2; expected sides from 1 to 32768"
    );
    assert!(open(&folder.path().join("none"), grey2()).starts_with("cannot read "));
}

#[test]
fn pictures_are_turned_as_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let picture = GrayImage::from_fn(16, 8, |x, _| Luma([if x < 8 { 0 } else { 255 }]));
    save(folder.path(), "only", "a.jpg", picture);
    let path = folder.path().join("only/a.jpg");
    let plain = std::fs::read(&path).unwrap();
    // TIFF with one entry: tag 0x0112, orientation, a short of value 6, a quarter turn with the clock.
    let tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let length = (2 + 6 + tiff.len() as u16).to_be_bytes();
    let exif = [&b"\xff\xe1"[..], &length, b"Exif\0\0", tiff].concat();
    std::fs::write(&path, [&plain[..2], &exif, &plain[2..]].concat()).unwrap();
    let data = Images::open(folder.path(), options([16, 8], Color::Grey)).unwrap();
    let record = &examples(&data)[0];
    let (top, bottom) = record.inputs.values().unwrap().split_at(64);
    assert!(top.iter().all(|at| *at < 20.0) && bottom.iter().all(|at| *at > 235.0));
}
