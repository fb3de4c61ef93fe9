//! The thread that all events go to, and from there to all consumers.

use std::io;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::RecvTimeoutError;

use super::queue::{Item, queue};
use super::{Event, Events, Journal, Names, What, record, text};
use crate::queue::Receiver;
use crate::service::display::Display;
use crate::service::hooks::Hooks;
use crate::service::lock;
use crate::service::metrics::Metrics;
use crate::service::rack::Rack;
use crate::stderr::{self, Style};

/// The consumers of events.
#[derive(Debug)]
pub(crate) struct Consumers {
    pub(crate) journal: Journal,
    pub(crate) style: Style,
    /// Whether there are several links, so that a line has to say which one it means.
    pub(crate) several: bool,
    pub(crate) names: Names,
    pub(crate) rack: Arc<Mutex<Rack>>,
    pub(crate) metrics: Metrics,
    pub(crate) hooks: Hooks,
    pub(crate) display: Option<Display>,
    /// Whether the rack is watched while it is served.
    pub(crate) is_watched: bool,
}

/// The thread's own.
pub(crate) struct Feed {
    to: Consumers,
    items: Receiver<Item>,
    /// Where commands report their output, and losses are counted.
    events: Events,
    drawn: Instant,
}

impl Feed {
    /// How often the display is drawn at most: no one reads faster.
    const DRAW_EVERY: Duration = Duration::from_millis(250);

    /// Starts the thread, and returns where events are reported.
    ///
    /// # Errors
    ///
    /// If the system refuses it.
    pub(crate) fn start(to: Consumers) -> io::Result<Events> {
        let (events, items) = queue(to.is_watched || to.display.is_some());
        let feed = Self { to, items, events: events.clone(), drawn: Instant::now() };
        thread::Builder::new().name("events".to_owned()).spawn(move || feed.run())?;
        Ok(events)
    }

    fn run(mut self) {
        loop {
            let item = match self.due() {
                Some(due) => self.items.recv_deadline(due),
                None => self.items.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let now = Instant::now();
            match item {
                Ok(Item::Event(event)) => self.take(now, event),
                Ok(Item::End(done)) => {
                    self.tell_lost(now);
                    stderr::footer(Vec::new());
                    self.to.display = None;
                    drop(done);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.items.is_empty() {
                self.tell_lost(now);
            }
            for entry in self.to.journal.left_out(now) {
                self.write(&entry);
            }
            self.draw(now);
        }
    }

    /// When something is due even if nothing happens.
    fn due(&self) -> Option<Instant> {
        let drawn = self.to.display.as_ref().map(|_| self.drawn + Self::DRAW_EVERY);
        self.to.journal.due().into_iter().chain(drawn).min()
    }

    fn take(&mut self, now: Instant, mut event: Event) {
        if let Some(sled) = event.sled {
            event.name = self.to.names.of(event.link.as_deref(), sled);
        }
        {
            let mut rack = lock(&self.to.rack);
            rack.note(now, &event, &self.to.names);
            self.to.metrics.note(&event, &mut rack);
            self.to.hooks.note(&event, &rack, &self.events);
        }
        for entry in self.to.journal.take(now, &event) {
            self.write(&entry);
        }
    }

    fn tell_lost(&mut self, now: Instant) {
        let lost = self.events.take_lost();
        if lost > 0 {
            self.take(now, Event::now(What::Lost(lost)));
        }
    }

    fn write(&self, entry: &Event) {
        let Some(record) = record(entry) else { return };
        match self.to.style {
            Style::Json => stderr::whole(record.line()),
            style => {
                if let Some(text) = text::line(entry, self.to.several) {
                    stderr::whole(style.line(entry.time, entry.level(), &text));
                }
            }
        }
        if self.to.is_watched {
            lock(&self.to.rack).remember(record);
        }
    }

    fn draw(&mut self, now: Instant) {
        if let Some(display) = &self.to.display
            && now >= self.drawn + Self::DRAW_EVERY
        {
            self.drawn = now;
            stderr::footer(display.lines(&lock(&self.to.rack)));
        }
    }
}
