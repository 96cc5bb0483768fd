//! Text inside XML. Pure.

/// A text as it stands in an element, or in an attribute between double quotes.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn whatever_is_written_is_read_again() {
        let text = "a && b < c > d \"e\" 'f' &amp; ]]>";
        let document = format!("<it is=\"{0}\">{0}</it>", escaped(text));
        let document = roxmltree::Document::parse(&document);
        let root = document.as_ref().map(roxmltree::Document::root_element);
        let read = root.map(|it| (it.attribute("is"), it.text()));
        assert_eq!(read, Ok((Some(text), Some(text))));
    }
}
