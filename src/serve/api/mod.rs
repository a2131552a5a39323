//! The JSON API under `/api/v1`: requests come in, the project is asked, answers go out. Routes and their
//! description (`OpenAPI`) are made from the same declarations.

mod researcher;
mod team;
mod volunteer;
mod wire;

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use axum::routing::get;
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr, ResponseBuilder};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use super::app::App;
use super::ogc;
use super::problem::Problem;
use super::session::CSRF_HEADER;

/// What is said about the API as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "kilnsight verify",
        description = "The volunteer queue of a kilnsight project. Volunteers join with an invitation code and show a device token; researchers log in with a password. \
            Both are cookies, and then every change carries the header X-CSRF-Token with the `csrf` of the last answer about the session; or programs send the token as `Authorization: Bearer`. \
            Bodies are JSON, up to 256 KiB. Anything that cannot be done is answered with problem details (RFC 9457)."
    ),
    components(schemas(Problem))
)]
struct About;

/// Routes with their description.
fn described() -> OpenApiRouter<Arc<App>> {
    let api = OpenApiRouter::new()
        .merge(volunteer::routes())
        .merge(team::routes())
        .merge(researcher::routes());
    OpenApiRouter::with_openapi(About::openapi())
        .nest("/api/v1", api)
        .nest("/ogc", ogc::routes())
}

/// The description, with what is the same for all operations.
fn complete(mut document: Document) -> Document {
    let problem = ResponseBuilder::new()
        .description("It could not be done, and why")
        .content(
            "application/problem+json",
            ContentBuilder::new()
                .schema(Some(Ref::from_schema_name("Problem")))
                .build(),
        )
        .build();
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let responses = &mut operation.responses.responses;
            responses.insert("default".to_owned(), RefOr::T(problem.clone()));
        }
    }
    if let Some(components) = &mut document.components {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let csrf = ApiKey::Header(ApiKeyValue::new(CSRF_HEADER));
        components.add_security_scheme("csrf", SecurityScheme::ApiKey(csrf));
    }
    document
}

/// All routes of the API, and its description.
pub(crate) fn routes() -> Router<Arc<App>> {
    let (router, document) = described().split_for_parts();
    let document = complete(document).to_json().unwrap_or_default();
    let answer = move || async move { ([(header::CONTENT_TYPE, "application/json")], document) };
    router.route("/api/v1/openapi.json", get(answer))
}

/// A JSON body, or a problem that says what is wrong with it.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(JsonRejection::JsonDataError(error)) => {
                Err(Problem::unprocessable(error.body_text()))
            }
            Err(JsonRejection::JsonSyntaxError(error)) => {
                Err(Problem::bad_request(error.body_text()))
            }
            Err(JsonRejection::MissingJsonContentType(_)) => Err(Problem::not_json()),
            Err(other) if other.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE => {
                Err(Problem::too_large())
            }
            Err(other) => Err(Problem::bad_request(other.body_text())),
        }
    }
}

/// A request or an answer without anything in it.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_described_and_may_end_in_a_problem() {
        let (_router, document) = described().split_for_parts();
        let document = complete(document);
        let paths = &document.paths.paths;
        assert!(paths.len() > 20, "{}", paths.len());
        for (path, item) in paths {
            assert!(
                path.starts_with("/api/v1/") || path.starts_with("/ogc"),
                "{path}"
            );
            assert!(item.put.is_none() && item.patch.is_none());
            let operations = [&item.get, &item.post, &item.delete].into_iter().flatten();
            for operation in operations {
                assert!(operation.summary.is_some(), "{path}");
                assert!(operation.tags.is_some(), "{path}");
                assert!(
                    operation.responses.responses.contains_key("default"),
                    "{path}"
                );
            }
        }
    }
}
