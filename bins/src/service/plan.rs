//! What can change while the server runs: which sleds are served, with what, and how fast.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use boot_backends::system_name;
use boot_format::Checksum;
use boot_format::wire::MacAddr;
use boot_netboot::server::Serve;

use super::link_names::{self, LinkName};
use super::lock;
use super::options::{ServeOptions, SledEntry};
use super::orders::{Orders, Spending};
use super::rates::Rates;
use super::sled_at::{self, SledAt};
use super::store::Service;

/// Images that sleds were to boot once, and have.
pub(crate) type Spent = BTreeSet<(SledAt, PathBuf)>;

/// What is kept with the state, since no configuration has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) spent: Spent,
    pub(crate) orders: Orders,
}

/// The plan that new boots follow.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) serve: Serve,
    /// Links go by what the system called them at the start.
    pub(crate) rates: Rates,
    pub(crate) timeout: Option<Duration>,
    /// Files and folders that every sled is offered images from.
    images: Vec<PathBuf>,
    /// Links have the names that the system used at the start.
    sleds: Vec<SledEntry>,
}

impl Plan {
    /// The plan of `options` for `links`.
    ///
    /// # Errors
    ///
    /// If a sled is said to be on another link, or is there twice; or if a link can't have its
    /// rate.
    pub(crate) fn new(options: &ServeOptions, links: &[LinkName]) -> anyhow::Result<Self> {
        let sleds = link_names::settle(&options.sleds, links, system_name)?;
        let workers = options.workers(links.len().max(1));
        let rates = options.rates.settle(links, workers, system_name)?;
        Ok(Self {
            serve: options.serve.clone(),
            rates,
            timeout: options.timeout,
            images: options.images.clone(),
            sleds,
        })
    }

    /// The files and folders that images come from, each of them once.
    pub(crate) fn places(&self) -> Vec<PathBuf> {
        let mut places = self.images.clone();
        for path in self.sleds.iter().flat_map(|entry| entry.image.iter().chain(&entry.once)) {
            if !places.contains(path) {
                places.push(path.clone());
            }
        }
        places
    }

    /// The names of sleds, each with the link that it is for.
    pub(crate) fn names(&self) -> impl Iterator<Item = (SledAt, Arc<str>)> {
        let named =
            |entry: &SledEntry| Some((entry.sled.clone(), Arc::clone(entry.name.as_ref()?)));
        self.sleds.iter().filter_map(named)
    }

    /// Which sleds are to boot what once, and have not yet.
    fn due<'a>(&'a self, spent: &Spent) -> impl Iterator<Item = (&'a SledAt, &'a Path)> {
        self.once().filter(|&(sled, path)| !spent.contains(&(sled.clone(), path.to_owned())))
    }

    fn once(&self) -> impl Iterator<Item = (&SledAt, &Path)> {
        self.sleds.iter().filter_map(|entry| Some((&entry.sled, entry.once.as_deref()?)))
    }

    /// What is different in `new`, each with its key.
    pub(crate) fn changes(&self, new: &Self) -> Vec<(String, String)> {
        let mut changes: Vec<(String, String)> = Vec::new();
        let mut tell = |key: &str, change: String| changes.push((key.to_owned(), change));
        let shown = |paths: &[PathBuf]| {
            paths.iter().map(|path| path.display().to_string()).collect::<BTreeSet<_>>()
        };
        let (before, after) = (shown(&self.images), shown(&new.images));
        after.difference(&before).for_each(|path| tell("images", format!("{path} is added")));
        before.difference(&after).for_each(|path| tell("images", format!("{path} is removed")));
        if before == after && self.images != new.images {
            tell("images", "their order has changed".to_owned());
        }
        if self.serve != new.serve {
            tell("serve", "other sleds are served".to_owned());
        }
        self.rates.changes(&new.rates).into_iter().for_each(|(key, change)| tell(&key, change));
        if self.timeout != new.timeout {
            let shown = new.timeout.map_or("none".to_owned(), |t| format!("{} s", t.as_secs_f64()));
            tell("timeout", format!("now {shown}"));
        }
        let entries = |plan: &Self| -> BTreeMap<SledAt, SledEntry> {
            plan.sleds.iter().map(|entry| (entry.sled.clone(), entry.clone())).collect()
        };
        let (before, after) = (entries(self), entries(new));
        for (sled, entry) in &after {
            let key = format!("sled {sled}");
            match before.get(sled) {
                None => tell(&key, format!("added{}", described(entry))),
                Some(old) if described(old) != described(entry) => {
                    tell(&key, format!("now{}", described(entry)));
                }
                Some(_) => {}
            }
        }
        let gone = before.keys().filter(|sled| !after.contains_key(sled));
        gone.for_each(|sled| tell(&format!("sled {sled}"), "removed".to_owned()));
        changes
    }
}

fn described(entry: &SledEntry) -> String {
    let mut parts = Vec::new();
    parts.extend(entry.name.as_ref().map(|name| format!(" named {name}")));
    parts.extend(entry.image.as_ref().map(|path| format!(" with {}", path.display())));
    parts.extend(entry.once.as_ref().map(|path| format!(" with {} once", path.display())));
    if parts.is_empty() { " without an image of its own".to_owned() } else { parts.join(",") }
}

/// The plan in force, which all workers look at.
#[derive(Debug)]
pub(crate) struct InForce {
    state: Mutex<(Arc<Plan>, Kept)>,
    /// Counts up whenever it has changed.
    edition: AtomicU64,
}

impl InForce {
    pub(crate) fn new(plan: Plan, kept: Kept) -> Self {
        let in_force = Self { state: Mutex::new((Arc::new(plan), kept)), edition: 1.into() };
        in_force.forget_old();
        in_force
    }

    pub(crate) fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    pub(crate) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&lock(&self.state).0)
    }

    /// Passes what is to be kept to `keep`. The last call has the latest.
    pub(crate) fn keep(&self, keep: impl FnOnce(Kept)) {
        let state = lock(&self.state);
        keep(state.1.clone());
    }

    /// What is ordered for sleds now.
    pub(crate) fn orders(&self) -> Orders {
        lock(&self.state).1.orders.clone()
    }

    /// Changes what is ordered with `change`.
    ///
    /// # Errors
    ///
    /// Those of `change`, after which nothing has changed.
    pub(crate) fn order<E>(
        &self,
        change: impl FnOnce(&mut Orders) -> Result<(), E>,
    ) -> Result<(), E> {
        change(&mut lock(&self.state).1.orders)?;
        self.edition.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Puts `plan` in force.
    pub(crate) fn replace(&self, plan: Plan) {
        lock(&self.state).0 = Arc::new(plan);
        self.forget_old();
        self.edition.fetch_add(1, Ordering::AcqRel);
    }

    /// An image that the configuration no longer has booted once is due again when it is back.
    fn forget_old(&self) {
        let (plan, Kept { spent, .. }) = &mut *lock(&self.state);
        spent.retain(|(sled, path)| plan.once().any(|once| once == (sled, path.as_path())));
    }

    /// The only image that each sled on `link` is to be offered.
    pub(crate) fn assigned(&self, link: &str, service: &Service) -> HashMap<MacAddr, Checksum> {
        let (plan, Kept { spent, orders }) = &*lock(&self.state);
        let sum = |(sled, path)| (sled, service.checksum_of(path));
        let always =
            plan.sleds.iter().filter_map(|entry| Some((&entry.sled, entry.image.as_deref()?)));
        let mut assigned = sled_at::on(link, always.map(sum));
        assigned.extend(sled_at::on(link, plan.due(spent).map(sum)));
        assigned.extend(orders.assigned(link, service));
        assigned
    }

    /// Notes that a sled on `link` has booted `image`. If it was to boot that one once, returns the
    /// image's name: from now on, the sled boots as before.
    pub(crate) fn spend(
        &self,
        link: &str,
        sled: MacAddr,
        image: Checksum,
        service: &Service,
    ) -> Option<String> {
        let (plan, Kept { spent, orders }) = &mut *lock(&self.state);
        match orders.spend(link, sled, image, service) {
            Spending::NoOrder => {}
            Spending::Kept => return None,
            Spending::Spent(once) => {
                self.edition.fetch_add(1, Ordering::AcqRel);
                return Some(once.to_string());
            }
        }
        let due = plan.due(spent).filter(|(due, _)| due.address == sled);
        let due = sled_at::on(link, due.map(|(due, path)| (due, (due.clone(), path.to_owned()))));
        let (at, path) = due.into_values().next()?;
        if service.checksum_of(&path) != image {
            return None;
        }
        let shown = path.display().to_string();
        spent.insert((at, path));
        self.edition.fetch_add(1, Ordering::AcqRel);
        Some(shown)
    }
}
