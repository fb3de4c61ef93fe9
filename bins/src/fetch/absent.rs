//! Stands in for fetching where it was left out of the build.

use std::path::{Path, PathBuf};

use anyhow::ensure;

use crate::service::FetchOptions;
use crate::service::events::Events;

/// What would fetch.
#[derive(Debug)]
pub struct Fetcher(std::convert::Infallible);

impl Fetcher {
    /// Follows nothing.
    ///
    /// # Errors
    ///
    /// If one of `images` is a URL.
    pub(crate) fn start<'a>(
        options: &FetchOptions,
        images: impl Iterator<Item = &'a Path>,
        _: &Events,
    ) -> anyhow::Result<Option<Self>> {
        check(options, images)?;
        Ok(None)
    }

    /// Follows nothing.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn follow<'a>(&self, _: impl Iterator<Item = &'a Path>) -> anyhow::Result<()> {
        Ok(())
    }

    /// Where `image` is.
    pub fn place(&self, image: &Path) -> PathBuf {
        image.to_owned()
    }

    /// Looks at nothing.
    pub fn look_again(&self) {
        match self.0 {}
    }
}

/// Checks nothing.
///
/// # Errors
///
/// If one of `images` is a URL.
pub fn check<'a>(_: &FetchOptions, images: impl Iterator<Item = &'a Path>) -> anyhow::Result<()> {
    images.map(is_url).try_for_each(|url| url.map(drop))
}

/// Takes any key: none is used.
///
/// # Errors
///
/// Never.
pub fn check_key(_: &str) -> anyhow::Result<()> {
    Ok(())
}

/// What fetching needs.
#[derive(Debug, Default)]
pub struct Needs {
    /// Files and folders that are read.
    pub files: Vec<PathBuf>,
    /// Folders of shared file systems.
    pub shares: Vec<PathBuf>,
    /// Whether anything comes from the network.
    pub connects: bool,
}

/// Nothing.
pub fn needs<'a>(_: &FetchOptions, _: impl Iterator<Item = &'a Path>) -> Needs {
    Needs::default()
}

/// Whether `image` is to be fetched.
///
/// # Errors
///
/// If it is a URL.
pub fn is_url(image: &Path) -> anyhow::Result<bool> {
    let url = image.to_str().is_some_and(|text| text.contains("://"));
    ensure!(!url, "{}: built without fetching", image.display());
    Ok(false)
}
