//! How many threads compress: under a `make -j`, no more than its jobserver has jobs to spare, so
//! that images that are made at the same time share the cores.

use std::io;
use std::num::NonZeroUsize;
use std::thread;

use jobserver::{Acquired, Client};

/// The threads that may compress.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    asked: Option<NonZeroUsize>,
    /// What was taken from the jobserver, if there is one: a token for each thread but the first.
    /// They are given back when this is dropped.
    tokens: Option<Vec<Acquired>>,
}

impl Jobs {
    /// At most as many as `asked` for, or as there are cores. To be called before anything is
    /// opened: MAKEFLAGS may name descriptors that are closed.
    pub(crate) fn take(asked: Option<NonZeroUsize>) -> Self {
        let Some(client) = client() else { return Self { asked, tokens: None } };
        let most = asked.unwrap_or_else(cores).get();
        let mut tokens = Vec::new();
        // The tool itself is a job that make has counted.
        while tokens.len() + 1 < most
            && let Ok(Some(token)) = spare(&client)
        {
            tokens.push(token);
        }
        Self { asked, tokens: Some(tokens) }
    }

    /// How many threads compress, if that is limited.
    pub(crate) fn threads(&self) -> Option<NonZeroUsize> {
        match &self.tokens {
            Some(tokens) => NonZeroUsize::new(tokens.len() + 1),
            None => self.asked,
        }
    }

    /// How many threads compress.
    pub(crate) fn count(&self) -> usize {
        self.threads().unwrap_or_else(cores).get()
    }
}

fn cores() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// A token that no other job needs at the moment.
fn spare(client: &Client) -> io::Result<Option<Acquired>> {
    match client.try_acquire() {
        // The pipe of an older make.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            if client.available()? == 0 {
                Ok(None)
            } else {
                client.acquire().map(Some)
            }
        }
        result => result,
    }
}

/// The jobserver that the environment names, if there is one and it can be reached.
fn client() -> Option<Client> {
    #[expect(unsafe_code, reason = "what the environment names is opened")]
    // SAFETY: the descriptors that MAKEFLAGS names are make's (`check_pipe` verifies that they are
    // pipes), open since before `main`, and nothing in this process has opened one by number.
    let found = unsafe { Client::from_env_ext(true) };
    found.client.ok()
}
