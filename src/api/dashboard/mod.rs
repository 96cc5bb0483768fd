//! The dashboard: three static files inside the program. All that they show comes from the API.

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::header;

use super::Site;

const PAGE: &str = include_str!("index.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: [&str; 1] = [include_str!("app.js")];

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route(
            "/",
            get(|| async { file("text/html; charset=utf-8", PAGE.to_owned()) }),
        )
        .route(
            "/dashboard/style.css",
            get(|| async { file("text/css; charset=utf-8", STYLE.to_owned()) }),
        )
        .route(
            "/dashboard/app.js",
            get(|| async { file("text/javascript; charset=utf-8", SCRIPT.concat()) }),
        )
}

fn file(kind: &'static str, text: String) -> Response {
    // The next start may bring other files under the same names.
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}
