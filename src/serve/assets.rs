//! The pages: plain files, part of the program, the same for everybody.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};
use tower_http::compression::CompressionLayer;

use super::app::App;
use crate::scene::hex;

/// A file of the pages.
struct Asset {
    path: &'static str,
    media_type: &'static str,
    content: &'static [u8],
}

macro_rules! asset {
    ($path:literal, $media_type:literal, $file:literal) => {
        Asset {
            path: $path,
            media_type: $media_type,
            content: include_bytes!(concat!("web/", $file)),
        }
    };
}

const ASSETS: &[Asset] = &[
    asset!("/", "text/html; charset=utf-8", "index.html"),
    asset!("/research", "text/html; charset=utf-8", "research.html"),
    asset!("/assets/style.css", "text/css; charset=utf-8", "style.css"),
    asset!("/assets/icon.svg", "image/svg+xml", "icon.svg"),
    asset!("/assets/api.js", "text/javascript; charset=utf-8", "api.js"),
    asset!(
        "/assets/chip.js",
        "text/javascript; charset=utf-8",
        "chip.js"
    ),
    asset!(
        "/assets/outbox.js",
        "text/javascript; charset=utf-8",
        "outbox.js"
    ),
    asset!(
        "/assets/research.js",
        "text/javascript; charset=utf-8",
        "research.js"
    ),
    asset!(
        "/assets/strings.js",
        "text/javascript; charset=utf-8",
        "strings.js"
    ),
    asset!(
        "/assets/volunteer.js",
        "text/javascript; charset=utf-8",
        "volunteer.js"
    ),
    asset!(
        "/assets/strings.en.json",
        "application/json",
        "strings.en.json"
    ),
];

/// The routes of the pages. Nothing is read from a disk: there is no path to break out of.
pub(crate) fn routes() -> Router<Arc<App>> {
    let mut router = Router::new();
    for asset in ASSETS {
        let digest = Sha256::digest(asset.content);
        let tag = format!("\"{}\"", hex(&digest[..12]));
        router = router.route(
            asset.path,
            get(move |headers: HeaderMap| async move { answer(asset, &tag, &headers) }),
        );
    }
    router.layer(CompressionLayer::new())
}

fn answer(asset: &Asset, tag: &str, headers: &HeaderMap) -> Response {
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    let common = [(header::ETAG, tag), (header::CACHE_CONTROL, "no-cache")];
    // A proxy or the compression may have marked the tag as weak.
    if known.is_some_and(|known| known.contains(tag)) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (
        common,
        [(header::CONTENT_TYPE, asset.media_type)],
        asset.content,
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> &'static str {
        let asset = ASSETS.iter().find(|asset| asset.path == path).unwrap();
        std::str::from_utf8(asset.content).unwrap()
    }

    #[test]
    fn every_word_that_a_page_asks_for_is_in_the_strings() {
        let strings: serde_json::Value =
            serde_json::from_str(text("/assets/strings.en.json")).unwrap();
        let mut asked = 0;
        for page in ["/", "/research"] {
            for rest in text(page).split("data-t=\"").skip(1) {
                let key = rest.split('"').next().unwrap();
                assert!(strings.get(key).is_some(), "{page}: {key}");
                asked += 1;
            }
        }
        for script in ["/assets/volunteer.js", "/assets/research.js"] {
            for rest in text(script)
                .split(" t(\"")
                .chain(text(script).split("(t(\""))
                .skip(1)
            {
                let key = rest.split('"').next().unwrap();
                if key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
                    assert!(strings.get(key).is_some(), "{script}: {key}");
                    asked += 1;
                }
            }
        }
        assert!(asked > 40, "{asked}");
    }

    #[test]
    fn pages_carry_no_script_or_style_of_their_own() {
        for page in ["/", "/research"] {
            let page = text(page);
            assert!(
                !page.contains("<style")
                    && !page.contains(" style=")
                    && !page.contains(" onclick=")
            );
            for script in page.split("<script").skip(1) {
                assert!(script.starts_with(" type=\"module\" src=\"/assets/"));
            }
            assert!(!page.contains("http://") && !page.contains("https://"));
        }
    }
}
