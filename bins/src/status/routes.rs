//! The routes.

use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};

use super::Desk;
use super::answers::{Answers, Subject};
use super::assignments;
use super::live::{Pages, news};
use crate::service::control::Asker;
use crate::service::metrics::Metrics;
use crate::service::rack::Rack;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
pub(super) const JSON: &str = "application/json";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
const NEWS: &str = "text/event-stream";
/// The media type of the OpenMetrics format.
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The page loads nothing but what is embedded here, whatever a name in it may say.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// What handlers need.
#[derive(Debug)]
pub(super) struct Status {
    answers: Arc<Answers>,
    pages: Pages,
    pub(super) desk: Desk,
}

impl Status {
    pub(super) fn new(rack: Arc<Mutex<Rack>>, metrics: Metrics, desk: Desk) -> Self {
        let answers = Arc::new(Answers::new(rack, metrics));
        Self { answers, pages: Pages::default(), desk }
    }
}

/// All routes; `asker` is the client's process, if the system reports it.
pub(super) fn router(status: Arc<Status>, asker: Option<Asker>) -> Router {
    let assignments = get(assignments::list).post(assignments::assign).layer(Extension(asker));
    Router::new()
        .route("/", get(async || fixed(HTML, include_str!("page/index.html"))))
        .route("/style.css", get(async || fixed(CSS, include_str!("page/style.css"))))
        .route("/page.js", get(async || fixed(SCRIPT, include_str!("page/page.js"))))
        .route("/plot.js", get(async || fixed(SCRIPT, include_str!("page/plot.js"))))
        .route("/api/v1/openapi.json", get(async || fixed(JSON, include_str!("openapi.json"))))
        .route("/api/v1/sleds", get(async |status| json(status, Subject::Sleds)))
        .route("/api/v1/images", get(async |status| json(status, Subject::Images)))
        .route("/api/v1/links", get(async |status| json(status, Subject::Links)))
        .route("/api/v1/events", get(async |status| json(status, Subject::Events)))
        .route("/api/v1/assignments", assignments)
        .route("/api/v1/live", get(async |status| live(status)))
        .route("/metrics", get(async |status| metrics(status)))
        .route("/healthz", get(async |status| health(status)))
        .fallback(|| async { answer(StatusCode::NOT_FOUND, TEXT, "there is nothing here\n") })
        .with_state(status)
}

fn fixed(kind: &'static str, text: &'static str) -> Response {
    answer(StatusCode::OK, kind, text)
}

fn json(State(status): State<Arc<Status>>, subject: Subject) -> Response {
    answer(StatusCode::OK, JSON, status.answers.about(subject))
}

fn metrics(State(status): State<Arc<Status>>) -> Response {
    answer(StatusCode::OK, METRICS, status.answers.about(Subject::Metrics))
}

fn live(State(status): State<Arc<Status>>) -> Response {
    match status.pages.open() {
        Some(page) => answer(StatusCode::OK, NEWS, news(page, Arc::clone(&status.answers))),
        None => answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, "too many pages are open\n"),
    }
}

fn health(State(status): State<Arc<Status>>) -> Response {
    match status.answers.illness() {
        None => answer(StatusCode::OK, TEXT, "ok\n"),
        Some(why) => {
            let why = Bytes::from(format!("{why}\n"));
            answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, why)
        }
    }
}

pub(super) fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let headers: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (status, headers, body.into()).into_response()
}
