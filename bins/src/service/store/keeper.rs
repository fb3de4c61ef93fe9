//! The thread that manages images: it has others look and load, and touches no file itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use boot_format::Checksum;
use boot_image::{Contents, ImageFile};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};

use super::Shared;
use super::catalog::{Catalog, Load};
use super::look::{Found, look};
use super::watch::Watch;
use crate::describe::verdicts;
use crate::service::events::{Events, ImageEvent, Judged, SourceVerdict, What};
use crate::service::options::cores;

/// A message to the keeper.
#[derive(Debug)]
pub(super) enum Note {
    /// A worker wants to know whether a file has changed.
    Asked,
    /// All is to be checked again.
    CheckAll,
    /// The system reports that a file has changed, or it is time to look.
    Changed,
    /// Images come from elsewhere now.
    Sources(Vec<PathBuf>),
    /// A look at a source is done.
    Found(usize, Found),
    /// A load is done.
    Loaded(Load, anyhow::Result<Contents>),
}

/// The looks at one source.
#[derive(Clone, Copy, Debug, Default)]
struct Looks {
    /// When the one under way began.
    since: Option<Instant>,
    /// Up to which of the looks that workers asked for this one answers, and the last one did.
    answers: u64,
    answered: u64,
    /// Whether it takes so long that nothing waits for it.
    late: bool,
    /// When the next one may begin.
    next: Option<Instant>,
    /// Whether there is to be one.
    wanted: bool,
    anyway: bool,
}

/// The keeper of the images.
pub(super) struct Keeper {
    catalog: Catalog,
    looks: Vec<Looks>,
    /// Loads under way, and since when.
    loads: Vec<(u64, Instant)>,
    /// How many looks workers have asked for, as far as they are wanted.
    asked: u64,
    map: bool,
    shared: Arc<Shared>,
    notes: Sender<Note>,
    watch: Watch,
    events: Events,
    /// Whether boot sources' verdicts are wanted.
    judge: bool,
}

/// Whatever ends the keeper, no sled keeps waiting for it.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.looks.finish(u64::MAX);
        self.0.loading.store(false, Ordering::Release);
    }
}

impl Keeper {
    /// A flood of HELLOs must not become a flood of looks at files.
    const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
    /// The pause after a look, in multiples of how long the look took.
    const PAUSE: u32 = 10;
    /// A sled's HELLO waits no longer for a look; the next HELLO follows after four seconds.
    const LATE: Duration = Duration::from_millis(500);
    /// A load that takes longer may be waiting for a disk, and does not keep others from beginning.
    const SLOW: Duration = Duration::from_secs(5);

    pub(super) fn new(
        catalog: Catalog,
        map: bool,
        shared: Arc<Shared>,
        notes: Sender<Note>,
        watch: Watch,
        (events, judge): (Events, bool),
    ) -> Self {
        let looks = vec![Looks { wanted: true, ..Looks::default() }; catalog.sources()];
        let loads = Vec::new();
        Self { catalog, looks, loads, asked: 0, map, shared, notes, watch, events, judge }
    }

    /// Keeps the images until the process ends.
    pub(super) fn run(mut self, noted: &Receiver<Note>) {
        let _ended = Ended(Arc::clone(&self.shared));
        loop {
            let now = Instant::now();
            self.begin_looks(now);
            self.catalog.retry_rested(now);
            self.begin_loads(now);
            self.publish();
            let note = match self.due() {
                Some(due) => noted.recv_deadline(due),
                None => noted.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match note {
                Ok(note) => {
                    self.take(note);
                    // All that has come meanwhile is one change of the service.
                    noted.try_iter().for_each(|note| self.take(note));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn take(&mut self, note: Note) {
        let now = Instant::now();
        match note {
            Note::Asked => {
                self.asked = self.shared.looks.take();
                self.want_looks(false);
            }
            Note::CheckAll => self.want_looks(true),
            Note::Changed => self.want_looks(false),
            Note::Sources(sources) => {
                self.watch.add(&sources);
                self.catalog.set_sources(sources);
                self.looks.resize_with(self.catalog.sources(), Looks::default);
                self.want_looks(false);
            }
            Note::Found(source, found) => {
                let looks = &mut self.looks[source];
                let since = looks.since.take().unwrap_or(now);
                looks.answered = looks.answers;
                let pause = (now - since) * Self::PAUSE;
                looks.next = Some(now + pause.max(Self::BETWEEN_LOOKS));
                if std::mem::take(&mut looks.late) {
                    let path = self.catalog.source(source).to_owned();
                    self.catalog.news.push(ImageEvent::Answered { path });
                }
                let anyway = std::mem::take(&mut looks.anyway);
                self.catalog.see(source, found, anyway, now);
            }
            Note::Loaded(load, result) => {
                self.loads.retain(|(ticket, _)| *ticket != load.ticket);
                self.catalog.judge(&load, result);
            }
        }
        if let Some(fault) = self.catalog.fault_of_start() {
            *self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
        }
    }

    fn want_looks(&mut self, anyway: bool) {
        for looks in &mut self.looks {
            looks.wanted = true;
            looks.anyway |= anyway;
        }
    }

    /// Begins the looks that are wanted, one at a time for each source.
    fn begin_looks(&mut self, now: Instant) {
        for source in self.catalog.used() {
            let looks = &mut self.looks[source];
            match looks.since {
                Some(since) if !looks.late && now >= since + Self::LATE => {
                    looks.late = true;
                    let path = self.catalog.source(source).to_owned();
                    self.catalog.news.push(ImageEvent::Unanswered { path });
                }
                None if looks.wanted && looks.next.is_none_or(|next| now >= next) => {
                    looks.wanted = false;
                    (looks.since, looks.answers) = (Some(now), self.asked);
                    let path = self.catalog.source(source).to_owned();
                    let notes = self.notes.clone();
                    let spawned = thread::Builder::new().spawn(move || {
                        let _ = notes.send(Note::Found(source, look(&path)));
                    });
                    if spawned.is_err() {
                        // It is tried again.
                        looks.wanted = true;
                        (looks.since, looks.next) = (None, Some(now + Self::LATE));
                    }
                }
                Some(_) | None => {}
            }
        }
    }

    /// Begins loads, on at most half as many threads as there are cores: the rest are for serving.
    fn begin_loads(&mut self, now: Instant) {
        let most = cores().div_ceil(2);
        let quick = |loads: &[(u64, Instant)]| {
            loads.iter().filter(|(_, since)| now < *since + Self::SLOW).count()
        };
        while quick(&self.loads) < most
            && let Some(load) = self.catalog.next_load()
        {
            self.loads.push((load.ticket, now));
            let (notes, map, again) = (self.notes.clone(), self.map, load.clone());
            let judging = self.judge.then(|| (self.events.clone(), load.path.clone()));
            let spawned = thread::Builder::new().spawn(move || {
                let loaded = catch_unwind(AssertUnwindSafe(|| load_image(&load.path, map)));
                let result = loaded.unwrap_or_else(|_| {
                    Err(anyhow!("{}: loading it panicked", load.path.display()))
                });
                let judged = result.as_ref().ok().map(Contents::checksum).zip(judging);
                let _ = notes.send(Note::Loaded(load, result));
                if let Some((checksum, (events, path))) = judged {
                    judge(&events, &path, checksum);
                }
            });
            if let Err(error) = spawned {
                let error = anyhow!("{}: no thread to load it: {error}", again.path.display());
                let _ = self.notes.send(Note::Loaded(again, Err(error)));
            }
        }
    }

    /// Shows the workers what is in service, and then that it is what they asked for.
    fn publish(&mut self) {
        let service = self.catalog.service();
        {
            let mut shown = self.shared.service.lock().unwrap_or_else(PoisonError::into_inner);
            let same = shown.by_path == service.by_path
                && shown.images.len() == service.images.len()
                && shown.images.iter().zip(&service.images).all(|(old, new)| old.same_memory(new));
            if !same {
                *shown = Arc::new(service);
                self.events.tell(What::InService(shown.told()));
                self.shared.edition.fetch_add(1, Ordering::AcqRel);
            }
        }
        self.shared.loading.store(self.catalog.is_loading(), Ordering::Release);
        for event in self.catalog.news.drain(..) {
            self.events.tell(What::Image(Box::new(event)));
        }
        let used = self.catalog.used().into_iter().map(|source| &self.looks[source]);
        let timely = used.filter(|looks| !looks.late);
        let looked = timely.map(|looks| looks.answered).min().unwrap_or(self.asked);
        self.shared.looks.finish(looked);
    }

    /// When something is due without a message.
    fn due(&self) -> Option<Instant> {
        let used = self.catalog.used().into_iter().map(|source| &self.looks[source]);
        let looks = used.filter_map(|looks| match looks.since {
            Some(since) if !looks.late => Some(since + Self::LATE),
            None if looks.wanted => looks.next,
            _ => None,
        });
        let loads = self.loads.iter().map(|(_, since)| *since + Self::SLOW);
        let loads = loads.filter(|due| *due > Instant::now());
        looks.chain(loads).chain(self.catalog.next_rested()).min()
    }
}

/// The contents of the image at `path`.
fn load_image(path: &Path, map: bool) -> anyhow::Result<Contents> {
    Ok(if map { Contents::map(path)? } else { Contents::load(path)? })
}

/// Reports each boot source's verdict on the image at `path`, if it is still the one whose contents
/// have this checksum. A compressed one is inflated once more for it, after it is in service.
fn judge(events: &Events, path: &Path, checksum: Checksum) {
    let Ok(image) = ImageFile::open(path) else { return };
    if image.header().checksum != checksum {
        return;
    }
    // Only a compressed image has any, and this one has just been inflated.
    let traps = image.slice_traps().unwrap_or_default();
    let verdicts = verdicts(&image, None, traps);
    let verdicts = verdicts.map(|(source, verdict)| SourceVerdict {
        source: source.to_string(),
        accepted: verdict.is_accepted(),
        meant: source.is_meant_for(image.header().compressed),
        reason: verdict.to_string(),
    });
    events.tell(What::Judged(Judged { checksum, verdicts: verdicts.collect() }));
}
