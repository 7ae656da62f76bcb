//! How a table is drawn.

use comfy_table::presets::{ASCII_FULL_CONDENSED, UTF8_FULL_CONDENSED};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};

/// How a table is drawn.
///
/// ```
/// use espalier_report::Style;
/// assert_eq!(Style::utf8().with_width(100), Style { utf8: true, width: Some(100) });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// Lines of box-drawing characters instead of `+`, `-` and `|`.
    pub utf8: bool,
    /// The columns of the terminal. Without, for files and pipes, a table is as wide as its contents.
    pub width: Option<u16>,
}

impl Style {
    /// ASCII lines, as wide as the contents.
    ///
    /// ```
    /// assert!(!espalier_report::Style::ascii().utf8);
    /// ```
    pub const fn ascii() -> Self {
        Self { utf8: false, width: None }
    }

    /// Box-drawing lines, as wide as the contents.
    ///
    /// ```
    /// assert!(espalier_report::Style::utf8().utf8);
    /// ```
    pub const fn utf8() -> Self {
        Self { utf8: true, width: None }
    }

    /// The same for a terminal of that many columns.
    ///
    /// ```
    /// assert_eq!(espalier_report::Style::ascii().with_width(80).width, Some(80));
    /// ```
    #[must_use]
    pub const fn with_width(self, width: u16) -> Self {
        Self { width: Some(width), ..self }
    }
}

/// The least width of the column of names, in characters, before other columns are left out.
const NAME_WIDTH: u16 = 12;

/// A column of a table.
///
/// ```
/// let column = espalier_report::Column { heading: "name", dispensable: 0 };
/// assert_eq!(column.dispensable, 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The heading.
    pub heading: &'static str,
    /// How soon it is left out on a narrow terminal; 0: never.
    pub dispensable: u8,
}

/// Draws rows under headings. The first column holds names, which break over several lines where the
/// terminal is narrow; columns that are `text` are set left, numbers right.
///
/// Columns are left out, the most dispensable first, until the rest fits; a last line names them.
///
/// ```
/// use espalier_report::{Column, Style, draw};
/// let columns = ["name", "size"].map(|heading| Column { heading, dispensable: 0 });
/// let text = draw(&columns, 1, &[vec!["a".into(), "12".into()]], Style::ascii());
/// assert_eq!(text.lines().nth(3), Some("| a    |   12 |"));
/// ```
pub fn draw(columns: &[Column], text: usize, rows: &[Vec<String>], style: Style) -> String {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let mut table = build(columns, text, rows, &shown, style);
    let fits = |table: &Table| style.width.is_none_or(|width| least_width(table) <= width);
    while !fits(&table) {
        let most = shown.iter().map(|&column| columns[column].dispensable).max();
        let Some(most) = most.filter(|&most| most > 0) else {
            break;
        };
        shown.retain(|&column| columns[column].dispensable != most);
        table = build(columns, text, rows, &shown, style);
    }
    if let Some(width) = style.width {
        arrange(&mut table, width);
    }
    let mut drawn = table.to_string();
    drawn.push('\n');
    let left_out: Vec<&str> = (0..columns.len())
        .filter(|column| !shown.contains(column))
        .map(|column| columns[column].heading)
        .collect();
    if !left_out.is_empty() {
        drawn.push_str(&format!("left out for want of width: {}\n", left_out.join(", ")));
    }
    drawn
}

fn build(
    columns: &[Column],
    text: usize,
    rows: &[Vec<String>],
    shown: &[usize],
    style: Style,
) -> Table {
    let mut table = Table::new();
    // The width is the caller's: what is drawn does not depend on where it is drawn.
    table.force_no_tty();
    table.load_style(if style.utf8 { UTF8_FULL_CONDENSED } else { ASCII_FULL_CONDENSED });
    table.set_header(shown.iter().map(|&column| columns[column].heading));
    for row in rows {
        table.add_row(shown.iter().map(|&column| &row[column]));
    }
    for (place, &column) in shown.iter().enumerate() {
        if let Some(settings) = table.column_mut(place) {
            let left = column < text;
            settings.set_cell_alignment(if left {
                CellAlignment::Left
            } else {
                CellAlignment::Right
            });
        }
    }
    table
}

/// The width with the column of names as narrow as it may get before others are left out.
fn least_width(table: &Table) -> u16 {
    let widths = table.column_max_content_widths();
    let first = widths.first().map_or(0, |&first| first.min(NAME_WIDTH));
    first.saturating_add(other_width(&widths))
}

/// What everything but the names takes: contents, a blank on each side, lines.
fn other_width(widths: &[u16]) -> u16 {
    let contents = widths.iter().skip(1).fold(0u16, |sum, &width| sum.saturating_add(width));
    let lines = u16::try_from(3 * widths.len() + 1).unwrap_or(u16::MAX);
    contents.saturating_add(lines)
}

/// Breaks names so that the table fits; if even then it would not, everything is broken.
fn arrange(table: &mut Table, width: u16) {
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    let widths = table.column_max_content_widths();
    let names = width.saturating_sub(other_width(&widths));
    if names < NAME_WIDTH.min(widths.first().copied().unwrap_or(0)) {
        return;
    }
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_constraint(if place == 0 {
            ColumnConstraint::UpperBoundary(Width::Fixed(names.saturating_add(2)))
        } else {
            ColumnConstraint::ContentWidth
        });
    }
}
