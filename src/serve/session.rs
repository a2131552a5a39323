//! Who asks. A browser shows a cookie that scripts cannot read, and with every change the token that only our
//! own page knows; a program shows a bearer token, which no browser sends by itself.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use cookie::time::Duration;
use cookie::{Cookie, SameSite};

use super::app::{App, now};
use super::door::{self, kind};
use super::problem::Problem;
use super::secret::{Secret, same};
use crate::verify::{Member, Role};

/// The header of the token that goes with every change.
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";
/// How long a volunteer's device stays known.
const DEVICE_DAYS: i64 = 180;

/// The two cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CookieKind {
    /// A volunteer's device.
    Device,
    /// A researcher's log-in.
    Session,
}

/// Names and properties of cookies on this server.
#[derive(Debug, Clone)]
pub(crate) struct Cookies {
    instance: String,
    secure: bool,
}

impl Cookies {
    /// `instance` keeps two servers on one machine apart; `secure` where browsers reach us by TLS.
    pub(crate) fn new(instance: &str, secure: bool) -> Self {
        Self {
            instance: instance.to_owned(),
            secure,
        }
    }

    fn name(&self, kind: CookieKind) -> String {
        // The prefix makes browsers refuse the cookie unless it is Secure, from this host and for all paths.
        let prefix = if self.secure { "__Host-" } else { "" };
        let kind = match kind {
            CookieKind::Device => "device",
            CookieKind::Session => "session",
        };
        format!("{prefix}kilnsight-{kind}-{}", self.instance)
    }

    /// The header that sets a cookie; without a secret, the header that removes it.
    pub(crate) fn set(
        &self,
        kind: CookieKind,
        secret: Option<&Secret>,
    ) -> Result<HeaderValue, Problem> {
        let max_age = match (secret, kind) {
            (None, _) => Some(Duration::ZERO),
            (Some(_), CookieKind::Device) => Some(Duration::days(DEVICE_DAYS)),
            (Some(_), CookieKind::Session) => None,
        };
        let mut cookie =
            Cookie::build((self.name(kind), secret.map_or("", Secret::text).to_owned()))
                .path("/")
                .http_only(true)
                .same_site(SameSite::Lax)
                .secure(self.secure)
                .build();
        cookie.set_max_age(max_age);
        HeaderValue::from_str(&cookie.to_string()).map_err(|e| Problem::internal(&e))
    }

    /// The secret in a request's cookie.
    pub(crate) fn get(&self, kind: CookieKind, headers: &HeaderMap) -> Option<Secret> {
        let name = self.name(kind);
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(Cookie::split_parse)
            .filter_map(Result::ok)
            .find(|cookie| cookie.name() == name)
            .and_then(|cookie| Secret::from_text(cookie.value()))
    }
}

/// The secret of a request, if it has one. One in a cookie counts for a change only together with its token.
fn secret_of(app: &App, kind: CookieKind, parts: &Parts) -> Result<Option<Secret>, Problem> {
    if parts.headers.contains_key(AUTHORIZATION) {
        return Ok(bearer(&parts.headers));
    }
    let Some(secret) = app.cookies.get(kind, &parts.headers) else {
        return Ok(None);
    };
    let changes = !matches!(parts.method, Method::GET | Method::HEAD);
    let token = parts
        .headers
        .get(CSRF_HEADER)
        .and_then(|value| value.to_str().ok());
    if changes && !token.is_some_and(|token| same(token, &secret.csrf_token())) {
        return Err(Problem::forbidden(
            "csrf",
            "the request lacks the token that this site's own pages send: load the page again",
        ));
    }
    app.limits.session(&secret.hash())?;
    Ok(Some(secret))
}

/// The token in `Authorization: Bearer …`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    Secret::from_text(token.trim())
}

/// Somebody who answers: a known device, or somebody logged in.
#[derive(Debug, Clone)]
pub(crate) struct Volunteer {
    pub(crate) member: Member,
    pub(crate) secret: Secret,
}

impl FromRequestParts<Arc<App>> for Volunteer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        for cookie in [CookieKind::Device, CookieKind::Session] {
            let Some(secret) = secret_of(app, cookie, parts)? else {
                continue;
            };
            let hash = secret.hash();
            let found = match cookie {
                CookieKind::Device => {
                    app.project(move |p| p.member_of_token(hash, kind::DEVICE))
                        .await?
                }
                CookieKind::Session => app.project(move |p| door::session(p, hash, now())).await?,
            };
            if let Some(member) = found {
                return Ok(Self { member, secret });
            }
        }
        Err(Problem::unauthorized("join with an invitation code first"))
    }
}

/// Somebody who has logged in with a password.
#[derive(Debug, Clone)]
pub(crate) struct Researcher {
    pub(crate) member: Member,
    pub(crate) secret: Secret,
}

impl Researcher {
    /// Refuses those who only decide.
    pub(crate) fn admin(&self) -> Result<(), Problem> {
        if self.member.role == Role::Admin {
            return Ok(());
        }
        Err(Problem::forbidden(
            "role",
            "only those who run the project may do this",
        ))
    }
}

impl FromRequestParts<Arc<App>> for Researcher {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let nobody = || Problem::unauthorized("log in first");
        let secret = secret_of(app, CookieKind::Session, parts)?.ok_or_else(nobody)?;
        let hash = secret.hash();
        let member = app
            .project(move |p| door::session(p, hash, now()))
            .await?
            .ok_or_else(nobody)?;
        if member.role < Role::Expert {
            return Err(nobody());
        }
        Ok(Self { member, secret })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(cookies: &Cookies, secret: &Secret) -> String {
        cookies
            .set(CookieKind::Device, Some(secret))
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn cookies_are_kept_from_scripts_and_from_the_clear() {
        let secret = Secret::new().unwrap();
        let plain = header(&Cookies::new("ab12", false), &secret);
        assert!(plain.starts_with("kilnsight-device-ab12="), "{plain}");
        assert!(
            plain.contains("HttpOnly")
                && plain.contains("SameSite=Lax")
                && plain.contains("Path=/")
        );
        assert!(!plain.contains("Secure") && !plain.contains("Domain"));
        let secure = header(&Cookies::new("ab12", true), &secret);
        assert!(
            secure.starts_with("__Host-kilnsight-device-ab12="),
            "{secure}"
        );
        assert!(secure.contains("Secure"));
    }

    #[test]
    fn a_cookie_comes_back_under_its_own_name_only() {
        let cookies = Cookies::new("ab12", false);
        let secret = Secret::new().unwrap();
        let mut headers = HeaderMap::new();
        let value = format!(
            "other=1; kilnsight-device-ab12={}; kilnsight-device-cd34={}",
            secret.text(),
            "0".repeat(64)
        );
        headers.insert(COOKIE, value.parse().unwrap());
        assert_eq!(cookies.get(CookieKind::Device, &headers), Some(secret));
        assert_eq!(cookies.get(CookieKind::Session, &headers), None);
        assert_eq!(
            Cookies::new("ab12", true).get(CookieKind::Device, &headers),
            None
        );
    }

    #[test]
    fn a_bearer_token_is_read_from_its_header() {
        let secret = Secret::new().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(
            AUTHORIZATION,
            format!("bearer {}", secret.text()).parse().unwrap(),
        );
        assert_eq!(bearer(&headers), Some(secret.clone()));
        headers.insert(
            AUTHORIZATION,
            format!("Basic {}", secret.text()).parse().unwrap(),
        );
        assert_eq!(bearer(&headers), None);
    }
}
