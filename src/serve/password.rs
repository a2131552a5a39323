//! Passwords: Argon2id, a few at a time, since each takes 19 MiB.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use super::problem::Problem;

/// Shortest password, in characters.
const SHORTEST: usize = 10;
/// Longest password, in bytes.
const LONGEST: usize = 128;
/// Hashes computed at the same time.
const AT_ONCE: usize = 2;

/// Makes and checks password hashes.
pub(crate) struct Passwords {
    places: Semaphore,
    /// Checked in place of the hash of somebody who does not exist, which must take as long.
    nobody: String,
}

impl Passwords {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut password = [0; 32];
        getrandom::fill(&mut password)?;
        let nobody = Argon2::default()
            .hash_password(&password)
            .map(|hash| hash.to_string());
        Ok(Self {
            places: Semaphore::new(AT_ONCE),
            nobody: nobody.unwrap_or_default(),
        })
    }

    /// The hash of a new password, in PHC form.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Problem> {
        if password.chars().count() < SHORTEST || password.len() > LONGEST {
            return Err(Problem::unprocessable(format!(
                "a password has at least {SHORTEST} characters, and at most {LONGEST} bytes"
            )));
        }
        let _place = self
            .places
            .acquire()
            .await
            .map_err(|e| Problem::internal(&e))?;
        let hashed = tokio::task::spawn_blocking(move || {
            Argon2::default()
                .hash_password(password.as_bytes())
                .map(|hash| hash.to_string())
        });
        hashed
            .await
            .map_err(|e| Problem::internal(&e))?
            .map_err(|e| Problem::internal(&e))
    }

    /// Whether the password is the one of `hash`. Takes as long where there is no hash.
    pub(crate) async fn check(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, Problem> {
        if password.len() > LONGEST {
            return Ok(false);
        }
        let _place = self
            .places
            .acquire()
            .await
            .map_err(|e| Problem::internal(&e))?;
        let somebody = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobody.clone());
        let checked = tokio::task::spawn_blocking(move || {
            let parsed = PasswordHash::new(&hash).ok()?;
            Argon2::default()
                .verify_password(password.as_bytes(), &parsed)
                .ok()
        });
        Ok(checked.await.map_err(|e| Problem::internal(&e))?.is_some() && somebody)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_and_no_other() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(
            passwords
                .check("correct horse".to_owned(), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .check("wrong horse".to_owned(), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .check("x".repeat(1_000), Some(hash))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .check("correct horse".to_owned(), None)
                .await
                .unwrap()
        );
        assert!(passwords.hash("short".to_owned()).await.is_err());
        assert!(passwords.hash("x".repeat(129)).await.is_err());
    }
}
