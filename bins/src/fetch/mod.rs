//! Fetching images from where they are built, beside serving.
//!
//! A thread of its own follows each source, an image, a folder of images or a channel, and puts
//! what it has checked into a folder of the cache. The store watches these folders as any others:
//! it knows nothing of where the images come from, and neither do the workers.

mod cache;
mod channel;
mod check;
mod download;
mod fault;
mod follow;
mod patience;
mod remote;
mod source;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::sync::watch;

use self::cache::Cache;
use self::channel::Keys;
use self::follow::Follower;
use self::patience::{Patience, Pauses};
use self::source::{Kind, Source};
use crate::say;
use crate::service::FetchOptions;

/// What fetches.
#[derive(Debug)]
pub struct Fetcher {
    /// The folder of each source, by what the source is called.
    places: HashMap<PathBuf, PathBuf>,
    /// Counts up when all are to be looked at at once.
    again: watch::Sender<u64>,
}

impl Fetcher {
    /// Begins to follow all of `images` that are URLs. `None` if there are none.
    ///
    /// # Errors
    ///
    /// If one makes no sense, the cache can't be used, or the system refuses a thread.
    pub fn start<'a>(
        options: &FetchOptions,
        images: impl Iterator<Item = &'a Path>,
    ) -> anyhow::Result<Option<Self>> {
        let mut sources = Vec::new();
        for path in images {
            if let Some(source) = Source::of(path) {
                sources.push((path.to_owned(), source?));
            }
        }
        if sources.is_empty() {
            return Ok(None);
        }
        let folder = options.cache.as_deref();
        let folder = folder.with_context(|| {
            format!("{}: to fetch it, a folder to keep it in is needed: --cache DIR", sources[0].1)
        })?;
        let keys = Arc::new(Keys::read(&options.channel_keys)?);
        for (_, source) in &sources {
            ensure!(
                source.kind != Kind::Channel || !keys.is_empty(),
                "{source}: whose signature? A channel needs --channel-key"
            );
        }
        let cache = Arc::new(Cache::open(folder, options.cache_size)?);
        let shown = || format!("--cache {}", folder.display());
        let mut places = HashMap::new();
        let mut followers = Vec::new();
        let mut names = Vec::new();
        for (path, source) in sources {
            let key = source.key();
            places.insert(path, cache.place(&key).with_context(shown)?);
            if !names.contains(&key) {
                let (cache, keys) = (Arc::clone(&cache), Arc::clone(&keys));
                followers.push(Follower::new(source, cache, keys, Patience::USUAL));
                names.push(key);
            }
        }
        cache.forget_others(&names).with_context(shown)?;
        let again = watch::Sender::new(0);
        run(followers, options.refresh, &again)?;
        Ok(Some(Self { places, again }))
    }

    /// The folder in which the images of `image` will be, if it is a URL that is followed, or else
    /// `image` itself.
    pub fn place(&self, image: &Path) -> PathBuf {
        self.places.get(image).map_or(image, PathBuf::as_path).to_owned()
    }

    /// Looks at all sources at once.
    pub fn look_again(&self) {
        self.again.send_modify(|count| *count += 1);
    }
}

/// Whether `image` is a URL, from which it is to be fetched.
///
/// # Errors
///
/// If it is one that makes no sense.
pub fn is_url(image: &Path) -> anyhow::Result<bool> {
    Ok(Source::of(image).transpose()?.is_some())
}

/// Runs the followers on a thread of their own until the process ends.
fn run(
    followers: Vec<Follower>,
    period: Duration,
    again: &watch::Sender<u64>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let again = again.subscribe();
    std::thread::Builder::new().name("fetch".to_owned()).spawn(move || {
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for follower in followers {
                tasks.spawn(follow(follower, period, again.clone()));
            }
            while let Some(ended) = tasks.join_next().await {
                if let Err(error) = ended {
                    say!("bootserver: following a source ended: {error}");
                }
            }
        });
    })?;
    Ok(())
}

/// Follows one source for ever.
async fn follow(mut follower: Follower, period: Duration, mut again: watch::Receiver<u64>) {
    let mut pauses = Pauses::new(Patience::USUAL);
    // The last failure, which is told once.
    let mut told = String::new();
    let mut recheck = true;
    loop {
        let result = match if recheck { follower.recheck().await } else { Ok(()) } {
            Ok(()) => follower.refresh().await,
            Err(error) => Err(error.into()),
        };
        let pause = match result {
            Ok(()) => {
                if !std::mem::take(&mut told).is_empty() {
                    say!("bootserver: {}: all is well again", follower.source);
                }
                pauses.reset();
                Pauses::until_look(period)
            }
            Err(error) => {
                let error = error.to_string();
                if told != error {
                    let kept = if follower.serves() {
                        "what was fetched before stays in service"
                    } else {
                        "nothing of it is in service yet"
                    };
                    say!("bootserver: {}: {error}: {kept}", follower.source);
                    told = error;
                }
                if follower.take_progress() {
                    pauses.reset();
                }
                pauses.after_failure()
            }
        };
        recheck = tokio::select! {
            () = tokio::time::sleep(pause) => false,
            asked = again.changed() => {
                if asked.is_err() {
                    return;
                }
                pauses.reset();
                told.clear();
                true
            }
        };
    }
}
