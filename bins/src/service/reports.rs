//! Everything that receives events, started and ended together.

use std::sync::{Arc, Mutex};

use super::ServeOptions;
use super::control::Control;
use super::display::Display;
use super::events::{Consumers, Events, Feed, Journal, Names, What};
use super::hooks::Hooks;
use super::metrics::Metrics;
use super::rack::Rack;
use super::reporting::Reporting;
use crate::exit::Exit;
use crate::signals::Signals;
use crate::status;
use crate::stderr::Style;
use crate::stderr::record::Level;

/// The thread of events, and what it feeds.
pub(crate) struct Reports {
    pub(crate) events: Events,
    pub(crate) names: Names,
    hooks: Hooks,
    status: Option<status::Service>,
}

impl Reports {
    /// Starts them, with the status service if one is bound. What that is asked to assign goes to
    /// `control`.
    ///
    /// # Errors
    ///
    /// If the system refuses a thread.
    pub(crate) fn start(
        options: &ServeOptions,
        style: Style,
        several: bool,
        status: Option<status::Bound>,
        control: Control,
    ) -> anyhow::Result<Self> {
        let level = options.reporting.level();
        let writable = options.reporting.control;
        let Reporting { on_finish, on_fail, .. } = options.reporting.clone();
        let hooks = Hooks::new(on_finish, on_fail, Hooks::LIMIT);
        let wants_display = !options.quiet && style != Style::Json;
        let display = wants_display.then(|| Display::on_stderr(several)).flatten();
        let mut journal = Journal::new(options.quiet, level);
        journal.shows_progress = display.is_some();
        let (rack, metrics) = (Arc::new(Mutex::new(Rack::default())), Metrics::default());
        let status = status
            .map(|bound| {
                let desk = status::Desk { control, writable };
                status::Service::start(bound, Arc::clone(&rack), metrics.clone(), desk)
            })
            .transpose()?;
        let names = Names::default();
        let events = Feed::start(Consumers {
            journal,
            style,
            several,
            names: names.clone(),
            rack,
            metrics,
            hooks: hooks.clone(),
            display,
            is_watched: status.is_some(),
        })?;
        if let Some(status) = &status {
            events.tell(What::Notice(Level::Info, format!("status: {}", status.address())));
        }
        Ok(Self { events, names, hooks, status })
    }

    /// Whether the rack can be watched while it is served.
    pub(crate) fn is_watched(&self) -> bool {
        self.status.is_some()
    }

    /// Reports how the server ends, and waits until all have received that; for commands only if no
    /// signal has come.
    pub(crate) fn end(self, result: anyhow::Result<Exit>, signals: &Signals) -> Exit {
        self.events.finish();
        self.hooks.finish(|| !signals.interrupted());
        let exit = result.unwrap_or_else(|error| {
            self.events.tell(What::Failed(format!("{error:#}")));
            Exit::Failure
        });
        self.events.finish();
        exit
    }
}
