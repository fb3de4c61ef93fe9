//! The status service: shows the rack to browsers, programs and monitoring. It is read-only, except
//! that it can assign images to sleds, if that is enabled.
//!
//! It has a thread of its own, which yields to all others: clients that ask much, or read slowly,
//! get what serving leaves. Connections are bounded in number, time and memory.

mod answers;
mod assignments;
mod listen;
mod live;
mod routes;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::Context;

use self::listen::Listener;
use self::routes::Status;
use crate::service::StatusAddress;
use crate::service::control::Control;
use crate::service::metrics::Metrics;
use crate::service::rack::Rack;

/// Where images are assigned to sleds.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) control: Control,
    /// Whether assigning is enabled; if not, it only lists what is assigned.
    pub(crate) writable: bool,
}

/// The socket of a status service that has not started yet: the system queues clients.
#[derive(Debug)]
pub(crate) struct Bound {
    listener: Listener,
    socket: Option<listen::SocketFile>,
    address: String,
}

impl Bound {
    /// Takes `address`.
    ///
    /// # Errors
    ///
    /// If the system refuses it.
    pub(crate) fn bind(address: &StatusAddress) -> anyhow::Result<Self> {
        let (listener, socket) =
            Listener::bind(address).with_context(|| format!("--status {address}"))?;
        let address = listener.address(address);
        Ok(Self { listener, socket, address })
    }
}

/// A status service at work. Its socket in the file system, if it has one, is removed with it.
#[derive(Debug)]
pub(crate) struct Service {
    _socket: Option<listen::SocketFile>,
    address: String,
}

impl Service {
    /// Answers clients of the socket `bound`, and shows them `rack` and `metrics`; what is to be
    /// assigned goes to `desk`.
    ///
    /// # Errors
    ///
    /// If the system refuses the thread.
    pub(crate) fn start(
        bound: Bound,
        rack: Arc<Mutex<Rack>>,
        metrics: Metrics,
        desk: Desk,
    ) -> anyhow::Result<Self> {
        let Bound { listener, socket, address } = bound;
        let status = Arc::new(Status::new(rack, metrics, desk));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .context("--status")?;
        thread::Builder::new()
            .name("status".to_owned())
            .spawn(move || {
                yield_to_others();
                runtime.block_on(listen::serve(listener, status))
            })
            .context("--status")?;
        Ok(Self { _socket: socket, address })
    }

    /// Its address: a URL for a browser, or a path.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

/// Has this thread yield to all others. Only Linux has priorities for threads; elsewhere it runs
/// like the others.
fn yield_to_others() {
    #[cfg(target_os = "linux")]
    {
        /// The lowest.
        const NICE: i32 = 19;
        // If that fails, it runs like the others.
        let _: Result<_, _> = rustix::process::setpriority_process(None, NICE);
    }
}
