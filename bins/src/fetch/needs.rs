//! What fetching needs from the system, so that everything else can be taken away.

use std::env;
use std::path::{Path, PathBuf};

use super::source::{Kind, Scheme, Source};
use crate::service::FetchOptions;

/// What fetching needs.
#[derive(Debug, Default)]
pub struct Needs {
    /// Files and folders that are read, whether they exist or not.
    pub files: Vec<PathBuf>,
    /// Folders of shared file systems, which may come and go.
    pub shares: Vec<PathBuf>,
    /// Whether anything comes from the network.
    pub connects: bool,
}

/// What names are resolved with (nsswitch.conf(5)), and where distributions have the certificates
/// of authorities.
const FOR_THE_NETWORK: [&str; 22] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/nsswitch.conf",
    "/etc/services",
    "/etc/ld.so.cache",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/pki",
    "/var/lib/ca-certificates",
];

/// Variables that name files: of certificates (openssl-env(7)), and of AWS credentials.
const VARIABLES: [&str; 4] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];

/// What it needs to fetch those of `images` that are URLs, and those that another configuration may
/// name: where there is a cache, the network.
pub fn needs<'a>(options: &FetchOptions, images: impl Iterator<Item = &'a Path>) -> Needs {
    let sources: Vec<Source> = images.filter_map(Source::of).flatten().collect();
    // Keys are read with each configuration, also if no image is fetched.
    let keys = options.channel_keys.iter().map(PathBuf::from);
    let connects = options.cache.is_some();
    let mut needs = Needs { files: keys.collect(), shares: Vec::new(), connects };
    for source in sources {
        match (source.scheme, source.file()) {
            (Scheme::File, Some(path)) if source.kind == Kind::Folder => needs.shares.push(path),
            // It may be a folder, and a channel names files beside it.
            (Scheme::File, Some(path)) => {
                needs.shares.extend(path.parent().map(Path::to_owned));
            }
            _ => needs.connects = true,
        }
    }
    if needs.connects {
        needs.files.extend(FOR_THE_NETWORK.map(PathBuf::from));
        needs.files.extend(VARIABLES.iter().filter_map(env::var_os).map(PathBuf::from));
    }
    needs
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn of(images: &[&str]) -> Needs {
        of_cached(None, images)
    }

    fn of_cached(cache: Option<&str>, images: &[&str]) -> Needs {
        let options = FetchOptions {
            cache: cache.map(PathBuf::from),
            cache_size: 1,
            refresh: Duration::from_secs(1),
            channel_keys: vec!["/keys/ci.pub".to_owned()],
        };
        needs(&options, images.iter().map(Path::new))
    }

    #[test]
    fn only_what_comes_from_the_network_needs_names_and_certificates() {
        let key = PathBuf::from("/keys/ci.pub");
        for (images, shares) in [
            (&["a.img"][..], &[][..]),
            (&["file:///srv/a%20b/"], &["/srv/a b/"]),
            (&["file:///srv/ci.channel"], &["/srv"]),
        ] {
            let needs = of(images);
            assert_eq!((&needs.files, needs.connects), (&vec![key.clone()], false), "{images:?}");
            assert_eq!(needs.shares, shares.iter().map(PathBuf::from).collect::<Vec<_>>());
        }
        assert!(of_cached(Some("/cache"), &["a.img"]).connects, "a URL may follow");
        let needs = of(&["https://ci.example/zfs.img", "file:///srv/a.img"]);
        assert!(needs.connects);
        assert_eq!(needs.shares, [PathBuf::from("/srv")]);
        for file in ["/keys/ci.pub", "/etc/resolv.conf", "/etc/ssl"] {
            assert!(needs.files.contains(&file.into()), "{file}: {needs:?}");
        }
    }
}
