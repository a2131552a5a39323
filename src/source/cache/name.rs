//! How copies are called: after their address, what the server said of the file, and the file itself.

use sha2::{Digest, Sha256};

use super::super::address::Address;
use crate::scene::{hex, redacted};

/// Ending of the note beside each copy that says what the server said.
const NOTE: &str = ".content";
/// Digits of a digest in a name.
const DIGITS: usize = 16;

/// Names of parameters that sign an address or say who asks, and do not change what it stands for. Compared
/// in lower case; `x-amz-` and `x-goog-` stand for all that begin so.
const SIGNING: &[&str] = &[
    "x-amz-",
    "x-goog-",
    "sig",
    "signature",
    "se",
    "sp",
    "sr",
    "st",
    "sv",
    "spr",
    "skoid",
    "sktid",
    "skt",
    "ske",
    "sks",
    "skv",
    "token",
    "access_token",
    "api_key",
    "apikey",
    "key",
    "expires",
    "policy",
    "key-pair-id",
    "awsaccesskeyid",
    "googleaccessid",
    "subscription-key",
];

/// What the names of all copies of an address begin with.
pub(super) fn id_of(address: &Address) -> String {
    digest(&identity(address))
}

/// The name of the copy of which the server says `content`.
pub(super) fn name_of(address: &Address, content: &str) -> String {
    let (id, version) = (id_of(address), digest(content));
    format!("{id}-{version}-{}", safe_name(&address.name()))
}

/// The name of the note beside a copy.
pub(super) fn note_of(copy: &str) -> String {
    format!("{copy}{NOTE}")
}

/// The copy that a note stands beside.
pub(super) fn copy_of(note: &str) -> Option<&str> {
    note.strip_suffix(NOTE).filter(|copy| id_in(copy).is_some())
}

/// What the name of a copy begins with; `None`: no copy is called so.
pub(super) fn id_in(name: &str) -> Option<&str> {
    let is_digest =
        |text: &str| text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit());
    let mut parts = name.splitn(3, '-');
    let id = parts.next().filter(|id| is_digest(id))?;
    let whole = parts.next().is_some_and(is_digest) && parts.next().is_some();
    whole.then_some(id)
}

/// What tells one address from another: all of it but its signature.
fn identity(address: &Address) -> String {
    let gdal = address.gdal();
    let Some((path, query)) = gdal.split_once('?') else {
        return address.shown();
    };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|parameter| {
            let name = parameter.split('=').next().unwrap_or_default();
            let name = name.to_ascii_lowercase();
            !SIGNING.iter().any(|signing| {
                name == *signing || (signing.ends_with('-') && name.starts_with(signing))
            })
        })
        .collect();
    match kept.as_slice() {
        [] => address.shown(),
        kept => format!("{}?{}", redacted(path), kept.join("&")),
    }
}

/// The first hexadecimal digits of a SHA-256.
fn digest(text: &str) -> String {
    let mut digest = hex(&Sha256::digest(text.as_bytes()));
    digest.truncate(DIGITS);
    digest
}

/// The name with its ending, by which GDAL knows some formats, and nothing a file system could object to.
fn safe_name(name: &str) -> String {
    let clean: Vec<char> = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
                c
            } else {
                '_'
            }
        })
        .collect();
    let start = clean.len().saturating_sub(100);
    clean.get(start..).unwrap_or_default().iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_signature_is_the_same_address_and_another_parameter_is_not() {
        let identity = |text: &str| identity(&Address::new(text));
        assert_eq!(
            identity("https://h/a?id=1&sig=x&se=2&X-Amz-Date=3"),
            identity("https://h/a?sig=y&id=1")
        );
        assert_eq!(identity("https://h/a?sig=1"), identity("https://h/a"));
        assert_ne!(identity("https://h/a?id=1"), identity("https://h/a?id=2"));
        assert_ne!(identity("https://h/a"), identity("https://g/a"));
    }

    #[test]
    fn nothing_else_in_the_folder_is_taken_for_a_copy() {
        let address = Address::new("https://h/a-b.tif");
        let name = name_of(&address, "etag 1");
        assert_eq!(id_in(&name), Some(id_of(&address).as_str()));
        assert_eq!(copy_of(&note_of(&name)), Some(name.as_str()));
        for other in [
            "a.tif",
            "notes.content",
            "0123456789abcdef-a.tif",
            ".lock",
            "0123456789abcdef-0123456789abcde-a.tif",
        ] {
            assert_eq!((id_in(other), copy_of(other)), (None, None), "{other}");
        }
    }

    #[test]
    fn names_of_copies_are_harmless() {
        assert_eq!(safe_name("a b/ü.tif"), "a_b__.tif");
        assert_eq!(safe_name(&"x".repeat(300)).len(), 100);
    }
}
