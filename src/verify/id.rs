//! Ids that tell nothing, and secrets of which only the hash is kept.

use std::fmt;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::VerifyError;
use crate::scene::hex;

/// 128 random bits as 32 hexadecimal digits: an id that cannot be guessed and that nothing can be read from.
pub(super) fn random_id() -> Result<String, VerifyError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| VerifyError::Randomness(e.to_string()))?;
    Ok(hex(&bytes))
}

/// Random numbers for samples and orders: the same for the same seed; without one, from the system.
pub(super) fn random_numbers(seed: Option<u64>) -> Result<ChaCha8Rng, VerifyError> {
    if let Some(seed) = seed {
        return Ok(ChaCha8Rng::seed_from_u64(seed));
    }
    let mut seed = [0u8; 32];
    getrandom::fill(&mut seed).map_err(|e| VerifyError::Randomness(e.to_string()))?;
    Ok(ChaCha8Rng::from_seed(seed))
}

/// Whether a text from outside has the form of an id made here.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a text may serve as a client's own id of a vote: 8 to 64 letters, digits, `-` or `_`.
pub(super) fn is_client_id(text: &str) -> bool {
    (8..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// SHA-256 of a secret. The store knows secrets by this alone.
///
/// A plain hash is enough where the secret itself has 128 random bits or more; passwords need a slow hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SecretHash(pub [u8; 32]);

impl SecretHash {
    /// Of a secret.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

/// SHA-256 as hexadecimal digits.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_have_128_bits() {
        let (a, b) = (random_id().unwrap(), random_id().unwrap());
        assert!(is_id(&a) && is_id(&b));
        assert_ne!(a, b);
    }

    #[test]
    fn ids_of_clients_are_plain_words() {
        assert!(is_client_id("0b9e6c1e-5f0a-4c3a-8a70-2f3b1a2d9f10"));
        for bad in [
            "",
            "short",
            "with space",
            "quote'quote",
            &"x".repeat(65),
            "é".repeat(8).as_str(),
        ] {
            assert!(!is_client_id(bad), "{bad}");
        }
    }
}
