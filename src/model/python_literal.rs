//! Literals of Python, as exporters write them into metadata: `{0: 'kiln', 1: "brick's"}`, `[640, 640]`, `True`.
//!
//! Dictionaries, lists, tuples, strings, numbers, `True`, `False` and `None`; nothing is evaluated.

use thiserror::Error;

/// A literal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    None,
    Bool(bool),
    Number(f64),
    Text(String),
    /// A list or a tuple.
    List(Vec<Self>),
    /// A dictionary, in its order.
    Dict(Vec<(Self, Self)>),
}

/// Where and why a text is no literal.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} at character {at}")]
pub(super) struct LiteralError {
    what: &'static str,
    /// Counted from 1.
    at: usize,
}

/// Deeper nesting than this is not metadata.
const MAX_DEPTH: usize = 16;

impl Literal {
    pub(super) fn parse(text: &str) -> Result<Self, LiteralError> {
        let mut parser = Parser {
            text: text.chars().collect(),
            at: 0,
        };
        let value = parser.value(0)?;
        parser.skip_space();
        if parser.at < parser.text.len() {
            return Err(parser.error("something follows the value"));
        }
        Ok(value)
    }

    pub(super) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The values in their order: of a list, or of a dictionary whose keys are 0, 1, 2 … in any order.
    pub(super) fn in_order(&self) -> Option<Vec<&Self>> {
        match self {
            Self::List(values) => Some(values.iter().collect()),
            Self::Dict(entries) => {
                let mut ordered = vec![None; entries.len()];
                for (key, value) in entries {
                    let number = match key {
                        Self::Number(number) => *number,
                        // JSON has no other keys.
                        Self::Text(text) => text.parse().ok()?,
                        _ => return None,
                    };
                    let whole = (number.fract() == 0.0 && number >= 0.0).then_some(number as usize);
                    let slot = ordered.get_mut(whole?)?;
                    if slot.replace(value).is_some() {
                        return None;
                    }
                }
                ordered.into_iter().collect()
            }
            _ => None,
        }
    }

    /// The value of a key of a dictionary.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Dict(entries) => {
                let found = entries
                    .iter()
                    .find(|(k, _)| matches!(k, Self::Text(t) if t == key));
                found.map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

struct Parser {
    text: Vec<char>,
    at: usize,
}

impl Parser {
    fn error(&self, what: &'static str) -> LiteralError {
        LiteralError {
            what,
            at: self.at + 1,
        }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn take(&mut self, wanted: char) -> bool {
        self.skip_space();
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Literal, LiteralError> {
        self.skip_space();
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deep"));
        }
        match self.peek() {
            Some('{') => self.dict(depth),
            Some('[') => self.list(']', depth),
            Some('(') => self.list(')', depth),
            Some(quote @ ('\'' | '"')) => self.string(quote).map(Literal::Text),
            Some(c) if c.is_alphabetic() => self.word(),
            Some(_) => self.number(),
            None => Err(self.error("the text ends where a value should be")),
        }
    }

    fn dict(&mut self, depth: usize) -> Result<Literal, LiteralError> {
        self.at += 1;
        let mut entries = Vec::new();
        loop {
            if self.take('}') {
                return Ok(Literal::Dict(entries));
            }
            let key = self.value(depth + 1)?;
            if !self.take(':') {
                return Err(self.error("expected `:`"));
            }
            entries.push((key, self.value(depth + 1)?));
            if !self.take(',') {
                return if self.take('}') {
                    Ok(Literal::Dict(entries))
                } else {
                    Err(self.error("expected `,` or `}`"))
                };
            }
        }
    }

    fn list(&mut self, end: char, depth: usize) -> Result<Literal, LiteralError> {
        self.at += 1;
        let mut values = Vec::new();
        loop {
            if self.take(end) {
                return Ok(Literal::List(values));
            }
            values.push(self.value(depth + 1)?);
            if !self.take(',') {
                return if self.take(end) {
                    Ok(Literal::List(values))
                } else {
                    Err(self.error("expected `,` or the end of the list"))
                };
            }
        }
    }

    fn string(&mut self, quote: char) -> Result<String, LiteralError> {
        self.at += 1;
        let mut value = String::new();
        loop {
            let Some(c) = self.peek() else {
                return Err(self.error("a string does not end"));
            };
            self.at += 1;
            match c {
                '\\' => value.push(self.escape()?),
                c if c == quote => return Ok(value),
                c => value.push(c),
            }
        }
    }

    /// The character after a backslash.
    fn escape(&mut self) -> Result<char, LiteralError> {
        let Some(c) = self.peek() else {
            return Err(self.error("a string does not end"));
        };
        self.at += 1;
        let digits = match c {
            '\\' | '\'' | '"' | '/' => return Ok(c),
            'n' => return Ok('\n'),
            't' => return Ok('\t'),
            'r' => return Ok('\r'),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return Err(self.error("an escape that is not known")),
        };
        let code: String = self.text.iter().skip(self.at).take(digits).collect();
        self.at += digits;
        u32::from_str_radix(&code, 16)
            .ok()
            .filter(|_| code.len() == digits)
            .and_then(char::from_u32)
            .ok_or_else(|| self.error("an escape that is no character"))
    }

    fn word(&mut self) -> Result<Literal, LiteralError> {
        let start = self.at;
        while self.peek().is_some_and(char::is_alphanumeric) {
            self.at += 1;
        }
        let word: String = self.text.iter().skip(start).take(self.at - start).collect();
        match word.as_str() {
            "None" | "null" => Ok(Literal::None),
            "True" | "true" => Ok(Literal::Bool(true)),
            "False" | "false" => Ok(Literal::Bool(false)),
            _ => {
                self.at = start;
                Err(self.error("a name where a value should be"))
            }
        }
    }

    fn number(&mut self) -> Result<Literal, LiteralError> {
        let start = self.at;
        while self
            .peek()
            .is_some_and(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'))
        {
            self.at += 1;
        }
        let text: String = self.text.iter().skip(start).take(self.at - start).collect();
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Literal::Number(number)),
            _ => {
                self.at = start;
                Err(self.error("no value"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(literal: &str) -> Option<Vec<String>> {
        let parsed = Literal::parse(literal).ok()?;
        let values = parsed.in_order()?.into_iter();
        values
            .map(|v| match v {
                Literal::Text(text) => Some(text.clone()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn names_as_exporters_write_them() {
        assert_eq!(
            texts("{0: 'kiln', 1: \"brick's\"}").unwrap(),
            ["kiln", "brick's"]
        );
        assert_eq!(texts("{1: 'b', 0: 'a',}").unwrap(), ["a", "b"]);
        assert_eq!(
            texts("['four à briques', '\\u0939\\x41\\\\\\'']").unwrap(),
            ["four à briques", "\u{939}A\\'"]
        );
        assert_eq!(
            texts("{\"0\": \"car\"}").unwrap(),
            ["car"],
            "JSON is much the same"
        );
    }

    #[test]
    fn keys_that_are_no_numbering_are_refused() {
        for odd in [
            "{1: 'b'}",
            "{0: 'a', 0: 'b'}",
            "{0.5: 'a'}",
            "{'a': 'b'}",
            "{-1: 'a'}",
        ] {
            assert_eq!(texts(odd), None, "{odd}");
        }
    }

    #[test]
    fn arguments_of_an_export() {
        let args =
            Literal::parse("{'batch': 1, 'half': False, 'imgsz': (640, 320), 'device': None}")
                .unwrap();
        assert_eq!(args.get("batch").unwrap().as_number(), Some(1.0));
        assert_eq!(args.get("half"), Some(&Literal::Bool(false)));
        assert_eq!(args.get("imgsz").unwrap().in_order().unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_literal_is_refused_with_its_place() {
        for (text, expected) in [
            ("{0: 'kiln'", "expected `,` or `}` at character 11"),
            ("{0 'kiln'}", "expected `:` at character 4"),
            ("{0: kiln}", "a name where a value should be at character 5"),
            ("'kiln", "a string does not end at character 6"),
            ("__import__('os')", "no value at character 1"),
            ("1 2", "something follows the value at character 3"),
            ("", "the text ends where a value should be at character 1"),
        ] {
            assert_eq!(
                Literal::parse(text).unwrap_err().to_string(),
                expected,
                "{text}"
            );
        }
        assert!(Literal::parse(&"[".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[\\[\\]{}(),:'\"\\\\a-zA-Z0-9 .-]{0,60}") {
            drop(Literal::parse(&text));
        }
    }
}
