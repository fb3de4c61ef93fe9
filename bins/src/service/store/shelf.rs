//! What is known of every image file, and what to do about what is found.
//!
//! No threads, no clock, no files: what is seen and loaded comes in, what to load comes out.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use boot_format::Checksum;
use boot_image::Contents;

use super::Service;
use super::look::{Found, Stamp};

/// How a line begins about what can't be served and never could.
const PASSED_OVER: &str = "passed over: ";

/// A load to be done, or being done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) place: usize,
    pub(super) path: PathBuf,
    /// No two loads have the same.
    pub(super) ticket: u64,
}

#[derive(Debug)]
pub(super) struct Shelf {
    places: Vec<Place>,
    jobs: VecDeque<Job>,
    tickets: u64,
    /// Whether all that was there at the start has been judged.
    started: bool,
    /// What there is to be said.
    pub(super) lines: Vec<String>,
}

/// A file or a folder.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    seen: bool,
    folder: bool,
    /// Why it could not be looked at, the last time.
    fault: Option<io::ErrorKind>,
    books: BTreeMap<PathBuf, Book>,
}

/// One image file.
#[derive(Debug)]
struct Book {
    /// What it is like now.
    seen: Stamp,
    /// What it was like when it was last judged, good or not.
    judged: Option<Stamp>,
    failed: bool,
    contents: Option<Contents>,
    /// The load that is due or under way, and what the file was like when it was asked for.
    load: Option<(u64, Stamp)>,
    /// A bad file that is still being written is left alone until it rests.
    restless_since: Option<Instant>,
}

impl Book {
    fn new(seen: Stamp) -> Self {
        let (judged, contents, load, restless_since) = (None, None, None, None);
        Self { seen, judged, failed: false, contents, load, restless_since }
    }

    /// Whether these are the contents of the file as it is now, or the last good ones of one
    /// that is known to be bad.
    fn offered(&self) -> Option<&Contents> {
        let settled = self.load.is_none_or(|(_, stamp)| Some(stamp) == self.judged);
        self.contents.as_ref().filter(|_| settled)
    }

    /// Whether the contents are still what they were.
    fn is_sound(&self) -> bool {
        let mapped = self.contents.as_ref().is_some_and(Contents::is_mapped);
        !mapped || self.judged.is_some_and(|judged| !judged.same_file(&self.seen))
    }
}

impl Shelf {
    /// A bad file that is being written is judged again when nobody has written for so long.
    pub(super) const REST: Duration = Duration::from_secs(1);

    pub(super) fn new(places: Vec<PathBuf>) -> Self {
        let place = |path| {
            let books = BTreeMap::new();
            Place { path, seen: false, folder: false, fault: None, books }
        };
        let places = places.into_iter().map(place).collect();
        Self { places, jobs: VecDeque::new(), tickets: 0, started: false, lines: Vec::new() }
    }

    /// Takes in what was found at a place.
    pub(super) fn see(&mut self, place: usize, found: Found, anyway: bool, now: Instant) {
        let shelf = &mut self.places[place];
        let first = !std::mem::replace(&mut shelf.seen, true);
        let fault = found.error.as_ref().map(io::Error::kind);
        let news = std::mem::replace(&mut shelf.fault, fault) != fault;
        if let Some(error) = found.error.filter(|_| news) {
            let what = if first { PASSED_OVER } else { "" };
            self.lines.push(format!("{what}{}: {error}", shelf.path.display()));
        }
        if fault.is_some_and(|fault| fault != io::ErrorKind::NotFound) {
            // It may well be there, so what was loaded stays.
            return;
        }
        shelf.folder = found.folder;
        let there: HashSet<&PathBuf> = found.files.iter().map(|(path, _)| path).collect();
        let gone = shelf.books.extract_if(.., |path, _| !there.contains(path));
        for (path, book) in gone {
            if book.contents.is_some() || book.load.is_some() {
                self.lines.push(format!(
                    "{}: the file is gone, its image is no longer offered",
                    path.display()
                ));
            }
        }
        for (path, stamp) in found.files {
            let book = shelf.books.entry(path.clone()).or_insert_with(|| Book::new(stamp));
            book.seen = stamp;
            let why = match (book.load, book.judged) {
                // A file that was replaced is not waited for.
                (Some((_, loading)), _) if loading.same_file(&stamp) => continue,
                (_, None) if first => None,
                (Some(_), _) => Some("has changed, checking it"),
                (None, None) => Some("is new, checking it"),
                (None, Some(judged)) if judged == stamp => {
                    if !anyway {
                        continue;
                    }
                    Some("checking it again")
                }
                (None, Some(judged)) => {
                    if book.failed && judged.same_file(&stamp) {
                        // It has just been found bad, and is being written to.
                        book.judged = Some(stamp);
                        book.restless_since = Some(now);
                        continue;
                    }
                    Some("has changed, checking it")
                }
            };
            self.tickets += 1;
            book.load = Some((self.tickets, stamp));
            if let Some(why) = why {
                self.lines.push(format!("{}: {why}", path.display()));
            }
            self.jobs.push_back(Job { place, path, ticket: self.tickets });
        }
        self.retry_rested(now);
    }

    /// Has files loaded again that were bad while they were written, and now are not.
    pub(super) fn retry_rested(&mut self, now: Instant) {
        for (place, shelf) in self.places.iter_mut().enumerate() {
            for (path, book) in &mut shelf.books {
                if book.restless_since.is_some_and(|since| now >= since + Self::REST) {
                    book.restless_since = None;
                    self.tickets += 1;
                    book.load = Some((self.tickets, book.seen));
                    let job = Job { place, path: path.clone(), ticket: self.tickets };
                    self.jobs.push_back(job);
                }
            }
        }
    }

    /// When a file will have rested, if none is written to any more.
    pub(super) fn next_rested(&self) -> Option<Instant> {
        let books = self.places.iter().flat_map(|place| place.books.values());
        books.filter_map(|book| book.restless_since).min().map(|since| since + Self::REST)
    }

    /// The next load to begin, if it is still wanted.
    pub(super) fn next_job(&mut self) -> Option<Job> {
        while let Some(job) = self.jobs.pop_front() {
            if self.is_wanted(&job) {
                return Some(job);
            }
        }
        None
    }

    /// Whether the load `job` has not been overtaken by another, or by the end of its file.
    pub(super) fn is_wanted(&self, job: &Job) -> bool {
        let book = self.places[job.place].books.get(&job.path);
        book.and_then(|book| book.load).is_some_and(|(ticket, _)| ticket == job.ticket)
    }

    /// Takes in what a load has come to.
    pub(super) fn judge(&mut self, job: &Job, result: anyhow::Result<(Contents, String)>) {
        let Some(book) = self.places[job.place].books.get_mut(&job.path) else { return };
        let Some((_, stamp)) = book.load.take_if(|(ticket, _)| *ticket == job.ticket) else {
            return;
        };
        match result {
            Ok((contents, line)) => {
                let same = |old: &&Contents| {
                    old.checksum() == contents.checksum() && !old.is_mapped() && !book.failed
                };
                // Checked again and the same as ever: no sled has to start over for that.
                let kept = book.contents.as_ref().filter(same).cloned();
                book.contents = Some(kept.unwrap_or(contents));
                book.failed = false;
                self.lines.push(line);
            }
            Err(error) => {
                let sound = book.is_sound();
                let kept = match &book.contents {
                    Some(_) if sound => ": the old one stays in service",
                    Some(_) => ": it was mapped, so the old one is lost",
                    None => "",
                };
                book.failed = true;
                if !sound {
                    book.contents = None;
                }
                let over = if book.judged.is_none() { PASSED_OVER } else { "" };
                self.lines.push(format!("{over}{error:#}{kept}"));
            }
        }
        book.judged = Some(stamp);
    }

    /// Why the server can't start, if all has been judged and nothing is good.
    pub(super) fn fault_of_start(&mut self) -> Option<anyhow::Error> {
        if self.started || self.is_loading() {
            return None;
        }
        self.started = true;
        if self.books().any(|book| book.contents.is_some()) {
            return None;
        }
        if let Some(folder) = self.places.iter().find(|place| place.folder) {
            return Some(anyhow!("{}: no image in this folder", folder.path.display()));
        }
        // It is said once, as the reason for the end.
        let last = self.lines.pop()?;
        Some(anyhow!("{}", last.strip_prefix(PASSED_OVER).unwrap_or(&last)))
    }

    fn books(&self) -> impl Iterator<Item = &Book> {
        self.places.iter().flat_map(|place| place.books.values())
    }

    /// Whether a place has not been seen yet, or a file is to be judged.
    pub(super) fn is_loading(&self) -> bool {
        self.places.iter().any(|place| !place.seen) || self.books().any(|book| book.load.is_some())
    }

    /// What is to be offered now, in the order of the places and names.
    pub(super) fn service(&self) -> Service {
        let mut known: HashSet<Checksum> = HashSet::new();
        let mut service = Service { images: Vec::new(), by_path: HashMap::new() };
        for place in &self.places {
            for (path, book) in &place.books {
                if let Some(contents) = book.offered() {
                    service.by_path.insert(path.clone(), contents.checksum());
                    if known.insert(contents.checksum()) {
                        service.images.push(contents.clone());
                    }
                }
            }
        }
        service
    }

    /// The path of a place.
    pub(super) fn place(&self, index: usize) -> &Path {
        &self.places[index].path
    }

    /// How many places there are.
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::look::look;
    use super::*;

    struct Trial {
        folder: tempfile::TempDir,
        shelf: Shelf,
        now: Instant,
    }

    impl Trial {
        /// A folder of files with these names, and nothing seen yet.
        fn new(names: &[&str]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            for name in names {
                fs::write(folder.path().join(name), name).unwrap();
            }
            let shelf = Shelf::new(vec![folder.path().to_owned()]);
            Self { folder, shelf, now: Instant::now() }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn see(&mut self) -> Vec<Job> {
            self.shelf.see(0, look(self.folder.path()), false, self.now);
            std::iter::from_fn(|| self.shelf.next_job()).collect()
        }

        fn judge(&mut self, job: &Job, good: Option<u8>) {
            let result = match good {
                Some(fill) => Contents::build(4096, 4096, "", "", |bytes| bytes.fill(fill))
                    .map(|contents| (contents, String::new()))
                    .map_err(Into::into),
                None => Err(anyhow!("bad")),
            };
            self.shelf.judge(job, result);
        }

        fn offered(&self) -> usize {
            self.shelf.service().images.len()
        }

        fn replace(&self, name: &str) {
            fs::write(self.path(".new"), "another").unwrap();
            fs::rename(self.path(".new"), self.path(name)).unwrap();
        }
    }

    #[test]
    fn what_is_ready_is_offered_while_others_load() {
        let mut trial = Trial::new(&["a", "b", ".hidden"]);
        assert!(trial.shelf.is_loading());
        let jobs = trial.see();
        assert_eq!(jobs.len(), 2);
        trial.judge(&jobs[1], Some(1));
        assert_eq!(trial.offered(), 1);
        assert!(trial.shelf.is_loading() && trial.shelf.fault_of_start().is_none());
        assert_eq!(trial.shelf.service().checksum_of(&trial.path("a")), Service::NO_IMAGE);
        trial.judge(&jobs[0], Some(2));
        assert!(trial.offered() == 2 && !trial.shelf.is_loading());
        assert!(trial.see().is_empty() && trial.shelf.fault_of_start().is_none());
    }

    #[test]
    fn a_replaced_image_holds_back_only_itself_and_a_bad_one_leaves_the_old() {
        let mut trial = Trial::new(&["a", "b"]);
        for (job, fill) in trial.see().iter().zip(1..) {
            trial.judge(job, Some(fill));
        }
        trial.shelf.lines.clear();
        trial.replace("a");
        let jobs = trial.see();
        assert_eq!((jobs.len(), trial.offered()), (1, 1));
        assert!(trial.shelf.lines[0].contains("a: has changed") && trial.shelf.lines.len() == 1);
        trial.judge(&jobs[0], None);
        assert_eq!(trial.offered(), 2);
        assert!(trial.shelf.lines[1].contains("the old one stays in service"));
        // What is replaced while it loads is not waited for, and not offered.
        trial.replace("a");
        let first = trial.see();
        trial.replace("a");
        let second = trial.see();
        trial.judge(&first[0], Some(7));
        assert_eq!(trial.offered(), 1);
        trial.judge(&second[0], Some(8));
        assert_eq!(trial.offered(), 2);
    }

    #[test]
    fn a_bad_file_that_is_being_written_is_judged_again_when_it_rests() {
        let mut trial = Trial::new(&["a"]);
        let jobs = trial.see();
        trial.judge(&jobs[0], None);
        for size in 1..5 {
            fs::write(trial.path("a"), vec![0; 100 * size]).unwrap();
            trial.now += Shelf::REST / 2;
            assert!(trial.see().is_empty(), "it still grows");
        }
        assert!(trial.shelf.next_rested().is_some());
        trial.now += Shelf::REST;
        let jobs = trial.see();
        trial.judge(&jobs[0], Some(1));
        assert!(trial.offered() == 1 && trial.shelf.next_rested().is_none());
    }

    #[test]
    fn a_file_that_is_gone_is_not_offered_and_said_once() {
        let mut trial = Trial::new(&["a", "b"]);
        for (job, fill) in trial.see().iter().zip(1..) {
            trial.judge(job, Some(fill));
        }
        trial.shelf.lines.clear();
        fs::remove_file(trial.path("a")).unwrap();
        trial.see();
        trial.see();
        assert!(trial.offered() == 1 && trial.shelf.lines.len() == 1);
        assert!(trial.shelf.lines[0].contains("a: the file is gone"));
    }

    #[test]
    fn where_nothing_is_good_at_the_start_the_reason_is_told() {
        let mut trial = Trial::new(&["a"]);
        let jobs = trial.see();
        trial.judge(&jobs[0], None);
        let fault = trial.shelf.fault_of_start().unwrap().to_string();
        assert!(fault.contains("no image in this folder"), "{fault}");
        let missing = PathBuf::from("/missing.img");
        let mut shelf = Shelf::new(vec![missing.clone()]);
        shelf.see(0, look(&missing), false, trial.now);
        let fault = shelf.fault_of_start().unwrap().to_string();
        assert!(fault.starts_with("/missing.img: No such file"), "{fault}");
        assert!(shelf.lines.is_empty());
    }
}
