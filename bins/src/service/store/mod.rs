//! The images in service. They are looked at and loaded while serving, and offered as soon as they
//! are ready.
//!
//! ```text
//! worker --ask--> keeper --look--> a thread for each source that is looked at
//!                        --load--> a thread for each image that is loaded
//!        <--Service-- (edition)
//! ```

mod catalog;
mod entry;
mod keeper;
mod look;
mod tickets;
mod watch;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{self, AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use boot_format::Checksum;
use boot_image::Contents;
use crossbeam::channel::{self, Sender};

use self::catalog::Catalog;
use self::keeper::{Keeper, Note};
use self::tickets::Tickets;
use self::watch::Watch;
use super::events::{Events, InService};

/// What is offered.
#[derive(Debug, Default)]
pub(crate) struct Service {
    /// The images, no two of which are the same.
    pub(crate) images: Vec<Contents>,
    by_path: HashMap<PathBuf, Checksum>,
}

impl Service {
    /// The event about it: each image once, in their order, with the first of its paths.
    fn told(&self) -> Vec<InService> {
        let told = |contents: &Contents| {
            let checksum = contents.checksum();
            let paths = self.by_path.iter().filter(|(_, other)| **other == checksum);
            InService {
                path: paths.map(|(path, _)| path).min().cloned().unwrap_or_default(),
                name: contents.image_name().to_owned(),
                size: contents.size() as u64,
                checksum,
            }
        };
        self.images.iter().map(told).collect()
    }

    /// The checksum of no image: no known data have it as their SHA-256.
    const NO_IMAGE: Checksum = Checksum::from_bytes([0; 32]);

    /// The checksum of the image that was loaded from `path`, a file or a folder of one image; or
    /// that of no image, so that a sled which is to have only this one waits for it.
    pub(crate) fn checksum_of(&self, path: &Path) -> Checksum {
        self.by_path.get(path).copied().unwrap_or(Self::NO_IMAGE)
    }
}

/// The files at `source`, a file or a folder, that would be used as images.
///
/// # Errors
///
/// If that can't be looked at.
pub(crate) fn files_at(source: &Path) -> io::Result<Vec<PathBuf>> {
    let look::Found { files, error, .. } = look::look(source);
    match error {
        Some(error) => Err(error),
        None => Ok(files.into_iter().map(|(path, _)| path).collect()),
    }
}

/// Files and folders of images, as the workers see them. No call waits for a file.
#[derive(Debug)]
pub(crate) struct Store {
    shared: Arc<Shared>,
    notes: Sender<Note>,
}

/// What the keeper publishes to the workers.
#[derive(Debug, Default)]
struct Shared {
    service: Mutex<Arc<Service>>,
    /// Counts up whenever the service has changed.
    edition: AtomicU64,
    loading: AtomicBool,
    looks: Tickets,
    /// Why there is nothing to serve from the start on.
    fault: Mutex<Option<anyhow::Error>>,
}

impl Store {
    /// Begins to load the images at `sources`, files or folders of them; mapped, if `map`. If more
    /// are `awaited`, it is no fault if there are none yet. What happens to them is reported to
    /// `told`; with `true` also each boot source's verdict.
    ///
    /// # Errors
    ///
    /// If the system refuses a thread.
    pub(crate) fn open(
        sources: Vec<PathBuf>,
        map: bool,
        awaited: bool,
        told: (Events, bool),
    ) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::default());
        shared.loading.store(true, Ordering::Release);
        let (notes, noted) = channel::unbounded();
        let watch = Watch::start(&sources, notes.clone(), told.0.clone());
        let catalog = Catalog::new(sources, awaited);
        let notes_in = notes.clone();
        let keeper = Keeper::new(catalog, map, Arc::clone(&shared), notes_in, watch, told);
        std::thread::Builder::new().name("images".to_owned()).spawn(move || keeper.run(&noted))?;
        Ok(Self { shared, notes })
    }

    /// Counts up whenever what is in service has changed.
    pub(crate) fn edition(&self) -> u64 {
        self.shared.edition.load(Ordering::Acquire)
    }

    /// Whether an image is being loaded, or may be found.
    pub(crate) fn is_loading(&self) -> bool {
        self.shared.loading.load(Ordering::Acquire)
    }

    /// What is offered now.
    pub(crate) fn service(&self) -> Arc<Service> {
        Arc::clone(&self.shared.service.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks for a look at the files; [`Store::has_looked`] reports when it is done.
    pub(crate) fn ask(&self) -> u64 {
        let (ticket, wakes) = self.shared.looks.ask();
        if wakes {
            let _ = self.notes.send(Note::Asked);
        }
        ticket
    }

    /// Whether the files were looked at after this was asked for, and the service shows it.
    pub(crate) fn has_looked(&self, ticket: u64) -> bool {
        self.shared.looks.is_done(ticket)
    }

    /// Takes images from these `sources` from now on.
    pub(crate) fn set_sources(&self, sources: Vec<PathBuf>) {
        let _ = self.notes.send(Note::Sources(sources));
    }

    /// Has every image checked again, changed or not.
    pub(crate) fn check_all(&self) {
        let _ = self.notes.send(Note::CheckAll);
    }

    /// Why there was nothing to serve at the start; returned once.
    pub(crate) fn take_fault(&self) -> Option<anyhow::Error> {
        self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
