//! What every request passes before anything else, and what every answer carries.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::app::App;
use super::problem::Problem;

/// Scripts, styles and pictures come from this server alone; nothing inline, nothing in frames.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
     connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, HeaderValue); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(CONTENT_SECURITY_POLICY),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ),
];
/// A browser that has seen this server with TLS uses nothing else.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// The address that a request comes from. It is used for limits, in memory; it is never stored or logged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Turns away what no honest client of this server sends, and dresses the answer.
pub(crate) async fn guard(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::from([0, 0, 0, 0]), |info| info.0.ip());
    request.extensions_mut().insert(Peer(peer));
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = match check(&app, &request, peer) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, value);
    }
    if app.secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
    if is_api && !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

fn check(app: &App, request: &Request, peer: IpAddr) -> Result<(), Problem> {
    let headers = request.headers();
    let host =
        one(headers, &header::HOST).or_else(|| request.uri().authority().map(Authority::as_str));
    let host = host
        .filter(|host| app.hosts.know(host))
        .ok_or_else(Problem::misdirected)?;
    // Behind a proxy on this machine every request comes from here: the proxy must limit addresses.
    if !peer.to_canonical().is_loopback() {
        app.limits.address(peer)?;
    }
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    same_site(headers, host, app.secure)?;
    let json = one(headers, &header::CONTENT_TYPE).is_some_and(is_json);
    if json {
        Ok(())
    } else {
        Err(Problem::not_json())
    }
}

/// A change is asked for by one of our own pages, or by a program: never by another site's page.
fn same_site(headers: &HeaderMap, host: &str, secure: bool) -> Result<(), Problem> {
    let foreign = || Problem::forbidden("cross-site", "this was asked for by another site's page");
    let site = headers.get("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin") {
        return Err(foreign());
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let scheme = if secure { "https://" } else { "http://" };
    let origin = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.strip_prefix(scheme));
    if origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host)) {
        Ok(())
    } else {
        Err(foreign())
    }
}

/// The value of a header that is there once, and is text.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok();
    if values.next().is_some() { None } else { value }
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn other_sites_change_nothing() {
        let ok = |pairs: &[_], secure| same_site(&headers(pairs), "localhost:8080", secure).is_ok();
        assert!(ok(&[], false));
        assert!(ok(&[("origin", "http://localhost:8080")], false));
        assert!(ok(
            &[
                ("origin", "https://localhost:8080"),
                ("sec-fetch-site", "same-origin")
            ],
            true
        ));
        for bad in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "https://localhost:8080"),
            ("origin", "http://localhost:8081"),
            ("origin", "http://localhost"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
        ] {
            assert!(!ok(&[bad], false), "{bad:?}");
        }
    }

    #[test]
    fn json_and_nothing_else() {
        assert!(is_json("application/json"));
        assert!(is_json("Application/JSON; charset=utf-8"));
        for bad in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/jsonp",
            "multipart/form-data",
        ] {
            assert!(!is_json(bad), "{bad}");
        }
    }

    #[test]
    fn a_header_given_twice_counts_as_none() {
        let mut map = headers(&[("host", "localhost")]);
        assert_eq!(one(&map, &header::HOST), Some("localhost"));
        map.append("host", HeaderValue::from_static("evil.example"));
        assert_eq!(one(&map, &header::HOST), None);
    }
}
