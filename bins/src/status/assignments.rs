//! Assigning images to sleds: the one thing that can be changed here.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use tokio::time::timeout;

use super::listen::ASKING;
use super::routes::{JSON, Status, TEXT, answer};
use crate::service::control::{Asker, AssignmentsView, Refusal};

/// Bytes of an order at most: a path has 4096 at most.
const MOST_BYTES: usize = 8 << 10;

/// Lists what is assigned.
pub(super) async fn list(State(status): State<Arc<Status>>) -> Response {
    match status.desk.control.list().await {
        Some(assignments) => assigned(&assignments),
        None => busy(),
    }
}

/// Has an image assigned.
pub(super) async fn assign(
    State(status): State<Arc<Status>>,
    Extension(asker): Extension<Option<Asker>>,
    body: Body,
) -> Response {
    let Some(asker) = asker.filter(|_| status.desk.writable) else {
        return refused(StatusCode::FORBIDDEN, "this server was started without --control");
    };
    let Ok(Ok(body)) = timeout(ASKING, to_bytes(body, MOST_BYTES)).await else {
        let why = format!("not a complete order of at most {MOST_BYTES} bytes");
        return refused(StatusCode::BAD_REQUEST, &why);
    };
    let order = match serde_json::from_slice(&body) {
        Ok(order) => order,
        Err(error) => {
            let wanted =
                "expected {\"sled\": NAME, \"image\": IMAGE or null, \"once\": true or false}";
            return refused(StatusCode::BAD_REQUEST, &format!("{error}; {wanted}"));
        }
    };
    match status.desk.control.assign(order, asker).await {
        Some(Ok(assignments)) => assigned(&assignments),
        Some(Err(refusal @ Refusal::Unknown(_))) => {
            refused(StatusCode::NOT_FOUND, &refusal.to_string())
        }
        Some(Err(refusal @ Refusal::Senseless(_))) => {
            refused(StatusCode::CONFLICT, &refusal.to_string())
        }
        None => busy(),
    }
}

fn assigned(assignments: &AssignmentsView) -> Response {
    answer(StatusCode::OK, JSON, json!(assignments).to_string())
}

fn busy() -> Response {
    refused(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once, or the server is ending")
}

fn refused(status: StatusCode, why: &str) -> Response {
    answer(status, TEXT, format!("{why}\n"))
}
