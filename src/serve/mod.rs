//! Pages and an API for volunteers and researchers, and the verified layer for map programs. A verification project
//! comes in; HTTP goes out.
//!
//! Everything that counts is in the project's database (see [`crate::verify`]): the server can be killed and started
//! again at any moment. What it adds is the door: who may ask for what, how often, and from where.
//!
//! ```text
//! listen    address, TLS, a clean end
//! guard     host, origin, limits; headers of every answer
//! session   cookies and bearer tokens ─► who asks          door, secret, password: what they are checked against
//! api       /api/v1: volunteers, team, researchers         wire: the forms that cross it
//! ogc       /ogc: the verified layer for QGIS and others
//! assets    /, /research: plain pages                      web/
//! ```

mod api;
mod app;
mod assets;
mod door;
mod guard;
mod hosts;
mod limits;
mod listen;
mod ogc;
mod password;
mod problem;
mod secret;
mod session;

pub use hosts::is_host_name;
pub use listen::{ServeError, ServeOptions, Server, TlsFiles};

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;

use app::App;
use problem::Problem;

/// Largest body of a request.
const LARGEST_BODY: usize = 256 * 1024;

/// Everything that the server answers to.
fn routes(app: Arc<App>) -> Router {
    Router::new()
        .merge(api::routes())
        .merge(assets::routes())
        .route("/ogc/", get(ogc::landing))
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(CatchPanicLayer::custom(Problem::of_panic))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            guard::guard,
        ))
        .with_state(app)
}
