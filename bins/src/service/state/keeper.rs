//! The thread that writes what workers have learnt, so that none of them waits for a disk.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use boot_format::Checksum;
use crossbeam::channel::{self, RecvTimeoutError};

use super::{Memory, shown, write};
use crate::queue::{self, Receiver, Sender};
use crate::service::events::{Events, What};
use crate::service::plan::Kept;
use crate::service::sled_at::SledAt;
use crate::stderr::record::Level;

/// Where workers report what they have learnt.
#[derive(Clone, Debug)]
pub(crate) struct Learnt(Option<Sender<Note>>);

/// A message to the keeper.
#[derive(Debug)]
enum Note {
    /// A sled took an image.
    Took(SledAt, Checksum),
    /// All that is kept of the plan.
    Kept(Kept),
    /// Nothing more is coming.
    End,
}

impl Learnt {
    /// Messages that can wait: a boot of every sled that is kept.
    const MOST: usize = Memory::MOST;

    /// Has the keeper write that `sled` took `image`. This never waits.
    pub(crate) fn tell(&self, sled: SledAt, image: Checksum) {
        if let Some(sender) = &self.0 {
            // Lost if the disk has not answered for thousands of boots.
            let _ = sender.try_send(Note::Took(sled, image));
        }
    }

    /// Has the keeper write what has been booted once, and what is ordered. This never waits.
    pub(crate) fn tell_kept(&self, kept: Kept) {
        if let Some(sender) = &self.0 {
            let _ = sender.try_send(Note::Kept(kept));
        }
    }

    /// Whether anything is kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.0.is_some()
    }
}

/// The thread that writes the file.
#[derive(Debug)]
pub(crate) struct Keeper {
    shown: String,
    notes: Option<Sender<Note>>,
    result: channel::Receiver<anyhow::Result<()>>,
}

impl Keeper {
    /// From learning something to writing it: what is learnt meanwhile is written with it.
    const DELAY: Duration = Duration::from_millis(500);
    /// When writing has failed it is tried again.
    const AGAIN: Duration = Duration::from_secs(10);
    /// How long the server's end waits for a disk that does not answer.
    const PATIENCE: Duration = Duration::from_millis(800);

    /// Begins to keep the file at `path`, which holds `memory`; without one nothing is kept.
    ///
    /// # Errors
    ///
    /// If the system refuses the thread.
    pub(crate) fn start(
        path: Option<PathBuf>,
        memory: Memory,
        events: &Events,
    ) -> anyhow::Result<(Learnt, Self)> {
        match path {
            None => {
                let (done, result) = channel::unbounded();
                let _ = done.send(Ok(()));
                Ok((Learnt(None), Self { shown: String::new(), notes: None, result }))
            }
            Some(path) => {
                let shown = shown(&path);
                let events = events.clone();
                let report = move |text| events.tell(What::Notice(Level::Warn, text));
                Self::start_with(shown, memory, report, move |memory| write(&path, memory))
            }
        }
    }

    fn start_with(
        shown: String,
        memory: Memory,
        report: impl Fn(String) + Send + 'static,
        write: impl FnMut(&Memory) -> anyhow::Result<()> + Send + 'static,
    ) -> anyhow::Result<(Learnt, Self)> {
        let (done, result) = channel::unbounded();
        let (sender, learnt) = queue::queue(Learnt::MOST);
        thread::Builder::new().name("state".to_owned()).spawn(move || {
            let _ = done.send(keep(report, write, memory, &learnt));
        })?;
        Ok((Learnt(Some(sender.clone())), Self { shown, notes: Some(sender), result }))
    }

    /// Waits a moment until everything reported is written.
    ///
    /// # Errors
    ///
    /// If the last of it could not be written, or not in time.
    pub(crate) fn end(self) -> anyhow::Result<()> {
        let until = Instant::now() + Self::PATIENCE;
        if let Some(notes) = self.notes {
            let _ = notes.send_beyond(Note::End);
        }
        self.result.recv_deadline(until).unwrap_or_else(|_| {
            Err(anyhow!("{}: the disk does not answer: the last boots are not in it", self.shown))
        })
    }
}

/// Writes what is `learnt` with `write`, until the end.
fn keep(
    report: impl Fn(String),
    mut write: impl FnMut(&Memory) -> anyhow::Result<()>,
    mut memory: Memory,
    learnt: &Receiver<Note>,
) -> anyhow::Result<()> {
    let mut due: Option<Instant> = None;
    let mut told = String::new();
    loop {
        let news = match due {
            None => learnt.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => learnt.recv_deadline(due),
        };
        match news {
            Ok(Note::Took(sled, image)) => memory.learn(sled, image),
            Ok(Note::Kept(kept)) => memory.set_kept(kept),
            Ok(Note::End) | Err(RecvTimeoutError::Disconnected) => {
                return if due.is_some() { write(&memory) } else { Ok(()) };
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if *due.get_or_insert(Instant::now() + Keeper::DELAY) > Instant::now() {
            continue;
        }
        due = match write(&memory) {
            Ok(()) => {
                told.clear();
                None
            }
            Err(error) => {
                let error = format!("{error:#}");
                // A full disk is reported once, not every ten seconds.
                if error != told {
                    report(format!("{error}: trying again every {} s", Keeper::AGAIN.as_secs()));
                    told = error;
                }
                Some(Instant::now() + Keeper::AGAIN)
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use boot_format::wire::MacAddr;

    use super::super::open;
    use super::*;
    use crate::in_time::in_time;
    use crate::service::orders::Wanted;

    const IMAGE: Checksum = Checksum::from_bytes([7; 32]);

    fn sled(link: Option<&str>) -> SledAt {
        SledAt { link: link.map(str::to_owned), address: MacAddr::new([2, 0, 0, 0, 0, 1]) }
    }

    #[test]
    fn what_is_learnt_is_written_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let known = open(&path).unwrap();
        let (learnt, keeper) =
            Keeper::start(Some(path.clone()), known, &Events::unheard()).unwrap();
        for link in [Some("net1"), Some("net0")] {
            learnt.tell(sled(link), IMAGE);
        }
        let mut kept =
            Kept { spent: [(sled(Some("net0")), "a \"b\n".into())].into(), ..Kept::default() };
        kept.orders.set(sled(None), Wanted::Contents(IMAGE));
        kept.orders.set_once(sled(None), Wanted::Path("a \"b\n".into()));
        kept.orders.set_once(sled(Some("net 1")), Wanted::Contents(IMAGE));
        learnt.tell_kept(kept.clone());
        keeper.end().unwrap();
        let memory = open(&path).unwrap();
        let found: Vec<_> = memory.iter().map(|(sled, _)| sled.link.as_deref()).collect();
        assert_eq!(found, [Some("net1"), Some("net0")]);
        assert_eq!(*memory.kept(), kept);
    }

    #[test]
    fn it_is_written_while_the_server_goes_on() {
        let (wrote, written) = channel::unbounded();
        let write = move |memory: &Memory| Ok(wrote.send(memory.clone())?);
        let (learnt, _keeper) =
            Keeper::start_with(String::new(), Memory::default(), drop, write).unwrap();
        learnt.tell(sled(None), IMAGE);
        let memory = written.recv_timeout(Duration::from_mins(1)).unwrap();
        assert!(memory.iter().eq([(&sled(None), IMAGE)]));
    }

    #[test]
    fn a_disk_that_does_not_answer_holds_up_neither_workers_nor_the_end() {
        let (let_go, hangs) = channel::bounded::<()>(0);
        let (began, has_begun) = channel::bounded(1);
        let write = move |_: &Memory| {
            let _ = began.send(());
            let _ = hangs.recv();
            Ok(())
        };
        let (learnt, keeper) =
            Keeper::start_with("--state x".to_owned(), Memory::default(), drop, write).unwrap();
        learnt.tell(sled(None), IMAGE);
        has_begun.recv_timeout(Duration::from_mins(1)).unwrap();
        in_time(move || {
            for _ in 0..2 * Learnt::MOST {
                learnt.tell(sled(None), IMAGE);
                learnt.tell_kept(Kept::default());
            }
        });
        let error = keeper.end().unwrap_err().to_string();
        assert!(error.starts_with("--state x: the disk does not answer"), "{error}");
        drop(let_go);
    }

    #[test]
    fn what_failed_is_tried_again_at_the_end() {
        let mut fails = true;
        let (wrote, written) = channel::unbounded();
        let write = move |memory: &Memory| {
            wrote.send(memory.iter().count())?;
            if std::mem::take(&mut fails) { Err(anyhow!("full")) } else { Ok(()) }
        };
        let (learnt, keeper) =
            Keeper::start_with(String::new(), Memory::default(), drop, write).unwrap();
        learnt.tell(sled(None), IMAGE);
        assert_eq!(written.recv_timeout(Duration::from_mins(1)).unwrap(), 1);
        keeper.end().unwrap();
        assert_eq!(written.iter().collect::<Vec<_>>(), [1]);
    }
}
