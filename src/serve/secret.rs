//! Secrets that stand for a person: made here, told once, kept as hashes.

use sha2::{Digest, Sha256};

use crate::scene::hex;
use crate::verify::SecretHash;

/// Letters of codes that people read aloud: no `I`, `L`, `O`, `U`.
const CODE_LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// 256 random bits as 64 hexadecimal digits. Whoever holds the text is who it stands for; a database holds its
/// hash only, so that a stolen backup opens no door.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// A new one, from the operating system's random numbers.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(hex(&bytes)))
    }

    /// What somebody sent. `None` where it cannot have been made here.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (text.len() == 64 && digits).then(|| Self(text.to_owned()))
    }

    /// What is kept. Secrets are looked up by hash: how long that takes says nothing about the secret.
    pub(crate) fn hash(&self) -> SecretHash {
        SecretHash::of(&self.0)
    }

    /// The token that a page sends with every change, so that no other site can send one in its name. It follows
    /// from the secret, which scripts cannot read, and leads back to nothing.
    pub(crate) fn csrf_token(&self) -> String {
        let mut hasher = Sha256::new_with_prefix(b"kilnsight csrf token\0");
        hasher.update(self.0.as_bytes());
        hex(&hasher.finalize())
    }

    /// The secret itself, to be told once.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// Whether two texts are the same, in a time that depends on their lengths only.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.len() == b.len()
        && a.bytes()
            .zip(b.bytes())
            .fold(0, |all, (x, y)| all | (x ^ y))
            == 0
}

/// A short random name.
pub(crate) fn nonce() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes)?;
    Ok(hex(&bytes))
}

/// A code that people pass on by voice or on paper: twelve letters, 60 bits, as `XXXX-XXXX-XXXX`.
pub(crate) fn spoken_code() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes)?;
    let letters = bytes.map(|b| char::from(CODE_LETTERS[usize::from(b % 32)]));
    Ok(letters
        .chunks(4)
        .map(String::from_iter)
        .collect::<Vec<_>>()
        .join("-"))
}

/// A spoken code as it was meant: any case, any dashes and spaces, `O` for zero, `I` and `L` for one.
pub(crate) fn normal_code(typed: &str) -> String {
    let letters: Vec<char> = typed
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect();
    letters
        .chunks(4)
        .map(String::from_iter)
        .collect::<Vec<_>>()
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_differ_and_come_back() {
        let (a, b) = (Secret::new().unwrap(), Secret::new().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.text().len(), 64);
        let again = Secret::from_text(a.text()).unwrap();
        assert_eq!(again.hash(), a.hash());
        assert_ne!(a.hash(), b.hash());
        assert_ne!(a.csrf_token(), hex(&a.hash().0));
        assert!(!format!("{a:?}").contains(a.text()));
    }

    #[test]
    fn what_was_never_made_here_is_no_secret() {
        let long = "a".repeat(65);
        for text in [
            "",
            "abc",
            &"A".repeat(64),
            &"g".repeat(64),
            &long,
            &"é".repeat(32),
        ] {
            assert_eq!(Secret::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn a_spoken_code_survives_being_typed() {
        let code = spoken_code().unwrap();
        assert_eq!(normal_code(&code), code);
        let typed = code
            .to_lowercase()
            .replace('-', " ")
            .replace('0', "o")
            .replace('1', "l");
        assert_eq!(normal_code(&typed), code);
    }

    #[test]
    fn comparison() {
        assert!(same("abc", "abc"));
        assert!(!same("abc", "abd"));
        assert!(!same("abc", "abcd"));
    }
}
