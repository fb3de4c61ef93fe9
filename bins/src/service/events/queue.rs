//! The queue of events, and its sending ends, which never wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant as SystemInstant, SystemTime};

use boot_format::wire::MacAddr;
use boot_netboot::server::{Event as SledEvent, GroupEvent};
use boot_netboot::time::Instant;
use crossbeam::channel;

use crate::queue::{self, Receiver, Sender};

use super::{Event, LinkEvent, Subject, What};

/// The most events that wait: twice the events of a boot of every sled that has a session. The
/// thread takes them within milliseconds, unless the machine is overloaded.
const CAPACITY: usize = 2048;

/// How much of the queue may be filled by events that any station can cause with a single frame.
/// The rest is for boots, links and images.
const CHEAP: usize = CAPACITY / 2;

pub(super) enum Item {
    Event(Event),
    /// All before it have been dealt with when this is dropped.
    End(channel::Sender<()>),
}

/// A sending end, with which anything can be reported.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    items: Sender<Item>,
    lost: Arc<AtomicU64>,
    standings: bool,
}

/// The two ends of a queue. `standings` is whether the state of the workers is wanted.
pub(super) fn queue(standings: bool) -> (Events, Receiver<Item>) {
    let (items, events) = queue::queue(CAPACITY);
    (Events { items, lost: Arc::default(), standings }, events)
}

/// The two ends of a queue, for tests.
#[cfg(test)]
pub(crate) fn heard() -> (Events, impl Fn() -> Vec<Event>) {
    let (events, items) = queue(true);
    let told = move || {
        let event = |item| match item {
            Item::Event(event) => Some(event),
            Item::End(_) => None,
        };
        items.try_iter().filter_map(event).collect()
    };
    (events, told)
}

impl Events {
    /// How long [`Events::finish`] waits.
    const PATIENCE: Duration = Duration::from_millis(300);

    /// Reports `what`, which happens now.
    pub(crate) fn tell(&self, what: What) {
        self.put(Event::now(what));
    }

    /// Reports what happens to a link.
    pub(crate) fn of_link(&self, link: &str, event: LinkEvent) {
        self.put(Event { link: Some(link.into()), ..Event::now(What::Link(event)) });
    }

    pub(crate) fn put(&self, event: Event) {
        if self.items.try_send(Item::Event(event)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many events did not fit since the last call.
    pub(super) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    /// Whether [`What::Standing`] is of use.
    pub(crate) fn wants_standings(&self) -> bool {
        self.standings
    }

    /// A queue without a receiver.
    #[cfg(test)]
    pub(crate) fn unheard() -> Self {
        queue(false).0
    }

    /// Waits until all reported events have been dealt with, but only for a moment.
    pub(crate) fn finish(&self) {
        let end = SystemInstant::now() + Self::PATIENCE;
        let (done, is_done) = channel::bounded(0);
        if self.items.send_beyond(Item::End(done)).is_ok() {
            let _ = is_done.recv_deadline(end);
        }
    }
}

/// Where one worker reports what happens on its link.
#[derive(Debug)]
pub(crate) struct Outbox {
    events: Events,
    link: Arc<str>,
    /// When the second in which events are counted began.
    second: Instant,
    subjects: [Told; Subject::ALL.len()],
}

/// Events about one subject in the last second, and those left out of it.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    told: u32,
    left_out: u64,
}

impl Outbox {
    const SECOND: Duration = Duration::from_secs(1);
    /// As many as there are sessions: each sled of a full rack is reported, and a flood of invented
    /// ones costs the other threads little.
    const MOST: u32 = 1024;

    pub(crate) fn new(events: Events, link: &str) -> Self {
        let subjects = [Told::default(); Subject::ALL.len()];
        Self { events, link: link.into(), second: Instant::ZERO, subjects }
    }

    /// Reports what happened to a sled.
    pub(crate) fn sled(&mut self, now: Instant, event: &SledEvent) {
        self.tell_left_out(now);
        let subject = Subject::of(&event.kind);
        let told = &mut self.subjects[subject as usize];
        let is_cheap = subject != Subject::Boot;
        if is_cheap && (told.told >= Self::MOST || self.events.items.len() >= CHEAP) {
            told.left_out += 1;
            return;
        }
        told.told += 1;
        self.put(Some(event.sled), What::Sled(event.kind));
    }

    /// Reports what happens to sleds that boot in step.
    pub(crate) fn group(&self, event: GroupEvent) {
        let sled = match &event {
            GroupEvent::Left { sled, .. } | GroupEvent::CaughtUp { sled, .. } => Some(*sled),
            _ => None,
        };
        self.put(sled, What::Group(event));
    }

    /// Reports what happens to the link.
    pub(crate) fn link(&self, event: LinkEvent) {
        self.put(None, What::Link(event));
    }

    /// Reports anything else about the link.
    pub(crate) fn put(&self, sled: Option<MacAddr>, what: What) {
        let link = Some(Arc::clone(&self.link));
        self.events.put(Event { time: SystemTime::now(), link, sled, name: None, what });
    }

    /// Reports how many events were left out, once a second at most.
    pub(crate) fn tell_left_out(&mut self, now: Instant) {
        if now.since(self.second) < Self::SECOND {
            return;
        }
        self.second = now;
        let last = std::mem::take(&mut self.subjects);
        for (subject, told) in Subject::ALL.into_iter().zip(last) {
            if told.left_out > 0 {
                self.put(None, What::LeftOut(subject, told.left_out));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use boot_netboot::server::EventKind;

    use super::*;
    use crate::in_time::in_time;

    fn sled(number: u32, kind: EventKind) -> SledEvent {
        let [_, a, b, c] = number.to_be_bytes();
        SledEvent { sled: MacAddr::new([2, 0, 0, a, b, c]), kind }
    }

    const HELLO: EventKind = EventKind::Hello { again: false };

    fn events(items: &Receiver<Item>) -> Vec<What> {
        let event = |item| match item {
            Item::Event(event) => Some(event.what),
            Item::End(_) => None,
        };
        items.try_iter().filter_map(event).collect()
    }

    #[test]
    fn a_flood_of_one_kind_is_cut_short_and_counted() {
        let (events_in, items) = queue(false);
        let mut outbox = Outbox::new(events_in, "net0");
        let now = Instant::ZERO + Duration::from_secs(5);
        (0..5000).for_each(|number| outbox.sled(now, &sled(number, HELLO)));
        outbox.sled(now, &sled(7, EventKind::Started { size: 1 }));
        outbox.tell_left_out(now + Duration::from_millis(999));
        assert_eq!(events(&items).len(), 1025);
        outbox.tell_left_out(now + Duration::from_secs(1));
        let told = events(&items);
        assert!(matches!(told[..], [What::LeftOut(Subject::Hello, 3976)]), "{told:?}");
    }

    #[test]
    fn a_queue_full_of_hellos_has_room_for_boots_and_nobody_waits() {
        in_time(|| {
            let (events_in, items) = queue(false);
            let mut outbox = Outbox::new(events_in.clone(), "net0");
            for second in 1..10 {
                let now = Instant::ZERO + Duration::from_secs(second);
                (0..1024).for_each(|number| outbox.sled(now, &sled(number, HELLO)));
            }
            let now = Instant::ZERO + Duration::from_secs(10);
            (0..9000).for_each(|number| outbox.sled(now, &sled(number, EventKind::Evicted)));
            let before = items.len();
            assert!((CHEAP..CHEAP + 20).contains(&before), "{before}");
            outbox.sled(now, &sled(7, EventKind::Started { size: 1 }));
            assert_eq!(items.len(), before + 1);
            (0..9000)
                .for_each(|number| outbox.sled(now, &sled(number, EventKind::Started { size: 1 })));
            assert_eq!(items.len(), CAPACITY);
            assert_eq!(events_in.take_lost(), 9000 - (CAPACITY - before - 1) as u64);
            assert_eq!(events_in.take_lost(), 0);
        });
    }

    #[test]
    fn the_end_is_not_waited_for_without_end() {
        let (events, items) = queue(false);
        events.tell(What::Serving("every sled".to_owned()));
        events.finish();
        assert_eq!(items.len(), 2);
    }
}
