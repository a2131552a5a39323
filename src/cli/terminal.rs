//! What reaches a person's terminal.
//!
//! File names, model cards, metadata and messages of GDAL come from strangers. Left as they are, their control
//! characters could move the cursor, colour or hide text, or forge a line; they are shown as `\u{1b}` instead.

use std::borrow::Cow;
use std::io::{Stderr, StdoutLock, Write};

/// Standard output for text that people read.
pub(super) fn stdout() -> Plain<StdoutLock<'static>> {
    Plain(std::io::stdout().lock())
}

/// Standard error.
pub(super) fn stderr() -> Plain<Stderr> {
    Plain(std::io::stderr())
}

/// Text on one line, whatever it holds: for names within a line.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, is_steering)
}

/// A writer that lets line ends and tabs through and shows all other control characters.
#[derive(Debug)]
pub(super) struct Plain<W>(W);

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let shown = escaped(&text, |c| is_steering(c) && c != '\n' && c != '\t');
        self.0.write_all(shown.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Control characters, and the invisible ones that turn the direction of text or end a line.
fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(text: &str, shown: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&shown) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if shown(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_and_letters_of_all_scripts_are_kept() {
        let name = "ईंट भट्ठा\u{1b}[31m\u{9b}2J\u{202e}fit.\r\n";
        let expected = "ईंट भट्ठा\\u{1b}[31m\\u{9b}2J\\u{202e}fit.\\r\\n";
        assert_eq!(plain(name), expected);
    }

    #[test]
    fn a_writer_keeps_lines_and_loses_no_byte_of_them() {
        let mut written = Vec::new();
        let name = "\u{7}bell";
        writeln!(Plain(&mut written), "a\tß {name}").unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), "a\tß \\u{7}bell\n");
    }
}
