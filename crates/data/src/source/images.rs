//! Folders of images.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder as _, ImageError, ImageReader, Limits};

use super::{file, labels};
use crate::dataset::{Dataset, check_index};
use crate::error::{DataError, Place};
use crate::record::Record;
use crate::schema::{Input, Schema, Target};

/// The formats that are read.
pub(crate) const FORMATS: &str = "png, jpeg, bmp, gif, webp, pnm";
/// The endings of their files, in lower case.
const ENDINGS: [&str; 11] =
    ["png", "jpg", "jpeg", "bmp", "gif", "webp", "pnm", "pbm", "pgm", "ppm", "pam"];
/// The largest side and the most memory of an image: a small file may claim any size.
const LARGEST_SIDE: u32 = 1 << 15;
const MOST_BYTES: u64 = 512 << 20;

/// How images are brought into one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageOptions {
    /// The height and width that every image is resized to, by a triangle filter.
    pub size: [usize; 2],
    /// Its channels.
    pub color: Color,
    /// The classes in the order of their numbers. As it is, they are the folders in natural order;
    /// name them where a folder may be missing.
    pub classes: Option<Vec<String>>,
}

/// The channels of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// One: luminance.
    Grey,
    /// Three: red, green, blue.
    Rgb,
}

impl Color {
    /// How many.
    ///
    /// ```
    /// assert_eq!(espalier_data::Color::Rgb.channels(), 3);
    /// ```
    pub fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }
}

/// A folder with a folder of images for each class, decoded when they are asked for.
///
/// Classes and images come in natural order, `9.png` before `10.png`. Images are `png`, `jpeg`, `bmp`,
/// `gif` (the first picture), `webp` and `pnm`, turned as their EXIF data say; transparency is dropped.
/// Hidden files and files with other endings are passed over. Values go from 0 to 255.
///
/// ```
/// use espalier_data::{Color, Dataset, ImageOptions, Images};
///
/// # let directory = tempfile::tempdir()?;
/// for (class, pixels) in [("cat", "0 255"), ("dog", "255 0")] {
///     std::fs::create_dir(directory.path().join(class))?;
///     std::fs::write(directory.path().join(class).join("1.pgm"), format!("P2 2 1 255 {pixels}"))?;
/// }
/// let options = ImageOptions { size: [1, 2], color: Color::Grey, classes: None };
/// let images = Images::open(directory.path(), options)?;
/// assert_eq!((images.len(), images.class(1)?), (2, Some(1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Images {
    files: Vec<(PathBuf, usize)>,
    size: [usize; 2],
    color: Color,
    schema: Schema,
}

impl Images {
    /// Lists the images of a folder.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`], [`DataError::Kind`] for a path that is no folder, [`DataError::Empty`] for one
    /// without folders or a class without images, [`DataError::Label`] for a folder that is none of the
    /// classes, [`DataError::Option`] for a size of 0 or above 32,768. What an image holds shows when it
    /// is read.
    pub fn open(folder: impl AsRef<Path>, options: ImageOptions) -> Result<Self, DataError> {
        let folder = folder.as_ref();
        let [height, width] = options.size;
        if [height, width].iter().any(|side| !(1..=LARGEST_SIDE as usize).contains(side)) {
            let found = format!("{height} by {width}");
            let expected = format!("sides from 1 to {LARGEST_SIDE}");
            return Err(DataError::Option { option: "size", found, expected });
        }
        let is_folder = |path: &Path| path.is_dir();
        let folders = entries(folder)?.into_iter().filter(|(_, path)| is_folder(path));
        let folders: Vec<(String, PathBuf)> = folders.collect();
        let found: Vec<String> = folders.iter().map(|(name, _)| name.clone()).collect();
        if found.is_empty() {
            let expected = "a folder of images for each class".to_owned();
            return Err(DataError::Empty { path: folder.to_owned(), expected });
        }
        let names = options.classes.unwrap_or(found);
        labels::check_given(&names)?;
        let mut files = Vec::new();
        for (name, path) in folders {
            let Some(class) = names.iter().position(|known| *known == name) else {
                let (found, expected, help_text) = labels::unknown(&name, &names);
                let place = Box::new(Place::Folder);
                return Err(DataError::Label { path, place, found, expected, help_text });
            };
            let before = files.len();
            let images = entries(&path)?.into_iter().filter(|(_, path)| is_image(path));
            files.extend(images.map(|(_, path)| (path, class)));
            if files.len() == before {
                let expected = format!("files with the endings {}", ENDINGS.join(", "));
                return Err(DataError::Empty { path, expected });
            }
        }
        let schema = Schema {
            dims: vec![options.color.channels(), height, width],
            input: Input::Values { largest: Some(f32::from(u8::MAX)) },
            target: Target::Class { names },
        };
        Ok(Self { files, size: options.size, color: options.color, schema })
    }

    /// The file of an image, if there is one at this place.
    ///
    /// ```
    /// # use espalier_data::{Color, ImageOptions, Images};
    /// # let directory = tempfile::tempdir()?;
    /// # std::fs::create_dir(directory.path().join("cat"))?;
    /// # std::fs::write(directory.path().join("cat/1.pgm"), "P2 1 1 255 0")?;
    /// # let options = ImageOptions { size: [1, 1], color: Color::Grey, classes: None };
    /// let images = Images::open(directory.path(), options)?;
    /// assert!(images.path(0).is_some_and(|path| path.ends_with("cat/1.pgm")));
    /// assert!(images.path(1).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn path(&self, index: usize) -> Option<&Path> {
        self.files.get(index).map(|(path, _)| path.as_path())
    }
}

impl Dataset for Images {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn read(&self, index: usize, record: &mut Record) -> Result<(), DataError> {
        check_index(index, self.len())?;
        let (path, class) = &self.files[index];
        let mut image = decode(path)?;
        let [height, width] = self.size;
        if (image.height() as usize, image.width() as usize) != (height, width) {
            image = image.resize_exact(width as u32, height as u32, FilterType::Triangle);
        }
        match self.color {
            Color::Grey => {
                record.set_values(image.into_luma8().as_raw().iter().map(|at| f32::from(*at)));
            }
            Color::Rgb => {
                // Channels first.
                let pixels = image.into_rgb8().into_raw();
                let channel =
                    |of: usize| pixels.iter().skip(of).step_by(3).map(|at| f32::from(*at));
                record.set_values((0..3).flat_map(channel));
            }
        }
        record.set_class(*class as i64);
        Ok(())
    }

    fn class(&self, index: usize) -> Result<Option<usize>, DataError> {
        check_index(index, self.len())?;
        Ok(Some(self.files[index].1))
    }
}

/// The names and paths in a folder, hidden ones left out, in natural order.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let wrong = |source| DataError::Io { path: folder.to_owned(), source };
    let metadata = fs::metadata(folder).map_err(wrong)?;
    if !metadata.is_dir() {
        let (path, found) = (folder.to_owned(), file::kind(&metadata));
        return Err(DataError::Kind { path, found, expected: "a folder" });
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            all.push((name, entry.path()));
        }
    }
    all.sort_by(|a, b| natural(&a.0, &b.0).then_with(|| a.1.cmp(&b.1)));
    Ok(all)
}

fn is_image(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    let ending = ending.as_ref().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.contains(&ending)) && path.is_file()
}

/// Numbers within names by their size, all else by its text.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    loop {
        let (Some(x), Some(y)) = (a_rest.chars().next(), b_rest.chars().next()) else {
            // `7` and `07` are the same so far.
            return a_rest.len().cmp(&b_rest.len()).then_with(|| a.cmp(b));
        };
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let number = |rest: &mut &str| {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                let (number, after) = rest.split_at(digits);
                *rest = after;
                number.trim_start_matches('0').to_owned()
            };
            let (x, y) = (number(&mut a_rest), number(&mut b_rest));
            x.len().cmp(&y.len()).then_with(|| x.cmp(&y))
        } else {
            a_rest = &a_rest[x.len_utf8()..];
            b_rest = &b_rest[y.len_utf8()..];
            x.cmp(&y)
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn decode(path: &Path) -> Result<DynamicImage, DataError> {
    let wrong =
        |source: ImageError| DataError::Image { path: path.to_owned(), source: Box::new(source) };
    let reader = ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .map_err(|source| DataError::Io { path: path.to_owned(), source });
    let mut reader = reader?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(wrong)?;
    limits.reserve(decoder.total_bytes()).map_err(wrong)?;
    // A picture without a readable note of how it was held is taken as it is.
    let orientation = decoder.orientation().ok();
    let mut image = DynamicImage::from_decoder(decoder).map_err(wrong)?;
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_natural_order() {
        let mut names = ["b", "a10", "a9", "a", "a09", "10", "9", "a9b", "ä", "07", "7"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["07", "7", "9", "10", "a", "a09", "a9", "a9b", "a10", "b", "ä"]);
    }
}
