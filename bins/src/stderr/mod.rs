//! Lines on stderr, which can't end a tool, nor delay it once a separate thread writes them.

mod footer;
pub mod record;
mod style;

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crossbeam::channel;

use self::footer::Footer;
use self::record::Level;
pub use self::style::Style;
use crate::patient::Patient;
use crate::queue::{self, Receiver, Sender};
use crate::shown::Shown;

/// Writes a line to stderr like `eprintln!`, but escapes what would act on a terminal, and does not
/// panic if stderr fails.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { $crate::stderr::line(::std::format_args!($($text)*)) };
}

static QUEUE: OnceLock<Queue> = OnceLock::new();

/// The most lines that wait to be written: a burst of several seconds, in some 100 KiB.
const CAPACITY: usize = 1024;

/// How long [`finish`] waits for a reader.
const PATIENCE: Duration = Duration::from_millis(300);

/// Writes a line, or queues it; see [`say!`].
pub fn line(text: fmt::Arguments<'_>) {
    match QUEUE.get() {
        Some(queue) => {
            let text = text.to_string();
            queue.put(queue.style.line(SystemTime::now(), Level::Info, &text));
        }
        // There is nowhere to report that stderr has failed.
        None => drop(Stderr.write_all(format!("{}\n", Shown(text)).as_bytes())),
    }
}

/// Queues a line of `level` in the style that was set. Writes it if no thread does.
pub(crate) fn graded(level: Level, text: &str) {
    match QUEUE.get() {
        Some(queue) => queue.put(queue.style.line(SystemTime::now(), level, text)),
        None => line(format_args!("{text}")),
    }
}

/// Queues a complete line, which has its style already. Nothing is written if no thread writes.
pub(crate) fn whole(line: String) {
    if let Some(queue) = QUEUE.get() {
        queue.put(line);
    }
}

/// From now on these lines stand below all others, on a terminal. If the queue is full, the
/// previous ones stay.
pub(crate) fn footer(lines: Vec<String>) {
    if let Some(queue) = QUEUE.get() {
        let _ = queue.items.try_send(Item::Footer(lines));
    }
}

/// From now on a thread writes all lines of this process, which is `tool`. Lines that it can't
/// write in time are dropped, and counted in a line once one can be written.
///
/// # Errors
///
/// If the thread can't be started.
pub fn write_beside(tool: &'static str, style: Style) -> io::Result<()> {
    hold(tool, style).start()
}

/// From now on all lines of this process, which is `tool`, wait until [`Held::start`] is called.
pub fn hold(tool: &'static str, style: Style) -> Held {
    let (queue, writer) = queue(tool, style, CAPACITY, Stderr);
    Held(QUEUE.set(queue).is_ok().then_some(writer))
}

/// Lines that wait to be written.
#[must_use = "they are not written before they are started"]
pub struct Held(Option<Writer<Stderr>>);

impl Held {
    /// Has a thread write them, and all that follow.
    ///
    /// # Errors
    ///
    /// If the thread can't be started.
    pub fn start(self) -> io::Result<()> {
        if let Some(writer) = self.0 {
            thread::Builder::new().name("stderr".to_owned()).spawn(move || writer.run())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

/// Waits until all lines are written, but only for a moment: what has not been read by then is
/// lost.
pub fn finish() {
    if let Some(queue) = QUEUE.get() {
        queue.finish(PATIENCE);
    }
}

enum Item {
    Line {
        text: String,
        /// Lines dropped before this one.
        lost: u64,
    },
    /// The lines below all others from now on.
    Footer(Vec<String>),
    /// All before it have been written when this is dropped.
    End(channel::Sender<()>),
}

/// The end that lines are put in.
struct Queue {
    style: Style,
    items: Sender<Item>,
    lost: Arc<AtomicU64>,
}

/// The end that writes them.
struct Writer<W> {
    tool: &'static str,
    style: Style,
    footer: Footer,
    items: Receiver<Item>,
    lost: Arc<AtomicU64>,
    /// Lines lost since the last report.
    untold: u64,
    out: W,
}

fn queue<W>(tool: &'static str, style: Style, capacity: usize, out: W) -> (Queue, Writer<W>) {
    let (sender, items) = queue::queue(capacity);
    let lost = Arc::new(AtomicU64::new(0));
    let queue = Queue { style, items: sender, lost: Arc::clone(&lost) };
    let footer = Footer::default();
    (queue, Writer { tool, style, footer, items, lost, untold: 0, out })
}

impl Queue {
    fn put(&self, text: String) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if self.items.try_send(Item::Line { text, lost }).is_err() {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }

    fn finish(&self, patience: Duration) {
        let end = Instant::now() + patience;
        let (done, is_done) = channel::bounded(0);
        if self.items.send_beyond(Item::End(done)).is_ok() {
            let _ = is_done.recv_deadline(end);
        }
    }
}

impl<W: Write> Writer<W> {
    fn run(mut self) {
        while let Ok(item) = self.items.recv() {
            let done = match item {
                Item::Line { text, lost } => {
                    self.untold += lost;
                    self.write(&text, 1);
                    None
                }
                Item::Footer(lines) => {
                    let text = self.footer.replace(lines);
                    // If this fails, it is drawn again in a moment.
                    let _ = self.out.write_all(text.as_bytes());
                    None
                }
                Item::End(done) => Some(done),
            };
            if self.items.is_empty() {
                self.tell_lost();
            }
            drop(done);
        }
    }

    /// Reports what has been lost since the last line.
    fn tell_lost(&mut self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.untold += lost;
            self.write("", 0);
        }
    }

    /// Writes `text`, and before it what was lost.
    fn write(&mut self, text: &str, lines: u64) {
        let mut whole = self.footer.clear();
        if self.untold > 0 {
            let lost = format!("{}: {} lines lost", self.tool, self.untold);
            whole += &self.style.line(SystemTime::now(), Level::Warn, &lost);
        }
        whole += text;
        whole += &self.footer.draw();
        match self.out.write_all(whole.as_bytes()) {
            Ok(()) => self.untold = 0,
            Err(_) => self.untold += lines,
        }
    }
}

/// The process's stderr; waits for it even if another process has made it non-blocking.
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Patient(io::stderr().lock()).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::in_time::in_time;

    /// A stderr that takes what it is given, or fails.
    #[derive(Clone, Default)]
    struct Terminal(Arc<Mutex<(String, bool)>>);

    impl Terminal {
        fn fail(&self, fails: bool) {
            self.0.lock().unwrap().1 = fails;
        }

        fn text(&self) -> String {
            self.0.lock().unwrap().0.clone()
        }
    }

    impl Write for Terminal {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut state = self.0.lock().unwrap();
            if state.1 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.0 += std::str::from_utf8(bytes).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn put(queue: &Queue, lines: std::ops::Range<u32>) {
        lines.for_each(|line| queue.put(format!("{line}\n")));
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_where_it_is_missing() {
        let terminal = Terminal::default();
        let (queue, writer) = queue("tool", Style::Plain, 3, terminal.clone());
        let writer = in_time(move || {
            put(&queue, 0..8);
            let first = writer.items.recv().unwrap();
            put(&queue, 8..9);
            drop(first);
            writer
        });
        writer.run();
        assert_eq!(terminal.text(), "1\n2\ntool: 5 lines lost\n8\n");
    }

    #[test]
    fn the_count_comes_also_if_no_line_follows() {
        let terminal = Terminal::default();
        let (queue, writer) = queue("tool", Style::Plain, 2, terminal.clone());
        put(&queue, 0..5);
        drop(queue);
        writer.run();
        assert_eq!(terminal.text(), "0\n1\ntool: 3 lines lost\n");
    }

    #[test]
    fn a_failed_write_ends_nothing_and_is_counted() {
        let terminal = Terminal::default();
        let (queue, writer) = queue("tool", Style::Plain, 16, terminal.clone());
        terminal.fail(true);
        let writing = thread::spawn(|| writer.run());
        put(&queue, 0..3);
        queue.finish(Duration::from_mins(1));
        terminal.fail(false);
        put(&queue, 3..4);
        drop(queue);
        writing.join().unwrap();
        assert_eq!(terminal.text(), "tool: 3 lines lost\n3\n");
    }

    #[test]
    fn the_end_waits_for_the_lines_and_not_for_a_reader_that_stalls() {
        let terminal = Terminal::default();
        let (queue, writer) = queue("tool", Style::Plain, 16, terminal.clone());
        put(&queue, 0..2);
        // No thread writes yet.
        queue.finish(Duration::from_millis(1));
        assert_eq!(terminal.text(), "");
        let writing = thread::spawn(|| writer.run());
        queue.finish(Duration::from_mins(1));
        assert_eq!(terminal.text(), "0\n1\n");
        drop(queue);
        writing.join().unwrap();
    }
}
