//! What is fetched, as the command line names it.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use boot_format::Checksum;
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use url::Url;

/// An image, a folder of images or a channel, somewhere else.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Source {
    url: Url,
    pub(super) scheme: Scheme,
    pub(super) kind: Kind,
    /// The checksum that the image's contents must have.
    pub(super) pin: Option<Checksum>,
}

/// How a source is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    S3,
    File,
}

/// What a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An image; or a folder of images, where there is nothing of this name itself.
    Image,
    /// A folder of images.
    Folder,
    /// A signed list of images.
    Channel,
}

/// Why something is not a source.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error("{shown}: not a URL: {reason}")]
    Url { shown: String, reason: url::ParseError },
    #[error("{shown}: images come from https://, http://, s3:// or file://, not {found}://")]
    Scheme { shown: String, found: String },
    #[error("{shown}: wanted scheme://host/path, or file:///path, and found no {missing}")]
    Missing { shown: String, missing: &'static str },
    #[error("{shown}: expected sha256= and the checksum of an image after the #: {reason}")]
    Pin { shown: String, reason: String },
    #[error(
        "{shown}: over http only a single image or a channel, as a web server lists no folders"
    )]
    Folder { shown: String },
    #[error("{shown}: only a single image has a checksum, and this is a {what}")]
    PinOfMany { shown: String, what: &'static str },
    #[error("{shown}: {name:?} does not name a file beside it")]
    Beside { shown: String, name: String },
}

impl Source {
    /// Where it is on this system, if it is there.
    pub(super) fn file(&self) -> Option<PathBuf> {
        if self.scheme == Scheme::File { self.url.to_file_path().ok() } else { None }
    }

    /// What `path` names, if it is not a path.
    ///
    /// # Errors
    ///
    /// If it is neither a path nor anything that can be fetched.
    pub(super) fn of(path: &Path) -> Option<Result<Self, SourceError>> {
        let text = path.to_str()?;
        is_url(text).then(|| Self::parse(text))
    }

    fn parse(text: &str) -> Result<Self, SourceError> {
        let mut url = Url::parse(text).map_err(|reason| {
            // A text that can't be parsed may have a password anywhere.
            let scheme = text.split("://").next().unwrap_or_default();
            SourceError::Url { shown: format!("{scheme}://..."), reason }
        })?;
        let pin = url.fragment().map(str::to_owned);
        url.set_fragment(None);
        let shown = || redacted(&url);
        let scheme = match url.scheme() {
            "http" | "https" => Scheme::Http,
            "s3" => Scheme::S3,
            "file" => Scheme::File,
            found => {
                return Err(SourceError::Scheme { shown: shown(), found: found.to_owned() });
            }
        };
        let missing = |missing| SourceError::Missing { shown: shown(), missing };
        match scheme {
            Scheme::S3 if url.host_str().is_none() => return Err(missing("bucket")),
            Scheme::File if url.host_str().is_some() => {
                return Err(missing("third / after file:"));
            }
            _ => {}
        }
        let kind = match url.path() {
            path if path.ends_with('/') || path.is_empty() => Kind::Folder,
            path if path.ends_with(".channel") => Kind::Channel,
            _ => Kind::Image,
        };
        if (scheme, kind) == (Scheme::Http, Kind::Folder) {
            return Err(SourceError::Folder { shown: shown() });
        }
        let pin = pin.map(|pin| parse_pin(&pin)).transpose();
        let pin = pin.map_err(|reason| SourceError::Pin { shown: shown(), reason })?;
        if pin.is_some() && kind != Kind::Image {
            let what = if kind == Kind::Channel { "channel" } else { "folder" };
            return Err(SourceError::PinOfMany { shown: shown(), what });
        }
        Ok(Self { url, scheme, kind, pin })
    }

    /// The image `name` in the folder of this source, or below it.
    ///
    /// # Errors
    ///
    /// If it is somewhere else.
    pub(super) fn beside(&self, name: &str, pin: Option<Checksum>) -> Result<Self, SourceError> {
        let inside = |part: &str| !part.is_empty() && !part.starts_with('.');
        if !name.split('/').all(inside) || name.contains(['\\', '?', '#', '%']) {
            let name = name.to_owned();
            return Err(SourceError::Beside { shown: self.to_string(), name });
        }
        let mut url = self.url.clone();
        // A query, such as a signature, applies to one file.
        url.set_query(None);
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop().extend(name.split('/'));
        }
        Ok(Self { url, scheme: self.scheme, kind: Kind::Image, pin })
    }

    /// The same place as a folder.
    pub(super) fn as_folder(&self) -> Self {
        let mut folder = self.clone();
        if let Ok(mut parts) = folder.url.path_segments_mut() {
            parts.pop_if_empty().push("");
        }
        Self { kind: Kind::Folder, pin: None, ..folder }
    }

    /// Where it is, without name and password.
    pub(super) fn address(&self) -> Url {
        without_login(&self.url)
    }

    /// Whether an eavesdropper could read what is fetched, and change it.
    pub(super) fn is_plain(&self) -> bool {
        self.url.scheme() == "http"
    }

    /// The name and password in it, as HTTP's basic authentication has them.
    pub(super) fn login(&self) -> Option<String> {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = (self.url.username(), self.url.password());
        if user.is_empty() && password.is_none() {
            return None;
        }
        let both = format!("{}:{}", decoded(user), decoded(password.unwrap_or_default()));
        Some(format!("Basic {}", BASE64_STANDARD.encode(both)))
    }

    /// The last part of the path, which is never empty.
    pub(super) fn name(&self) -> &str {
        let mut parts = self.url.path().rsplit('/').filter(|part| !part.is_empty());
        parts.next().or(self.url.host_str()).unwrap_or("root")
    }

    /// A name for its folder in the cache: a readable start, and a part that no other source has.
    pub(super) fn key(&self) -> String {
        /// Leaves room for the rest within the 255 bytes of a file name.
        const MOST: usize = 100;
        let whole = format!("{}#{:?}", without_login(&self.url), self.pin);
        let sum = Checksum::from_bytes(Sha256::digest(whole).into()).to_string();
        let host = self.url.host_str().unwrap_or_default();
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' };
        let start: String = host.chars().chain(self.url.path().chars()).map(plain).collect();
        let start = start.trim_matches(['.', '_']);
        let start = &start[..start.len().min(MOST)];
        format!("{start}-{}", &sum[..16])
    }
}

/// Whether `text` is meant to be a URL rather than a path.
fn is_url(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once("://") else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

fn parse_pin(text: &str) -> Result<Checksum, String> {
    let sum = text.strip_prefix("sha256=").ok_or_else(|| format!("found {text:?}"))?;
    sum.parse().map_err(|error| format!("{error}"))
}

fn without_login(url: &Url) -> Url {
    let mut url = url.clone();
    // Only a URL that has no host refuses, and that has neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// What may be shown of a URL: neither a password nor a query, which may be a signature.
fn redacted(url: &Url) -> String {
    let mut shown = without_login(url);
    let query = if shown.query().is_some() { "?..." } else { "" };
    shown.set_query(None);
    shown.set_fragment(None);
    format!("{shown}{query}")
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(&self.url))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::of(Path::new(text)).unwrap().unwrap()
    }

    #[test]
    fn paths_are_no_sources() {
        for path in ["zfs.img", "/a/b://c", "images/", "./https:/x", "C:/x", "1://x", ""] {
            assert!(Source::of(Path::new(path)).is_none(), "{path}");
        }
    }

    #[test]
    fn the_end_of_the_path_says_what_it_is() {
        for (text, scheme, kind) in [
            ("https://h/a/zfs.img", Scheme::Http, Kind::Image),
            ("http://h:8080/stable.channel?token=1", Scheme::Http, Kind::Channel),
            ("s3://bucket/prefix", Scheme::S3, Kind::Image),
            ("s3://bucket/prefix/", Scheme::S3, Kind::Folder),
            ("s3://bucket", Scheme::S3, Kind::Folder),
            ("file:///mnt/stable.channel", Scheme::File, Kind::Channel),
        ] {
            let source = source(text);
            assert_eq!((source.scheme, source.kind), (scheme, kind), "{text}");
        }
        assert_eq!(source("s3://b/p").as_folder(), source("s3://b/p/"));
    }

    #[test]
    fn what_is_no_source_is_refused_with_the_reason_and_without_a_password() {
        let pin = format!("s3://b/f/#sha256={}", "0".repeat(64));
        for (text, reason) in [
            ("gs://bucket/x", "not gs://"),
            ("https://u:secret@:x/", "not a URL"),
            ("https://u:secret@h/x.img#md5=1", "found \"md5=1\""),
            ("https://u:secret@h/x.img#sha256=12", "64 hexadecimal digits, not 2"),
            ("https://h/folder/", "lists no folders"),
            ("file://h/x", "third /"),
            (pin.as_str(), "this is a folder"),
        ] {
            let error = Source::of(Path::new(text)).unwrap().unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn name_and_password_go_into_a_header_and_nowhere_else() {
        let source = source("https://u:p%40s@h/x.img?X-Sig=abc");
        assert_eq!(source.login().unwrap(), "Basic dTpwQHM=");
        assert_eq!(source.address().as_str(), "https://h/x.img?X-Sig=abc");
        assert_eq!(source.to_string(), "https://h/x.img?...");
        assert!(!source.key().contains("p@s"), "{}", source.key());
        assert_eq!(self::source("https://h/x.img").login(), None);
    }

    #[test]
    fn no_two_sources_share_a_folder_of_the_cache() {
        let sum = "7".repeat(64);
        let pinned = format!("https://h/a.img#sha256={sum}");
        let all = ["https://h/a.img", "http://h/a.img", "https://h/a_img", &pinned];
        let mut keys: Vec<_> = all.iter().map(|text| source(text).key()).collect();
        assert!(keys[0].starts_with("h_a.img-"), "{}", keys[0]);
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all.len());
        assert!(source(&format!("https://h/{}", "long/".repeat(99) + "x")).key().len() < 200);
    }

    #[test]
    fn a_channel_names_what_is_beside_it_and_nothing_else() {
        let channel = source("https://h/a/stable.channel?token=1");
        let image = channel.beside("b/x.img", None).unwrap();
        assert_eq!(image.address().as_str(), "https://h/a/b/x.img");
        for name in ["../x", "/x", "https://other/x", "a//b", "", ".x", "x?y", "x%2f..", "a\\b"] {
            channel.beside(name, None).unwrap_err();
        }
    }
}
