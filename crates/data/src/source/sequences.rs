//! Tokens with a label each, as for tagging words.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use espalier_network::text::quoted;

use super::{file, labels};
use crate::dataset::{Dataset, check_index};
use crate::error::{DataError, Place};
use crate::record::{IGNORED, Record};
use crate::schema::{Input, Schema, Target};

/// Tokens of no example.
const PADDING: &str = "<pad>";
const UNKNOWN: &str = "<unk>";
/// Their numbers.
const PADDING_TOKEN: i64 = 0;
const UNKNOWN_TOKEN: i64 = 1;

/// Sequences of tokens with a label each: a line has a token, a tab and a label, an empty line ends a
/// sequence, as in the files of the CoNLL tasks.
///
/// All sequences are padded to one length, by token 0, `<pad>`, with [`IGNORED`] labels. Token 1 is `<unk>`,
/// for tokens that the vocabulary does not have; then come the vocabulary's, the most frequent first, of the
/// same frequency by their text. Labels are numbered by their text.
///
/// ```
/// use espalier_data::{Dataset, IGNORED, Record, Sequences};
///
/// let text = b"the\tDET\ndog\tNOUN\nbarks\tVERB\n\nbarks\tNOUN\n";
/// let data = Sequences::from_bytes(text, "tags.tsv")?;
/// assert_eq!(data.tokens(), ["<pad>", "<unk>", "barks", "dog", "the"]);
/// assert_eq!(data.labels(), ["DET", "NOUN", "VERB"]);
/// let mut record = Record::new(data.schema());
/// data.read(1, &mut record)?;
/// assert_eq!(record.inputs.tokens(), Some(&[2, 0, 0][..]));
/// assert_eq!(record.targets.classes(), Some(&[1, IGNORED, IGNORED][..]));
///
/// // Only what training sees should be in the vocabulary.
/// let data = data.with_vocabulary_of(&[1])?;
/// assert_eq!(data.tokens(), ["<pad>", "<unk>", "barks"]);
/// # Ok::<(), espalier_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Sequences {
    path: PathBuf,
    /// The different tokens and labels of the file, in the order in which they were met.
    words: Vec<String>,
    tags: Vec<String>,
    sequences: Vec<Sequence>,
    /// The numbers of `words` and `tags`.
    word_numbers: Vec<i64>,
    tag_numbers: Vec<i64>,
    tokens: Vec<String>,
    labels: Vec<String>,
    schema: Schema,
}

#[derive(Debug, Clone, PartialEq)]
struct Sequence {
    /// The line of its first token.
    line: usize,
    words: Vec<usize>,
    tags: Vec<usize>,
}

impl Sequences {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// As [`from_bytes`](Self::from_bytes), and [`DataError::Io`] and [`DataError::Kind`] for what cannot be
    /// read.
    ///
    /// ```
    /// use espalier_data::{Dataset, Sequences};
    /// # let directory = tempfile::tempdir()?;
    /// let path = directory.path().join("tags.tsv");
    /// std::fs::write(&path, "a\tX\nb\tY\n")?;
    /// assert_eq!(Sequences::open(&path)?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        Self::from_bytes(&file::read(path)?, path)
    }

    /// Reads a text that is in memory. `origin` is what errors call it.
    ///
    /// # Errors
    ///
    /// [`DataError::Value`] for a line that is not a token, a tab and a label, or not UTF-8;
    /// [`DataError::Missing`] for an empty token or label; [`DataError::Empty`].
    pub fn from_bytes(text: &[u8], origin: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = origin.as_ref();
        let (mut words, mut tags) = (Interner::default(), Interner::default());
        let mut sequences: Vec<Sequence> = Vec::new();
        let mut goes_on = false;
        for (index, bytes) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = index + 1;
            let fault = |found: String| DataError::Value {
                path: path.to_owned(),
                place: Box::new(Place::Line(line)),
                found,
                expected: "a token, a tab and a label, in UTF-8".to_owned(),
            };
            let found = std::str::from_utf8(bytes);
            let found = found.map_err(|_| fault("bytes that are not UTF-8".to_owned()))?;
            if found.trim().is_empty() {
                goes_on = false;
                continue;
            }
            let fields: Vec<&str> = found.trim_end_matches('\r').split('\t').collect();
            let [token, label] = fields[..] else {
                return Err(fault(quoted(found)));
            };
            for (column, field) in [token, label].into_iter().enumerate() {
                if field.trim().is_empty() {
                    let expected = ["a token", "a label"][column].to_owned();
                    let place = Box::new(Place::Field { line, column: column + 1, name: None });
                    return Err(DataError::Missing { path: path.to_owned(), place, expected });
                }
            }
            if !goes_on {
                sequences.push(Sequence { line, words: Vec::new(), tags: Vec::new() });
                goes_on = true;
            }
            if let Some(last) = sequences.last_mut() {
                last.words.push(words.place(token));
                last.tags.push(tags.place(label));
            }
        }
        let Some(length) = sequences.iter().map(|sequence| sequence.words.len()).max() else {
            let expected = "lines of a token, a tab and a label".to_owned();
            return Err(DataError::Empty { path: path.to_owned(), expected });
        };
        let (words, tags) = (words.all, tags.all);
        let labels = labels::distinct(tags.iter().map(String::as_str));
        let mut data = Self {
            path: path.to_owned(),
            word_numbers: Vec::new(),
            tag_numbers: numbers(&tags, &labels).map(|number| number.unwrap_or(0)).collect(),
            words,
            tags,
            tokens: Vec::new(),
            schema: Schema {
                dims: vec![length],
                input: Input::Tokens { vocabulary: 0 },
                target: Target::Labels { length, classes: labels.len() },
            },
            labels,
            sequences,
        };
        let all: Vec<usize> = (0..data.sequences.len()).collect();
        data.set_tokens(data.vocabulary_of(&all));
        Ok(data)
    }

    /// With the vocabulary of these examples; tokens that only others have become `<unk>`.
    ///
    /// # Errors
    ///
    /// [`DataError::Index`] for an example that there is not.
    pub fn with_vocabulary_of(mut self, train: &[usize]) -> Result<Self, DataError> {
        train.iter().try_for_each(|index| check_index(*index, self.len()))?;
        self.set_tokens(self.vocabulary_of(train));
        Ok(self)
    }

    /// With the vocabularies of another data set, that a network was trained on: its
    /// [`tokens`](Self::tokens), `<pad>` and `<unk>` among them, and [`labels`](Self::labels).
    ///
    /// # Errors
    ///
    /// [`DataError::Option`] for tokens that do not start with those two or labels that come twice,
    /// [`DataError::Label`] for an example
    /// with another label.
    ///
    /// ```
    /// use espalier_data::Sequences;
    /// let train = Sequences::from_bytes(b"a\tX\nb\tY\n", "train.tsv")?;
    /// let test = Sequences::from_bytes(b"c\tY\n", "test.tsv")?;
    /// let test = test.with_names(train.tokens().to_vec(), train.labels().to_vec())?;
    /// assert_eq!(test.labels(), ["X", "Y"]);
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn with_names(
        mut self,
        tokens: Vec<String>,
        labels: Vec<String>,
    ) -> Result<Self, DataError> {
        if !matches!(&tokens[..], [pad, unknown, ..] if pad == PADDING && unknown == UNKNOWN) {
            let found = format!("{:?}", &tokens[..tokens.len().min(2)]);
            let expected = format!("`{PADDING}` and `{UNKNOWN}` before all others");
            return Err(DataError::Option { option: "tokens", found, expected });
        }
        labels::check_given(&labels)?;
        let numbered: Vec<Option<i64>> = numbers(&self.tags, &labels).collect();
        for sequence in &self.sequences {
            let unknown = sequence.tags.iter().position(|tag| numbered[*tag].is_none());
            if let Some(place) = unknown {
                let tag = &self.tags[sequence.tags[place]];
                let (found, expected, help_text) = labels::unknown(tag, &labels);
                let (path, place) = (self.path, Box::new(Place::Line(sequence.line + place)));
                return Err(DataError::Label { path, place, found, expected, help_text });
            }
        }
        self.tag_numbers = numbered.into_iter().map(|number| number.unwrap_or(0)).collect();
        self.schema.target = Target::Labels { length: self.schema.size(), classes: labels.len() };
        self.labels = labels;
        self.set_tokens(tokens);
        Ok(self)
    }

    /// Padded to this length; as it is, they are to the longest.
    ///
    /// # Errors
    ///
    /// [`DataError::Value`] with the line of a sequence that is longer.
    ///
    /// ```
    /// use espalier_data::{Dataset, Sequences};
    /// let data = Sequences::from_bytes(b"a\tX\nb\tY\n", "train.tsv")?;
    /// assert_eq!(data.clone().with_length(5)?.schema().dims, [5]);
    /// assert_eq!(
    ///     data.with_length(1).unwrap_err().to_string(),
    ///     "train.tsv: line 1: found a sequence of 2 tokens; expected at most 1: split it, or give a \
    ///      larger length"
    /// );
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn with_length(mut self, length: usize) -> Result<Self, DataError> {
        if let Some(long) = self.sequences.iter().find(|sequence| sequence.words.len() > length) {
            return Err(DataError::Value {
                path: self.path,
                place: Box::new(Place::Line(long.line)),
                found: format!("a sequence of {} tokens", long.words.len()),
                expected: format!("at most {length}: split it, or give a larger length"),
            });
        }
        self.schema.dims = vec![length];
        self.schema.target = Target::Labels { length, classes: self.labels.len() };
        Ok(self)
    }

    /// The vocabulary in the order of the tokens' numbers.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The labels in the order of their numbers.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The tokens of these examples.
    fn vocabulary_of(&self, examples: &[usize]) -> Vec<String> {
        let mut counts = vec![0usize; self.words.len()];
        // An example counts once, however often it is listed.
        for index in examples.iter().collect::<BTreeSet<_>>() {
            self.sequences[*index].words.iter().for_each(|word| counts[*word] += 1);
        }
        let mut found: Vec<usize> = (0..counts.len()).filter(|word| counts[*word] > 0).collect();
        found.sort_by_key(|word| (Reverse(counts[*word]), &self.words[*word]));
        let special = [PADDING, UNKNOWN];
        let others = found.iter().map(|word| self.words[*word].clone());
        // In a text, these two are as good as unknown.
        let others = others.filter(|word| !special.contains(&word.as_str()));
        special.into_iter().map(str::to_owned).chain(others).collect()
    }

    fn set_tokens(&mut self, tokens: Vec<String>) {
        let special = [PADDING, UNKNOWN];
        let found = numbers(&self.words, &tokens);
        let number = |(word, number): (&String, Option<i64>)| match number {
            Some(number) if !special.contains(&word.as_str()) => number,
            _ => UNKNOWN_TOKEN,
        };
        self.word_numbers = self.words.iter().zip(found).map(number).collect();
        self.schema.input = Input::Tokens { vocabulary: tokens.len() };
        self.tokens = tokens;
    }
}

impl Dataset for Sequences {
    fn len(&self) -> usize {
        self.sequences.len()
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn read(&self, index: usize, record: &mut Record) -> Result<(), DataError> {
        check_index(index, self.len())?;
        let Sequence { words, tags, .. } = &self.sequences[index];
        let padding = self.schema.size().saturating_sub(words.len());
        let words = words.iter().map(|word| self.word_numbers[*word]);
        record.set_tokens(words.chain(std::iter::repeat_n(PADDING_TOKEN, padding)));
        let tags = tags.iter().map(|tag| self.tag_numbers[*tag]);
        record.set_labels(tags.chain(std::iter::repeat_n(IGNORED, padding)));
        Ok(())
    }
}

/// Texts by the order in which they are met.
#[derive(Default)]
struct Interner {
    all: Vec<String>,
    /// For look-ups only, so its order does not show.
    places: HashMap<String, usize>,
}

impl Interner {
    fn place(&mut self, text: &str) -> usize {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = self.all.len();
        self.places.insert(text.to_owned(), place);
        self.all.push(text.to_owned());
        place
    }
}

/// The place of each of `texts` in `names`.
fn numbers<'a>(
    texts: &'a [String],
    names: &[String],
) -> impl Iterator<Item = Option<i64>> + use<'a> {
    let places: HashMap<String, i64> =
        names.iter().enumerate().map(|(place, name)| (name.clone(), place as i64)).collect();
    texts.iter().map(move |text| places.get(text).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_lines_are_named() {
        let message = |text: &[u8]| Sequences::from_bytes(text, "t.tsv").unwrap_err().to_string();
        assert_eq!(
            message(b"a\tX\n\nb Y\n"),
            "t.tsv: line 3: found \"b Y\"; expected a token, a tab and a label, in UTF-8"
        );
        assert_eq!(
            message(b"a\tX\n\tY\n"),
            "t.tsv: line 2, column 1: the value is missing; expected a token: fill it in or leave \
             the line out"
        );
        assert!(message(b"a\tX\n\xff\tY\n").starts_with("t.tsv: line 2: found bytes that are not"));
        assert!(message(b"\n \r\n").starts_with("t.tsv holds no examples; expected lines of a"));
        let error = Sequences::from_bytes(b"a\tX\nb\tNOUM\n", "t.tsv").unwrap();
        let names = ["<pad>", "<unk>"].map(str::to_owned).to_vec();
        let labels = ["NOUN", "X"].map(str::to_owned).to_vec();
        assert_eq!(
            error.clone().with_names(names, labels.clone()).unwrap_err().to_string(),
            "t.tsv: line 2: found the label \"NOUM\"; expected one of `NOUN`, `X`; did you mean \
             `NOUN`?"
        );
        assert!(error.with_names(vec!["a".into()], labels).is_err());
    }

    #[test]
    fn frequency_orders_the_vocabulary() {
        let text = b"z\tX\nb\tX\r\nz\tX\na\tX\n<pad>\tX\n\n\nq\tX\n";
        let data = Sequences::from_bytes(text, "t.tsv").unwrap();
        assert_eq!(data.len(), 2);
        assert_eq!(data.tokens()[2..], ["z", "a", "b", "q"]);
        let data = data.with_vocabulary_of(&[0]).unwrap();
        let mut record = Record::new(data.schema());
        data.read(1, &mut record).unwrap();
        assert_eq!(record.inputs.tokens(), Some(&[1, 0, 0, 0, 0][..]));
        data.read(0, &mut record).unwrap();
        assert_eq!(record.inputs.tokens(), Some(&[2, 4, 2, 3, 1][..]));
    }
}
