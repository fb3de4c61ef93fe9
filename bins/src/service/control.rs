//! Assigning images to sleds while serving, as clients of the status service ask.
//!
//! A thread of its own does it: that of the status service has the lowest priority, and must not
//! hold locks that workers wait for.

use std::fmt;
use std::sync::{Arc, Weak};
use std::thread;

use boot_backends::system_name;
use boot_netboot::server::Serve;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::events::{Event, What};
use super::orders::{Ordered, Orders, Wanted};
use super::sled_at::SledAt;
use super::{Shared, link_names};
use crate::queue::{self, Receiver, Sender};

/// What is to be assigned.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    /// `MAC`, `LINK/MAC`, or a name.
    pub(crate) sled: String,
    /// The path of an image in service, its URL, or the checksum of its contents; null leaves the
    /// sled to the configuration again. It can't be left out.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) image: Option<String>,
    /// Whether the sled is to boot it once, and then as before.
    #[serde(default)]
    pub(crate) once: bool,
}

/// The process that asked, as the system reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) uid: u32,
    pub(crate) pid: Option<i32>,
}

/// What was assigned, and by whom.
#[derive(Clone, Debug)]
pub(crate) struct Assigned {
    /// `None` if the configuration decides again.
    pub(crate) image: Option<String>,
    pub(crate) once: bool,
    pub(crate) by: Asker,
}

impl fmt::Display for Assigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.image, self.once) {
            (Some(image), true) => write!(f, "assigned {image} once")?,
            (Some(image), false) => write!(f, "assigned {image}")?,
            (None, _) => write!(f, "left to the configuration again")?,
        }
        write!(f, ", as user {} asked", self.by.uid)?;
        match self.by.pid {
            Some(pid) => write!(f, " (process {pid})"),
            None => Ok(()),
        }
    }
}

/// Why something is not assigned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// There is no such sled or image.
    #[error("{0}")]
    Unknown(String),
    /// It makes no sense.
    #[error("{0}")]
    Senseless(String),
}

/// What is assigned to a sled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct AssignmentView {
    /// `None` stands for every link.
    pub(crate) link: Option<String>,
    pub(crate) sled: String,
    pub(crate) name: Option<String>,
    /// For good.
    pub(crate) image: Option<String>,
    /// Before that.
    pub(crate) once: Option<String>,
    /// Whether what the sled is to boot next is in service.
    pub(crate) in_service: bool,
}

/// All that is assigned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct AssignmentsView {
    pub(crate) assignments: Vec<AssignmentView>,
    /// Whether it outlives the server.
    pub(crate) kept: bool,
}

/// A message to the thread.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Assign this.
    Assign(Order, Asker, oneshot::Sender<Result<AssignmentsView, Refusal>>),
    /// List what is assigned.
    List(oneshot::Sender<AssignmentsView>),
}

/// The status service's end of the queue to the thread.
#[derive(Clone, Debug)]
pub(crate) struct Control(Sender<Ask>);

impl Control {
    /// Requests that can wait: people send no more at a time.
    const MOST: usize = 16;

    /// The two ends of the queue.
    pub(crate) fn new() -> (Self, Receiver<Ask>) {
        let (asks, asked) = queue::queue(Self::MOST);
        (Self(asks), asked)
    }

    /// Has `order` carried out. `None` if the queue is full or the thread has ended.
    pub(crate) async fn assign(
        &self,
        order: Order,
        by: Asker,
    ) -> Option<Result<AssignmentsView, Refusal>> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Ask::Assign(order, by, answer)).ok()?;
        answered.await.ok()
    }

    /// What is assigned. `None` if the queue is full or the thread has ended.
    pub(crate) async fn list(&self) -> Option<AssignmentsView> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Ask::List(answer)).ok()?;
        answered.await.ok()
    }
}

/// Starts the thread that does what is asked.
///
/// # Errors
///
/// If the system refuses it.
pub(super) fn start(asked: Receiver<Ask>, shared: &Arc<Shared>) -> std::io::Result<()> {
    let shared: Weak<Shared> = Arc::downgrade(shared);
    thread::Builder::new().name("control".to_owned()).spawn(move || {
        while let Ok(ask) = asked.recv() {
            let Some(shared) = shared.upgrade() else { return };
            // A client that has gone away misses the answer; what was asked is done all the same.
            match ask {
                Ask::Assign(order, by, answer) => drop(answer.send(shared.carry_out(&order, by))),
                Ask::List(answer) => drop(answer.send(shared.assignments())),
            }
        }
    })?;
    Ok(())
}

impl Shared {
    fn carry_out(&self, order: &Order, by: Asker) -> Result<AssignmentsView, Refusal> {
        let sled = self.ordered_sled(&order.sled)?;
        let image = order.image.as_deref().map(|image| self.ordered_image(image)).transpose()?;
        let assigned = Assigned { image: order.image.clone(), once: order.once, by };
        self.plan.order(|orders| change(orders, sled.clone(), image, order.once))?;
        self.keep_plan();
        self.events.put(Event {
            link: sled.link.as_deref().map(|link| self.given_name(link).into()),
            sled: Some(sled.address),
            ..Event::now(What::Assigned(Box::new(assigned)))
        });
        Ok(self.assignments())
    }

    /// The sled named `text`, on a link as the system called it at the start.
    fn ordered_sled(&self, text: &str) -> Result<SledAt, Refusal> {
        let plan = self.plan.plan();
        let sled = if let Ok(SledAt { link, address }) = text.parse() {
            let link = link.map(|link| {
                let system = link_names::served(&link, &self.names, system_name);
                system.ok_or_else(|| Refusal::Unknown(format!("{link} is not served")))
            });
            SledAt { link: link.transpose()?, address }
        } else {
            let mut called = plan.names().filter(|(_, name)| **name == *text);
            let Some((sled, _)) = called.next() else {
                let wanted = "expected MAC, LINK/MAC, or a name of the configuration";
                return Err(Refusal::Unknown(format!("{text:?}: no such sled; {wanted}")));
            };
            if called.next().is_some() {
                let why = format!("several links have a sled named {text}: use LINK/MAC");
                return Err(Refusal::Senseless(why));
            }
            sled
        };
        match &plan.serve {
            Serve::These(sleds) if !sleds.contains(&sled.address) => {
                Err(Refusal::Senseless(format!("{sled} is not among the sleds that are served")))
            }
            _ => Ok(sled),
        }
    }

    /// The image in service that `text` names.
    fn ordered_image(&self, text: &str) -> Result<Wanted, Refusal> {
        let Ok(mut wanted) = text.parse();
        if let (Wanted::Path(path), Some(fetcher)) = (&mut wanted, self.fetcher.get()) {
            *path = fetcher.place(path);
        }
        if wanted.is_in(&self.store.service()) {
            return Ok(wanted);
        }
        let wanted = "expected its path or checksum, as /api/v1/images has them";
        Err(Refusal::Unknown(format!("{text:?}: no such image is in service; {wanted}")))
    }

    fn assignments(&self) -> AssignmentsView {
        let service = self.store.service();
        let view = |(sled, Ordered { image, once }): (&SledAt, &Ordered)| {
            let link = sled.link.as_deref().map(|link| self.given_name(link));
            let next = once.as_ref().or(image.as_ref());
            AssignmentView {
                name: self.sled_names.of(link, sled.address).map(|name| name.to_string()),
                link: link.map(str::to_owned),
                sled: sled.address.to_string(),
                image: image.as_ref().map(Wanted::to_string),
                once: once.as_ref().map(Wanted::to_string),
                in_service: next.is_some_and(|image| image.is_in(&service)),
            }
        };
        let assignments = self.plan.orders().iter().map(view).collect();
        AssignmentsView { assignments, kept: self.learnt.is_kept() }
    }
}

/// Orders `image` for `sled`.
fn change(
    orders: &mut Orders,
    sled: SledAt,
    image: Option<Wanted>,
    once: bool,
) -> Result<(), Refusal> {
    if image.is_some() && !orders.has_room_for(&sled) {
        let most = Orders::MOST;
        return Err(Refusal::Senseless(format!("{most} sleds are assigned images already")));
    }
    match (image, once) {
        (Some(image), true) => orders.set_once(sled, image),
        (Some(image), false) => orders.set(sled, image),
        (None, true) => {
            return Err(Refusal::Senseless("`once` needs an image".to_owned()));
        }
        (None, false) => {
            if !orders.withdraw(&sled) {
                return Err(Refusal::Unknown(format!("{sled} is assigned nothing")));
            }
        }
    }
    Ok(())
}
