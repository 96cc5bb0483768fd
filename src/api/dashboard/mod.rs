//! The dashboard: static files inside the program. All that they show comes from the API, as text.

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::header;

use super::Site;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Path, kind and text of every file.
const FILES: [(&str, &str, &str); 7] = [
    ("/", HTML, include_str!("index.html")),
    (
        "/dashboard/icon.svg",
        "image/svg+xml",
        include_str!("icon.svg"),
    ),
    ("/dashboard/style.css", CSS, include_str!("style.css")),
    ("/dashboard/app.js", JS, include_str!("app.js")),
    ("/dashboard/client.js", JS, include_str!("client.js")),
    ("/dashboard/detail.js", JS, include_str!("detail.js")),
    ("/dashboard/view.js", JS, include_str!("view.js")),
];

pub(super) fn routes() -> Router<Site> {
    let route = |router: Router<Site>, (path, kind, text)| {
        router.route(path, get(move || async move { file(kind, text) }))
    };
    FILES.into_iter().fold(Router::new(), route)
}

fn file(kind: &'static str, text: &'static str) -> Response {
    // The next start may bring other files under the same names.
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}
