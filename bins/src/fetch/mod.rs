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
mod needs;
mod part;
mod patience;
mod remote;
mod source;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use self::cache::Cache;
use self::channel::{Keys, read_key};
use self::follow::Follower;
pub use self::needs::{Needs, needs};
use self::patience::{Patience, Pauses};
use self::source::{Kind, Source};
use crate::service::FetchOptions;
use crate::service::events::{Events, FetchEvent};

/// What fetches.
#[derive(Debug)]
pub struct Fetcher {
    cache: Arc<Cache>,
    keys: Arc<Keys>,
    /// The folder of each source, by the source's name.
    places: Mutex<HashMap<PathBuf, PathBuf>>,
    /// Counts up when all are to be looked at now.
    again: watch::Sender<u64>,
    /// All sources that are to be followed from now on.
    followed: mpsc::UnboundedSender<Vec<Source>>,
}

impl Fetcher {
    /// Begins to follow all of `images` that are URLs, and tells `events` what comes of it. `None`
    /// if there are none.
    ///
    /// # Errors
    ///
    /// If one makes no sense, the cache can't be used, or the system refuses a thread.
    pub(crate) fn start<'a>(
        options: &FetchOptions,
        images: impl Iterator<Item = &'a Path>,
        events: &Events,
    ) -> anyhow::Result<Option<Self>> {
        let Some((sources, folder, keys)) = checked(options, images)? else { return Ok(None) };
        let cache = Arc::new(Cache::open(folder, options.cache_size, events.clone())?);
        let keys = Arc::new(keys);
        let (followed, coming) = mpsc::unbounded_channel();
        let again = watch::Sender::new(0);
        let fetcher = Self { cache, keys, places: Mutex::default(), again, followed };
        fetcher.run(options.refresh, coming)?;
        fetcher.change(sources)?;
        Ok(Some(fetcher))
    }

    /// Follows all of `images` that are URLs from now on, and no others.
    ///
    /// # Errors
    ///
    /// If one makes no sense, or the cache fails. Then nothing changes.
    pub fn follow<'a>(&self, images: impl Iterator<Item = &'a Path>) -> anyhow::Result<()> {
        let sources = sources(images)?;
        check_keys(&sources, &self.keys)?;
        self.change(sources)
    }

    fn change(&self, sources: Vec<(PathBuf, Source)>) -> anyhow::Result<()> {
        let mut places = HashMap::new();
        let mut followed: Vec<Source> = Vec::new();
        for (path, source) in sources {
            places.insert(path, self.cache.place(&source.key()).context("--cache")?);
            if !followed.contains(&source) {
                followed.push(source);
            }
        }
        let keys: Vec<_> = followed.iter().map(Source::key).collect();
        self.cache.forget_others(&keys).context("--cache")?;
        *self.places.lock().unwrap_or_else(PoisonError::into_inner) = places;
        let _ = self.followed.send(followed);
        Ok(())
    }

    /// The folder in which the images of `image` will be, if it is a URL that is followed, or else
    /// `image` itself.
    pub fn place(&self, image: &Path) -> PathBuf {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.get(image).map_or(image, PathBuf::as_path).to_owned()
    }

    /// Looks at all sources now.
    pub fn look_again(&self) {
        self.again.send_modify(|count| *count += 1);
    }

    /// Runs the followers on a thread of their own until this is dropped.
    fn run(
        &self,
        period: Duration,
        mut coming: mpsc::UnboundedReceiver<Vec<Source>>,
    ) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (cache, keys) = (Arc::clone(&self.cache), Arc::clone(&self.keys));
        let again = self.again.subscribe();
        std::thread::Builder::new().name("fetch".to_owned()).spawn(move || {
            runtime.block_on(async {
                let mut tasks: Vec<(Source, AbortHandle)> = Vec::new();
                while let Some(sources) = coming.recv().await {
                    tasks.retain(|(source, task)| {
                        let stays = sources.contains(source);
                        if !stays {
                            task.abort();
                        }
                        stays
                    });
                    for source in sources {
                        if tasks.iter().any(|(followed, _)| *followed == source) {
                            continue;
                        }
                        let (cache, keys) = (Arc::clone(&cache), Arc::clone(&keys));
                        let follower = Follower::new(source.clone(), cache, keys, Patience::USUAL);
                        let task = tokio::spawn(follow(follower, period, again.clone()));
                        tasks.push((source, task.abort_handle()));
                    }
                }
            });
        })?;
        Ok(())
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

/// Checks how those of `images` are to be fetched that are URLs, and fetches nothing.
///
/// # Errors
///
/// If a URL makes no sense, there is no cache folder, or a key is missing or invalid.
pub fn check<'a>(
    options: &FetchOptions,
    images: impl Iterator<Item = &'a Path>,
) -> anyhow::Result<()> {
    Keys::read(&options.channel_keys)?;
    checked(options, images).map(drop)
}

/// Checks that `given` is a minisign key, or the path of a file of one.
///
/// # Errors
///
/// If it is neither.
pub fn check_key(given: &str) -> anyhow::Result<()> {
    read_key(given).map(drop)
}

/// The sources that are URLs, the folder that keeps what they have, and the keys of channels.
type Checked<'o> = (Vec<(PathBuf, Source)>, &'o Path, Keys);

fn checked<'a, 'o>(
    options: &'o FetchOptions,
    images: impl Iterator<Item = &'a Path>,
) -> anyhow::Result<Option<Checked<'o>>> {
    let sources = sources(images)?;
    let Some((_, first)) = sources.first() else { return Ok(None) };
    let folder = options.cache.as_deref();
    let folder = folder.with_context(|| {
        format!("{first}: to fetch it, a folder to keep it in is needed: --cache DIR")
    })?;
    let keys = Keys::read(&options.channel_keys)?;
    check_keys(&sources, &keys)?;
    Ok(Some((sources, folder, keys)))
}

/// Those of `images` that are URLs, with what they are called.
fn sources<'a>(images: impl Iterator<Item = &'a Path>) -> anyhow::Result<Vec<(PathBuf, Source)>> {
    let source = |path: &'a Path| Some((path, Source::of(path)?));
    images.filter_map(source).map(|(path, source)| Ok((path.to_owned(), source?))).collect()
}

fn check_keys(sources: &[(PathBuf, Source)], keys: &Keys) -> anyhow::Result<()> {
    for (_, source) in sources {
        ensure!(
            source.kind != Kind::Channel || !keys.is_empty(),
            "{source}: whose signature? A channel needs --channel-key"
        );
    }
    Ok(())
}

/// Follows one source forever.
async fn follow(mut follower: Follower, period: Duration, mut again: watch::Receiver<u64>) {
    let mut pauses = Pauses::new(Patience::USUAL);
    // The last failure, which is logged once.
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
                    follower.tell(FetchEvent::Recovered { url: follower.source.to_string() });
                }
                pauses.reset();
                Pauses::until_look(period)
            }
            Err(error) => {
                let reason = error.to_string();
                if told != reason {
                    told.clone_from(&reason);
                    let (url, kept) = (follower.source.to_string(), follower.serves());
                    follower.tell(FetchEvent::Failed { url, reason, kept });
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
