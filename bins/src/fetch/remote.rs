//! Asking a store for something.

use std::sync::{Arc, Once};

use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use object_store::aws::AmazonS3Builder;
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as StorePath;
use object_store::{
    ClientOptions, GetOptions, GetRange, HeaderMap, HeaderValue, ObjectStore, RetryConfig,
};
use tokio::time::{Instant, timeout, timeout_at};

use super::fault::Fault;
use super::patience::Patience;
use super::source::{Scheme, Source};

/// A place in a store.
pub(super) struct Remote {
    store: Arc<dyn ObjectStore>,
    path: StorePath,
    patience: Patience,
}

/// One of the versions that a store has had of something.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Version {
    /// Its entity tag, which names these bytes and no others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<String>,
    /// When it was last modified, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) modified: Option<i64>,
}

/// An answer whose body is still to come.
pub(super) struct Answer {
    pub(super) version: Version,
    /// Bytes of the whole.
    pub(super) size: u64,
    bytes: BoxStream<'static, object_store::Result<bytes::Bytes>>,
    patience: Patience,
    /// By when enough must have arrived, and how much has.
    window: (Instant, u64),
}

impl Version {
    /// The entity tag, if a part of these bytes can be asked for by it: a weak one stands for
    /// bytes that are alike (RFC 9110, 8.8.1).
    pub(super) fn strong(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| !etag.starts_with("W/"))
    }
}

impl Remote {
    /// Opens the store that `source` is in. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// If what the environment says of it makes no sense.
    pub(super) fn open(source: &Source, patience: Patience) -> Result<Self, Fault> {
        let address = source.address();
        let path =
            || StorePath::from_url_path(address.path()).map_err(|e| Fault::Other(e.to_string()));
        // Failed requests are retried by the caller, which knows what is there already.
        let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
        let (store, path): (Arc<dyn ObjectStore>, _) = match source.scheme {
            Scheme::Http => {
                let mut options = client(patience).with_allow_http(source.is_plain());
                if let Some(login) = source.login() {
                    let mut headers = HeaderMap::new();
                    let mut login = HeaderValue::try_from(login)
                        .map_err(|error| Fault::Other(error.to_string()))?;
                    login.set_sensitive(true);
                    headers.insert("authorization", login);
                    options = options.with_default_headers(headers);
                }
                let builder = HttpBuilder::new().with_url(address.as_str());
                let store = builder.with_client_options(options).with_retry(retry).build()?;
                // The whole path is in the URL, as it was typed.
                (Arc::new(store), StorePath::ROOT)
            }
            Scheme::S3 => {
                let plain = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]
                    .iter()
                    .any(|name| std::env::var(name).is_ok_and(|url| url.starts_with("http://")));
                let builder = AmazonS3Builder::from_env()
                    .with_bucket_name(address.host_str().unwrap_or_default())
                    .with_client_options(client(patience).with_allow_http(plain))
                    .with_retry(retry);
                (Arc::new(builder.build()?), path()?)
            }
            Scheme::File => (Arc::new(LocalFileSystem::new()), path()?),
        };
        Ok(Self { store, path, patience })
    }

    /// Asks for all of it, unless it is still the one that is `known`.
    ///
    /// # Errors
    ///
    /// What the store answered instead.
    pub(super) async fn whole(&self, known: &Version) -> Result<Answer, Fault> {
        let modified = known.modified.filter(|_| known.etag.is_none());
        let options = GetOptions {
            if_none_match: known.etag.clone(),
            if_modified_since: modified.and_then(|time| chrono::DateTime::from_timestamp(time, 0)),
            ..GetOptions::default()
        };
        self.get(options).await
    }

    /// Asks for what follows the first `there` bytes of the same version.
    ///
    /// # Errors
    ///
    /// What the store answered instead.
    pub(super) async fn rest(&self, etag: &str, there: u64) -> Result<Answer, Fault> {
        let options = GetOptions {
            if_match: Some(etag.to_owned()),
            range: Some(GetRange::Offset(there)),
            ..GetOptions::default()
        };
        let answer = self.get(options).await?;
        // Not every server heeds the condition.
        if answer.version.strong() == Some(etag) { Ok(answer) } else { Err(Fault::Changed) }
    }

    async fn get(&self, options: GetOptions) -> Result<Answer, Fault> {
        let answer = timeout(self.patience.stall, self.store.get_opts(&self.path, options));
        let answer = answer.await.map_err(|_| self.silent())??;
        let meta = &answer.meta;
        // Without a date there is the year 1970.
        let modified = Some(meta.last_modified.timestamp()).filter(|time| *time > 0);
        Ok(Answer {
            version: Version { etag: meta.e_tag.clone(), modified },
            size: meta.size,
            bytes: answer.into_stream(),
            patience: self.patience,
            window: (Instant::now() + self.patience.stall, 0),
        })
    }

    /// The names of all images in it, a folder.
    ///
    /// # Errors
    ///
    /// What the store answered instead.
    pub(super) async fn images(&self) -> Result<Vec<String>, Fault> {
        let listed = self.store.list_with_delimiter(Some(&self.path));
        let listed = timeout(self.patience.stall, listed).await.map_err(|_| self.silent())??;
        let names = listed.objects.iter().filter_map(|object| object.location.filename());
        let image = |name: &&str| {
            let end = std::path::Path::new(name).extension();
            end.is_some_and(|end| end == "img") && !name.starts_with('.')
        };
        let mut names: Vec<_> = names.filter(image).map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    fn silent(&self) -> Fault {
        Fault::Other(format!("no answer for {} s", self.patience.stall.as_secs_f64()))
    }
}

impl Answer {
    /// The next bytes, if there are more.
    ///
    /// # Errors
    ///
    /// If they break off, or come too slowly.
    pub(super) async fn next(&mut self) -> Result<Option<bytes::Bytes>, Fault> {
        let (until, came) = self.window;
        let Ok(next) = timeout_at(until, self.bytes.try_next()).await else {
            if came < self.patience.least {
                return Err(self.slow(came));
            }
            self.window = (Instant::now() + self.patience.stall, 0);
            return Ok(Some(bytes::Bytes::new()));
        };
        let next = next.map_err(Fault::from)?;
        self.window.1 += next.as_ref().map_or(0, |bytes| bytes.len() as u64);
        // With a slow drip the timeout above never expires.
        if Instant::now() >= until {
            if self.window.1 < self.patience.least {
                return Err(self.slow(self.window.1));
            }
            self.window = (Instant::now() + self.patience.stall, 0);
        }
        Ok(next)
    }

    /// All of it, which may have `most` bytes.
    ///
    /// # Errors
    ///
    /// If there are more, they break off, or come too slowly.
    pub(super) async fn all(mut self, most: u64) -> Result<Vec<u8>, Fault> {
        let mut all = Vec::new();
        while let Some(bytes) = self.next().await? {
            if (all.len() + bytes.len()) as u64 > most {
                return Err(Fault::Other(format!("more than {most} bytes")));
            }
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }

    fn slow(&self, came: u64) -> Fault {
        let seconds = self.patience.stall.as_secs_f64();
        Fault::Other(format!("stalled: {came} bytes in {seconds} s"))
    }
}

fn client(patience: Patience) -> ClientOptions {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // It fails only if there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let agent = HeaderValue::from_static(concat!("bootserver/", env!("CARGO_PKG_VERSION")));
    ClientOptions::new()
        .with_user_agent(agent)
        .with_timeout_disabled()
        .with_connect_timeout(patience.connect)
}
