//! Texts from files within HTML and within JSON in HTML.

/// A text as the content of an element or of an attribute in double quotes.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // No character reference stands for it, and a parser replaces it.
            '\0' => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
    out
}

/// A JSON document as the content of a script element: the characters that end or change one stand within strings only,
/// and are escaped there, as are those that turn the direction of writing for who reads the page's source.
pub(super) fn json(document: &str) -> String {
    let mut out = String::with_capacity(document.len());
    for character in document.chars() {
        match character {
            '<'
            | '>'
            | '&'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_an_element_or_an_attribute() {
        let found = html("</script><img onerror='x' src=\"\">&amp;\0");
        let expected =
            "&lt;/script&gt;&lt;img onerror=&#39;x&#39; src=&quot;&quot;&gt;&amp;amp;\u{fffd}";
        assert_eq!(found, expected);
    }

    #[test]
    fn a_document_stays_what_it_says() {
        let hostile = "</script><!--<script>&\u{2028}\"\\";
        let document = serde_json::to_string(hostile).unwrap();
        let escaped = json(&document);
        assert!(!escaped.contains(['<', '>', '&', '\u{2028}']), "{escaped}");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), hostile);
    }
}
