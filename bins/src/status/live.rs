//! News for pages, as server-sent events. A slow reader gets the latest state, and skips what came
//! before: at most one event waits for each reader.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::time::{Instant, sleep_until};

use super::answers::{Answers, Subject};

/// The least time between two events for a page: people see no more.
const BETWEEN: Duration = Duration::from_secs(1);
/// If nothing changes, a comment is sent after this time, so that a page can tell that the server
/// is alive.
const ALIVE: Duration = Duration::from_secs(10);

/// How many pages are sent news.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages(Arc<AtomicUsize>);

impl Pages {
    /// Half of the connections: the others are for everything else.
    const MOST: usize = 32;

    /// One more, if that is allowed.
    pub(super) fn open(&self) -> Option<Page> {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        let page = Page(self.clone());
        (before < Self::MOST).then_some(page)
    }
}

/// A page that is sent news.
#[derive(Debug)]
pub(super) struct Page(Pages);

impl Drop for Page {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a page has been sent.
struct Sent {
    /// Counts it as long as this is here.
    _page: Page,
    answers: Arc<Answers>,
    version: Option<u64>,
    last: Instant,
}

/// The body of the answer that brings `page` its news.
pub(super) fn news(page: Page, answers: Arc<Answers>) -> Body {
    let sent = Sent { _page: page, answers, version: None, last: Instant::now() };
    Body::from_stream(stream::unfold(sent, |mut sent| async {
        let event = next(&mut sent).await;
        Some((Ok::<_, Infallible>(event), sent))
    }))
}

/// The next event. It is asked for when the connection can take it.
async fn next(sent: &mut Sent) -> Bytes {
    if sent.version.is_none() {
        sent.version = Some(sent.answers.version());
        let first = event(&sent.answers.about(Subject::Rack));
        return [b"retry: 2000\n\n", &first[..]].concat().into();
    }
    let mut wake = sent.last + BETWEEN;
    loop {
        sleep_until(wake).await;
        let version = sent.answers.version();
        if sent.version != Some(version) {
            (sent.version, sent.last) = (Some(version), Instant::now());
            return event(&sent.answers.about(Subject::Rack));
        }
        if wake >= sent.last + ALIVE {
            sent.last = Instant::now();
            return Bytes::from_static(b": still here\n\n");
        }
        wake += BETWEEN;
    }
}

/// JSON as it comes here has no line breaks.
fn event(json: &[u8]) -> Bytes {
    [b"event: rack\ndata: ", json, b"\n\n"].concat().into()
}
