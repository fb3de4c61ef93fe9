//! What fetching needs of the system, for whoever takes from it all that it does not need.

use std::env;
use std::path::{Path, PathBuf};

use super::source::{Kind, Scheme, Source};
use crate::service::FetchOptions;

/// What fetching needs.
#[derive(Debug, Default)]
pub struct Needs {
    /// Files and folders that are read, also such as are not there.
    pub files: Vec<PathBuf>,
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

/// What it needs to fetch those of `images` that are URLs.
pub fn needs<'a>(options: &FetchOptions, images: impl Iterator<Item = &'a Path>) -> Needs {
    let sources: Vec<Source> = images.filter_map(Source::of).flatten().collect();
    let mut needs = Needs::default();
    if sources.is_empty() {
        return needs;
    }
    needs.files.extend(options.channel_keys.iter().map(PathBuf::from));
    for source in sources {
        match (source.scheme, source.file()) {
            (Scheme::File, Some(path)) if source.kind == Kind::Folder => needs.files.push(path),
            // It may be a folder, and a channel names files beside it.
            (Scheme::File, Some(path)) => {
                needs.files.extend(path.parent().map(Path::to_owned));
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
