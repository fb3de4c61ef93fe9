//! What a store answered instead of what was asked for, in words.

use std::error::Error;

use object_store::Error as StoreError;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// It has not changed.
    #[error("it has not changed")]
    Unchanged,
    /// Nothing has this name.
    #[error("there is nothing of this name: {0}")]
    Missing(String),
    /// It is no longer the one whose beginning is here.
    #[error("it has changed meanwhile")]
    Changed,
    /// The store does not give parts of it.
    #[error("the store gives no part of it: {0}")]
    NoParts(String),
    /// The store wants other credentials.
    #[error("the store refuses: {0}")]
    Denied(String),
    /// Anything else, which may pass.
    #[error("{0}")]
    Other(String),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let text = in_words(&error);
        match error {
            StoreError::NotModified { .. } => Self::Unchanged,
            StoreError::NotFound { .. } => Self::Missing(text),
            StoreError::Precondition { .. } => Self::Changed,
            StoreError::NotSupported { .. } => Self::NoParts(text),
            StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => {
                Self::Denied(text)
            }
            _ if text.starts_with("416 ") => Self::Changed,
            _ => Self::Other(text),
        }
    }
}

/// The innermost reason: what is around it names the URL, which may have a signature in it.
fn in_words(error: &dyn Error) -> String {
    let mut reason = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    of_answer(&reason.to_string())
}

/// An answer's status, and its body in one line.
fn of_answer(text: &str) -> String {
    /// What `object_store` puts before an answer's status and body.
    const ANSWER: &str = "Server returned non-2xx status code: ";
    /// A line of the log; what is longer is a page for browsers.
    const MOST: usize = 200;
    let Some(answer) = text.strip_prefix(ANSWER) else { return text.to_owned() };
    let (status, body) = answer.split_once(": ").unwrap_or((answer, ""));
    let told = match (element(body, "Code"), element(body, "Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(only), None) | (None, Some(only)) => only.to_owned(),
        (None, None) if body.trim_start().starts_with('<') => String::new(),
        (None, None) => body.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    let told: String = told.chars().take(MOST).collect();
    let status = status.trim_end_matches(':');
    if told.is_empty() { status.to_owned() } else { format!("{status}: {told}") }
}

/// The text of the XML element `name`; S3's errors do not nest.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once("</")?.0.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_by_its_status_and_its_reason() {
        let answer = |body| of_answer(&format!("Server returned non-2xx status code: {body}"));
        let s3 = "403 Forbidden: <?xml version=\"1.0\"?><Error><Code>ExpiredToken</Code>\
                  <Message>The provided token has expired.</Message></Error>";
        assert_eq!(answer(s3), "403 Forbidden: ExpiredToken: The provided token has expired.");
        assert_eq!(answer("404 Not Found: <html><h1>oh</h1></html>"), "404 Not Found");
        assert_eq!(answer("500 Internal Server Error: "), "500 Internal Server Error");
        assert_eq!(
            answer("503 Service Unavailable: come\n back"),
            "503 Service Unavailable: come back"
        );
        assert_eq!(of_answer("Connection refused"), "Connection refused");
    }
}
