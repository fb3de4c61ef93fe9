//! Following one source: what is new there comes into service, and replaces what was there before.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use boot_format::Checksum;
use chrono::{DateTime, Utc};

use super::cache::{Cache, Known};
use super::channel::{Channel, ChannelError, Keys, is_current};
use super::check::Wanted;
use super::download::{DownloadError, Got, download, is_kept};
use super::fault::Fault;
use super::patience::Patience;
use super::remote::{Remote, Version};
use super::source::{Kind, Scheme, Source, SourceError};
use crate::service::events::FetchEvent;

/// A source, and its state.
pub(super) struct Follower {
    pub(super) source: Source,
    /// Its name in the cache.
    key: String,
    cache: Arc<Cache>,
    keys: Arc<Keys>,
    patience: Patience,
    /// Versions that are not what is wanted, and why, by part: they are not fetched again.
    refused: BTreeMap<String, (Version, String)>,
    /// Whether more has come than was there before.
    progressed: bool,
}

/// Why a source is not followed just now.
#[derive(Debug, thiserror::Error)]
pub(super) enum FollowError {
    #[error(transparent)]
    Download(#[from] DownloadError),
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It has been refused before.
    #[error("{0}")]
    Refused(String),
    #[error("no image in this folder: their names end in .img")]
    Empty,
    #[error("{image}: {error}")]
    Member { image: String, error: Box<FollowError> },
}

impl From<Fault> for FollowError {
    fn from(fault: Fault) -> Self {
        Self::Download(fault.into())
    }
}

impl From<io::Error> for FollowError {
    fn from(error: io::Error) -> Self {
        Self::Download(error.into())
    }
}

impl Follower {
    pub(super) fn new(
        source: Source,
        cache: Arc<Cache>,
        keys: Arc<Keys>,
        patience: Patience,
    ) -> Self {
        let key = source.key();
        Self { source, key, cache, keys, patience, refused: BTreeMap::new(), progressed: false }
    }

    /// Tells what has happened.
    pub(super) fn tell(&self, event: FetchEvent) {
        self.cache.tell(event);
    }

    /// Whether anything of it is in service.
    pub(super) fn serves(&self) -> bool {
        self.cache.served(&self.key).is_ok_and(|served| !served.is_empty())
    }

    /// Whether any bytes have arrived since the last call that need not be fetched again.
    pub(super) fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.progressed)
    }

    /// Forgets what it has concluded, and checks what is in service.
    ///
    /// # Errors
    ///
    /// If the cache can't be read.
    pub(super) async fn recheck(&mut self) -> io::Result<()> {
        self.refused.clear();
        let mut sound = self.cache.served(&self.key)?;
        let all = sound.len();
        for (name, sum) in sound.clone() {
            if !is_kept(&self.cache, sum).await? {
                sound.remove(&name);
            }
        }
        if sound.len() < all {
            self.cache.serve(&self.key, &sound)?;
        }
        Ok(())
    }

    /// Looks for what is new, and puts it into service.
    ///
    /// # Errors
    ///
    /// If it can't be fetched, or is not what is wanted. What was in service stays in service.
    pub(super) async fn refresh(&mut self) -> Result<(), FollowError> {
        let mut known = self.cache.known(&self.key);
        known.url = self.source.to_string();
        let before = known.clone();
        let result = match self.source.kind {
            Kind::Channel => self.channel(&mut known).await,
            Kind::Folder => self.folder(&mut known).await,
            Kind::Image => match self.single(&mut known).await {
                Err(error) if self.may_be_folder(&error) => {
                    let folder = self.source.as_folder();
                    let image = std::mem::replace(&mut self.source, folder);
                    let found = self.folder(&mut known).await;
                    if found.is_ok() {
                        found
                    } else {
                        // It may be one next time.
                        self.source = image;
                        Err(error)
                    }
                }
                result => result,
            },
        };
        if known != before {
            self.cache.keep(&self.key, &known)?;
        }
        result
    }

    fn may_be_folder(&self, error: &FollowError) -> bool {
        let listed = matches!(self.source.scheme, Scheme::S3 | Scheme::File);
        // A folder of files can be opened, and then not be read.
        let fault = matches!(error, FollowError::Download(DownloadError::Fault(_)));
        listed && fault && self.source.pin.is_none()
    }

    /// Follows a single image.
    async fn single(&mut self, known: &mut Known) -> Result<(), FollowError> {
        let name = self.source.name().to_owned();
        let served = self.cache.served(&self.key)?;
        let wanted = Wanted { contents: self.source.pin, ..Wanted::default() };
        if let Some(pin) = self.source.pin {
            // These contents are there for good.
            if served.get(&name) == Some(&pin) {
                return Ok(());
            }
            if is_kept(&self.cache, pin).await? {
                return Ok(self.cache.serve(&self.key, &BTreeMap::from([(name, pin)]))?);
            }
        }
        let version = served.contains_key(&name).then(|| known.version.clone());
        let source = self.source.clone();
        let key = self.key.clone();
        if let Got::Image(sum, version) = self.get(&source, key, wanted, version).await? {
            self.cache.serve(&self.key, &BTreeMap::from([(name, sum)]))?;
            known.version = version;
        }
        Ok(())
    }

    /// Follows all images of a folder, each by itself.
    async fn folder(&mut self, known: &mut Known) -> Result<(), FollowError> {
        let names = Remote::open(&self.source, self.patience)?.images().await?;
        if names.is_empty() {
            return Err(FollowError::Empty);
        }
        let mut first_error = None;
        let served = self.cache.served(&self.key)?;
        let mut images = BTreeMap::new();
        for name in &names {
            let there = served.get(name);
            let version = there.and_then(|_| known.members.get(name).cloned());
            match self.member(name, version).await {
                Ok(Got::Image(sum, version)) => {
                    images.insert(name.clone(), sum);
                    known.members.insert(name.clone(), version);
                }
                Ok(Got::Unchanged) => images.extend(there.map(|sum| (name.clone(), *sum))),
                Err(error) => {
                    images.extend(there.map(|sum| (name.clone(), *sum)));
                    let image = name.clone();
                    first_error.get_or_insert(FollowError::Member { image, error: error.into() });
                }
            }
        }
        self.cache.serve(&self.key, &images)?;
        known.members.retain(|name, _| images.contains_key(name));
        first_error.map_or(Ok(()), Err)
    }

    async fn member(&mut self, name: &str, known: Option<Version>) -> Result<Got, FollowError> {
        let image = self.source.beside(name, None)?;
        let part = format!("{}.{}", self.key, image.key());
        self.get(&image, part, Wanted::default(), known).await
    }

    /// Follows a channel: all images of a list come into service, or none.
    async fn channel(&mut self, known: &mut Known) -> Result<(), FollowError> {
        let remote = Remote::open(&self.source, self.patience)?;
        let version = if self.serves() { known.version.clone() } else { Version::default() };
        let answer = match remote.whole(&version).await {
            Ok(answer) => answer,
            Err(Fault::Unchanged) => {
                let expires = known.expires.and_then(|time| DateTime::from_timestamp(time, 0));
                return Ok(is_current(expires, Utc::now())?);
            }
            Err(fault) => return Err(fault.into()),
        };
        let version = answer.version.clone();
        let bytes = answer.all(Channel::MOST_BYTES).await?;
        let name = self.source.name();
        let channel = Channel::parse(&bytes, name.trim_end_matches(".channel"), &self.keys)?;
        let last = known.serial.zip(known.list.as_deref());
        channel.follows(last)?;
        is_current(channel.expires, Utc::now())?;
        let is_new = known.serial != Some(channel.serial);
        // From here on no older list counts, whether or not the images can be fetched.
        known.serial = Some(channel.serial);
        known.list = Some(channel.sum.clone());
        known.expires = channel.expires.map(|time| time.timestamp());
        self.cache.keep(&self.key, known)?;
        let mut images = BTreeMap::new();
        for (name, wanted) in &channel.images {
            let in_error =
                |error| FollowError::Member { image: name.clone(), error: Box::new(error) };
            let sum = self.listed(name, *wanted).await.map_err(in_error)?;
            images.insert(format!("{sum}.img"), sum);
        }
        self.cache.serve(&self.key, &images)?;
        self.cache.discard_parts_of(&self.key)?;
        known.version = version;
        if is_new {
            let (url, serial) = (self.source.to_string(), channel.serial);
            self.tell(FetchEvent::Channel { url, serial, images: images.len() as u64 });
        }
        Ok(())
    }

    /// Has an image of a channel in the cache.
    async fn listed(&mut self, name: &str, wanted: Wanted) -> Result<Checksum, FollowError> {
        let image = self.source.beside(name, wanted.contents)?;
        if let Some(sum) = wanted.contents
            && is_kept(&self.cache, sum).await?
        {
            return Ok(sum);
        }
        let part = format!("{}.{}", self.key, image.key());
        match self.get(&image, part, wanted, None).await? {
            Got::Image(sum, _) => Ok(sum),
            Got::Unchanged => Err(Fault::Unchanged.into()),
        }
    }

    /// Gets one image, unless it is the version that is known, or was refused already.
    async fn get(
        &mut self,
        image: &Source,
        part: String,
        wanted: Wanted,
        known: Option<Version>,
    ) -> Result<Got, FollowError> {
        let refused = self.refused.get(&part).cloned();
        let ask = refused.as_ref().map(|(version, _)| version.clone()).or(known);
        let remote = Remote::open(image, self.patience)?;
        let began = Instant::now();
        let files = self.cache.part(&part);
        let there = || self.cache.part(&part).there().map_or(0, |(there, _)| there);
        let before = there();
        let got = download(&self.cache, &remote, files, wanted, &ask.unwrap_or_default()).await;
        self.progressed |= there() > before;
        match got {
            Ok(Got::Unchanged) => match refused {
                Some((_, why)) => Err(FollowError::Refused(why)),
                None => Ok(Got::Unchanged),
            },
            Ok(Got::Image(sum, version)) => {
                self.refused.remove(&part);
                let size = std::fs::metadata(self.cache.image(sum))?.len();
                let (url, time) = (image.to_string(), began.elapsed());
                self.tell(FetchEvent::Fetched { url, size, time, checksum: sum });
                Ok(Got::Image(sum, version))
            }
            Err(DownloadError::Wrong { wrong, version }) => {
                let why = wrong.to_string();
                if version != Version::default() {
                    self.refused.insert(part, (version.clone(), why));
                }
                Err(DownloadError::Wrong { wrong, version }.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
