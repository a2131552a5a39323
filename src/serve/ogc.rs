//! The verified layer as OGC API – Features (part 1, core and GeoJSON): QGIS, GDAL and others open it as a layer
//! that is always up to date. Places are sensitive: a read token, or a researcher's session, opens it.

#![expect(
    unused_qualifications,
    reason = "the description of parameters is written by a macro"
)]

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::app::App;
use super::door::kind;
use super::guard::Peer;
use super::problem::Problem;
use super::secret::Secret;
use super::session::{Researcher, bearer};
use crate::layer::geojson::GeoJsonWriter;
use crate::verify::{LayerTerms, Project, SiteFilter, Status, VerifiedSite, VerifyError};

/// The one collection.
const COLLECTION: &str = "sites";
const TITLE: &str = "Verified sites";
const DESCRIPTION: &str =
    "Places that a detector found and volunteers looked at. A kiln is not proof of slavery.";
/// Features of a page, unless asked for more or fewer.
const USUAL_LIMIT: usize = 1_000;
/// Most features of a page.
const LARGEST_LIMIT: usize = 10_000;
const CRS84: &str = "http://www.opengis.net/def/crs/OGC/1.3/CRS84";
const GEOJSON: &str = "application/geo+json";
const CONFORMANCE: [&str; 3] = [
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
];

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(landing))
        .routes(routes!(conformance))
        .routes(routes!(collections))
        .routes(routes!(collection))
        .routes(routes!(items))
        .routes(routes!(item))
}

/// Somebody who may see the places, and where they think the layer is.
pub(crate) struct Reader {
    /// `https://host/ogc`
    base: String,
}

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        admitted(parts, app).await.map_err(|problem| {
            let mut response = problem.into_response();
            // Programs then ask for the token, as a password.
            let challenge =
                HeaderValue::from_static("Basic realm=\"kilnsight read token as password\"");
            if response.status() == axum::http::StatusCode::UNAUTHORIZED {
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            }
            response
        })?;
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host
            .or_else(|| parts.uri.authority().map(Authority::as_str))
            .unwrap_or_default();
        let scheme = if app.secure { "https" } else { "http" };
        Ok(Self {
            base: format!("{scheme}://{host}/ogc"),
        })
    }
}

async fn admitted(parts: &mut Parts, app: &Arc<App>) -> Result<(), Problem> {
    if !parts.headers.contains_key(AUTHORIZATION) {
        let researcher = Researcher::from_request_parts(parts, app).await;
        return researcher
            .map(|_| ())
            .map_err(|_nobody| Problem::unauthorized("a read token is needed"));
    }
    let wrong = || Problem::unauthorized("this read token is not good");
    let secret = bearer(&parts.headers)
        .or_else(|| password(&parts.headers))
        .ok_or_else(wrong)?;
    let hash = secret.hash();
    if app
        .project(move |p| p.token(hash, kind::READ))
        .await?
        .is_some()
    {
        return app.limits.session(&hash);
    }
    if let Some(Peer(peer)) = parts.extensions.get() {
        app.limits.guess(*peer)?;
    }
    Err(wrong())
}

/// The password of HTTP's basic scheme: the one that map programs have a field for.
fn password(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(encoded.trim())
        .ok()?;
    let (_name, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Secret::from_text(password)
}

fn link(href: impl Into<String>, rel: &str, media_type: &str, title: &str) -> Value {
    json!({ "href": href.into(), "rel": rel, "type": media_type, "title": title })
}

/// Where the layer begins
#[utoipa::path(get, path = "", tag = "map layer", responses((status = 200, description = "Links to all of it")))]
pub(crate) async fn landing(reader: Reader) -> Json<Value> {
    let base = reader.base;
    let api = base.trim_end_matches("/ogc");
    Json(json!({
        "title": "kilnsight",
        "description": DESCRIPTION,
        "links": [
            link(base.clone(), "self", "application/json", "This page"),
            link(format!("{api}/api/v1/openapi.json"), "service-desc", "application/vnd.oai.openapi+json;version=3.0", "Description of the API"),
            link(format!("{base}/conformance"), "conformance", "application/json", "What it conforms to"),
            link(format!("{base}/collections"), "data", "application/json", "Layers"),
        ],
    }))
}

/// What it conforms to
#[utoipa::path(get, path = "/conformance", tag = "map layer", responses((status = 200, description = "Conformance classes")))]
async fn conformance(_reader: Reader) -> Json<Value> {
    Json(json!({ "conformsTo": CONFORMANCE }))
}

fn about_collection(base: &str) -> Value {
    let here = format!("{base}/collections/{COLLECTION}");
    json!({
        "id": COLLECTION,
        "title": TITLE,
        "description": DESCRIPTION,
        "itemType": "feature",
        "extent": { "spatial": { "bbox": [[-180, -90, 180, 90]], "crs": CRS84 } },
        "crs": [CRS84],
        "links": [
            link(here.clone(), "self", "application/json", TITLE),
            link(format!("{here}/items"), "items", GEOJSON, TITLE),
        ],
    })
}

/// The layers
#[utoipa::path(get, path = "/collections", tag = "map layer", responses((status = 200, description = "Layers")))]
async fn collections(reader: Reader) -> Json<Value> {
    let base = reader.base;
    let itself = link(
        format!("{base}/collections"),
        "self",
        "application/json",
        "Layers",
    );
    Json(json!({ "links": [itself], "collections": [about_collection(&base)] }))
}

/// A layer
#[utoipa::path(get, path = "/collections/{collection}", tag = "map layer", params(("collection" = String, Path)), responses((status = 200, description = "The layer")))]
async fn collection(
    reader: Reader,
    Path(collection): Path<String>,
) -> Result<Json<Value>, Problem> {
    known(&collection)?;
    Ok(Json(about_collection(&reader.base)))
}

fn known(collection: &str) -> Result<(), Problem> {
    if collection == COLLECTION {
        Ok(())
    } else {
        Err(Problem::not_found())
    }
}

/// Which features.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ItemsQuery {
    /// West, south, east, north in degrees (or with heights between: they are left out of account).
    bbox: Option<String>,
    /// Accepted and not used: a site is a place, not an event.
    datetime: Option<String>,
    /// Most features of this page.
    #[param(minimum = 1, maximum = 10_000, default = 1_000)]
    limit: Option<usize>,
    /// Only those of this status.
    status: Option<String>,
    /// Where the page before ended: follow the link `next` instead of making it up.
    after: Option<i64>,
}

impl ItemsQuery {
    fn filter(&self) -> Result<SiteFilter, Problem> {
        let status = self
            .status
            .as_deref()
            .map(str::parse::<Status>)
            .transpose()
            .map_err(Problem::bad_request)?;
        let limit = self.limit.unwrap_or(USUAL_LIMIT);
        if limit == 0 {
            return Err(Problem::bad_request("`limit` is 1 or more"));
        }
        Ok(SiteFilter {
            bbox: self.bbox.as_deref().map(bbox).transpose()?,
            status,
            after: self.after.unwrap_or_default(),
            limit: Some(limit.min(LARGEST_LIMIT)),
            ..SiteFilter::default()
        })
    }

    /// The same question, for the page after `last`.
    fn next(&self, base: &str, last: i64) -> String {
        let kept = [
            self.bbox
                .as_ref()
                .map(|bbox| format!("bbox={}&", bbox.replace(' ', ""))),
            self.limit.map(|limit| format!("limit={limit}&")),
            self.status
                .as_ref()
                .map(|status| format!("status={status}&")),
        ];
        let kept: String = kept.into_iter().flatten().collect();
        format!("{base}/collections/{COLLECTION}/items?{kept}after={last}")
    }
}

/// Four numbers, or six with heights.
fn bbox(text: &str) -> Result<[f64; 4], Problem> {
    let wrong = || Problem::bad_request("`bbox` is west,south,east,north in degrees");
    let numbers: Vec<f64> = text
        .split(',')
        .map(|number| number.trim().parse::<f64>().ok().filter(|n| n.is_finite()))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    let ([west, south, east, north] | [west, south, _, east, north, _]) = numbers[..] else {
        return Err(wrong());
    };
    if south > north
        || south < -90.0
        || north > 90.0
        || [west, east].iter().any(|lon| lon.abs() > 180.0)
    {
        return Err(wrong());
    }
    Ok([west, south, east, north])
}

/// The features of the layer
#[utoipa::path(get, path = "/collections/{collection}/items", tag = "map layer", params(("collection" = String, Path), ItemsQuery), responses((status = 200, description = "Features", content_type = "application/geo+json")))]
async fn items(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(collection): Path<String>,
    query: Result<Query<ItemsQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    known(&collection)?;
    let Query(query) = query.map_err(|e| Problem::bad_request(e.body_text()))?;
    let filter = query.filter()?;
    let limit = filter.limit.unwrap_or(USUAL_LIMIT);
    let (sites, matched, mut layer) = app
        .project(move |p| {
            // One more than asked for tells whether there is another page.
            let more = SiteFilter {
                limit: Some(limit + 1),
                ..filter.clone()
            };
            let mut sites = p.sites(&more)?;
            let matched = p.count_sites(&filter)?;
            let another = sites.len() > limit;
            sites.truncate(limit);
            let layer = geojson(p, &sites)?;
            Ok((
                (
                    sites.last().map(|site| site.number).filter(|_| another),
                    sites.len(),
                ),
                matched,
                layer,
            ))
        })
        .await?;
    let (next, returned) = sites;
    let base = &reader.base;
    let mut links = vec![
        link(
            format!("{base}/collections/{COLLECTION}/items"),
            "self",
            GEOJSON,
            TITLE,
        ),
        link(
            format!("{base}/collections/{COLLECTION}"),
            "collection",
            "application/json",
            TITLE,
        ),
    ];
    links.extend(next.map(|last| link(query.next(base, last), "next", GEOJSON, "Next page")));
    layer["links"] = json!(links);
    layer["numberMatched"] = json!(matched);
    layer["numberReturned"] = json!(returned);
    Ok(as_geojson(&layer))
}

/// A feature
#[utoipa::path(get, path = "/collections/{collection}/items/{item}", tag = "map layer", params(("collection" = String, Path), ("item" = String, Path)), responses((status = 200, description = "The feature", content_type = "application/geo+json")))]
async fn item(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path((collection, item)): Path<(String, String)>,
) -> Result<Response, Problem> {
    known(&collection)?;
    let filter = SiteFilter {
        site_id: Some(item),
        everything: true,
        limit: Some(1),
        ..SiteFilter::default()
    };
    let mut layer = app.project(move |p| geojson(p, &p.sites(&filter)?)).await?;
    let mut feature = layer
        .pointer_mut("/features/0")
        .map(Value::take)
        .ok_or_else(Problem::not_found)?;
    let here = format!("{}/collections/{COLLECTION}", reader.base);
    let id = feature["id"].as_str().unwrap_or_default();
    feature["links"] = json!([
        link(format!("{here}/items/{id}"), "self", GEOJSON, TITLE),
        link(here, "collection", "application/json", TITLE),
    ]);
    Ok(as_geojson(&feature))
}

/// Features as the exported layer has them, digit by digit.
fn geojson(project: &Project, sites: &[VerifiedSite]) -> Result<Value, VerifyError> {
    let setting =
        |key: &str| -> Result<_, VerifyError> { Ok(project.setting(key)?.unwrap_or_default()) };
    let terms = LayerTerms {
        question_version: project.questions()?.version,
        licence: setting("licence")?,
        sensitivity: setting("sensitivity")?,
    };
    let mut bytes = Vec::new();
    let written = (|| {
        let mut writer = GeoJsonWriter::new(&mut bytes, COLLECTION, "id")?;
        for site in sites {
            writer.write(&site.feature(&terms))?;
        }
        writer.finish()
    })();
    written.map_err(|source| VerifyError::File {
        path: COLLECTION.to_owned(),
        source,
    })?;
    Ok(serde_json::from_slice(&bytes)?)
}

fn as_geojson(value: &Value) -> Response {
    (
        [(CONTENT_TYPE, GEOJSON), (CACHE_CONTROL, "no-store")],
        value.to_string(),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes() {
        assert_eq!(bbox("1,2,3,4").unwrap(), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(bbox("1, 2, 0, 3, 4, 100").unwrap(), [1.0, 2.0, 3.0, 4.0]);
        // Across the antimeridian.
        assert_eq!(bbox("179,-1,-179,1").unwrap(), [179.0, -1.0, -179.0, 1.0]);
        for bad in [
            "",
            "1,2,3",
            "1,2,3,4,5",
            "a,b,c,d",
            "1,4,3,2",
            "nan,2,3,4",
            "inf,0,1,1",
            "0,0,181,1",
            "0,-91,1,1",
        ] {
            assert!(bbox(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_next_page_asks_the_same_question() {
        let query = ItemsQuery {
            bbox: Some("1, 2,3,4".to_owned()),
            limit: Some(7),
            status: Some("confirmed".to_owned()),
            ..ItemsQuery::default()
        };
        assert_eq!(
            query.next("http://h/ogc", 41),
            "http://h/ogc/collections/sites/items?bbox=1,2,3,4&limit=7&status=confirmed&after=41"
        );
    }

    #[test]
    fn a_token_is_read_from_the_password() {
        let secret = Secret::new().unwrap();
        let encoded =
            base64::engine::general_purpose::STANDARD.encode(format!("anybody:{}", secret.text()));
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Basic {encoded}").parse().unwrap());
        assert_eq!(password(&headers), Some(secret));
        headers.insert(AUTHORIZATION, "Basic !!!".parse().unwrap());
        assert_eq!(password(&headers), None);
    }
}
