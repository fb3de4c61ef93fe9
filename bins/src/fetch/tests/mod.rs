//! Following sources on a server in this process, which plays tricks.

mod channels;
mod images;
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use boot_format::{Checksum, Name};
use boot_image::ImageFile;
use boot_image::pack::{PackOptions, pack};

use self::server::Server;
use super::cache::Cache;
use super::channel::Keys;
use super::follow::Follower;
use super::patience::Patience;
use super::source::Source;
use crate::service::events::Events;

/// Times for tests that wait for a failure; successes do not wait for them.
const SHORT: Patience = Patience {
    connect: Duration::from_mins(1),
    stall: Duration::from_millis(300),
    least: 1 << 10,
    first: Duration::from_millis(1),
    longest: Duration::from_millis(10),
};
const LONG: Patience = Patience { stall: Duration::from_mins(1), ..SHORT };

/// An image file of 1 MiB of contents.
#[derive(Clone)]
struct Image {
    bytes: Vec<u8>,
    contents: Checksum,
    file: Checksum,
}

/// One of three images, which are different in every block.
fn image(number: usize) -> Image {
    static IMAGES: OnceLock<[Image; 3]> = OnceLock::new();
    IMAGES.get_or_init(|| [1, 2, 3].map(make))[number].clone()
}

fn make(fill: u8) -> Image {
    let folder = tempfile::tempdir().unwrap();
    let [raw, out] = ["raw", "image"].map(|name| folder.path().join(name));
    fs::write(&raw, vec![fill; 1 << 20]).unwrap();
    let options = PackOptions {
        image_name: Name::new("test").unwrap(),
        dataset: Name::new("rpool").unwrap(),
        target_size: 1 << 30,
        level: None,
        threads: None,
        pad: false,
    };
    let file = fs::File::options().read(true).write(true).create_new(true).open(&out).unwrap();
    pack(&fs::File::open(&raw).unwrap(), 1 << 20, &file, &options, &mut |_| true).unwrap();
    let image = ImageFile::open(&out).unwrap();
    let (contents, file) = (image.header().checksum, image.whole_hash().unwrap());
    Image { bytes: fs::read(&out).unwrap(), contents, file }
}

/// A cache, and a server to fill it from.
struct Lab {
    server: Server,
    folder: tempfile::TempDir,
    cache: Option<Arc<Cache>>,
    keys: Arc<Keys>,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (server, keys) = (Server::start(), Arc::default());
        Self { server, folder, cache: None, keys }
    }

    fn cache(&mut self) -> &Arc<Cache> {
        let folder = self.folder.path().join("cache");
        self.cache.get_or_insert_with(|| {
            Arc::new(Cache::open(&folder, 4 << 20, Events::unheard()).unwrap())
        })
    }

    /// Follows what is at `path` of the server.
    fn follow(&mut self, path: &str) -> Follower {
        let url = self.server.url(path);
        self.follow_url(&url, LONG)
    }

    fn follow_url(&mut self, url: &str, patience: Patience) -> Follower {
        let source = Source::of(Path::new(url)).unwrap().unwrap();
        let keys = Arc::clone(&self.keys);
        Follower::new(source, Arc::clone(self.cache()), keys, patience)
    }

    /// What `follower` has in service.
    fn served(&mut self, follower: &Follower) -> BTreeMap<String, Checksum> {
        let cache = Arc::clone(self.cache());
        let served = cache.served(&follower.source.key()).unwrap();
        for sum in served.values() {
            assert_eq!(ImageFile::open(&cache.image(*sum)).unwrap().header().checksum, *sum);
        }
        served
    }

    /// The checksums of what is in service.
    fn sums(&mut self, follower: &Follower) -> Vec<Checksum> {
        self.served(follower).into_values().collect()
    }

    /// Unfinished files in the cache.
    fn parts(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("cache/images")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|end| end == "part")).collect()
    }
}

/// Looks once.
fn refresh(follower: &mut Follower) -> Result<(), String> {
    wait(follower.refresh()).map_err(|error| error.to_string())
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}
