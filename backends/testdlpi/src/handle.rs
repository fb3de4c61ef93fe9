//! An open handle: a stream on a link, bound or not, with the thread that feeds its read queue.

use std::ffi::{CString, c_int, c_uint, c_void};
use std::io;
use std::process::abort;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::abi::{ETIMEDOUT, NotifyFunction, RAW, SUCCESS};
use crate::knobs::{Count, Fault};
use crate::link::Link;
use crate::packet::Packet;
use crate::queue::ReadQueue;

pub(crate) struct Handle {
    busy: AtomicBool,
    pub(crate) inner: Inner,
}

pub(crate) struct Inner {
    pub(crate) name: CString,
    pub(crate) link: Arc<Link>,
    pub(crate) packet: Arc<Packet>,
    pub(crate) queue: Arc<ReadQueue>,
    pub(crate) flags: c_uint,
    pub(crate) sap: Option<u16>,
    pub(crate) promiscuous: bool,
    pub(crate) timeout: c_int,
    pub(crate) watchers: Vec<Watcher>,
    pump: Option<(JoinHandle<()>, Arc<AtomicBool>)>,
}

#[derive(Clone, Copy)]
pub(crate) struct Watcher {
    pub(crate) notes: c_uint,
    pub(crate) function: NotifyFunction,
    pub(crate) argument: *mut c_void,
}

impl Handle {
    pub(crate) fn new(name: CString, packet: Packet, flags: c_uint) -> io::Result<Self> {
        let link = Link::named(&name.to_string_lossy());
        let queue = ReadQueue::new(Arc::clone(&link))?;
        let inner = Inner {
            name,
            link,
            packet: Arc::new(packet),
            queue,
            flags,
            sap: None,
            promiscuous: false,
            timeout: 5,
            watchers: Vec::new(),
            pump: None,
        };
        Ok(Self { busy: AtomicBool::new(false), inner })
    }

    /// Runs a call on the handle, which no other thread may use meanwhile.
    ///
    /// # Safety
    ///
    /// The handle must be open, or null; and no other reference to it may exist.
    pub(crate) unsafe fn with<T>(
        handle: *mut Self,
        work: impl FnOnce(&mut Inner) -> T,
    ) -> Option<T> {
        // SAFETY: the caller's promise; any thread may look at the flag.
        let busy = unsafe { handle.as_ref()? }.busy.swap(true, Ordering::Acquire);
        if busy {
            eprintln!("libdlpi: two threads use a handle at the same time");
            abort();
        }
        // SAFETY: the flag keeps every other thread out.
        let result = work(unsafe { &mut (*handle).inner });
        // SAFETY: the handle is still open: only a call could have closed it.
        unsafe { (*handle).busy.store(false, Ordering::Release) };
        Some(result)
    }
}

impl Inner {
    /// A control call: asks the driver for something and waits for the answer. By then the driver
    /// has done it.
    pub(crate) fn control(&mut self) -> c_int {
        self.queue.eat_frames();
        if self.link.strikes_once(Fault::LoseAcks) {
            // A hundred times as fast as the real one gives up.
            thread::sleep(Duration::from_millis(10) * self.timeout.cast_unsigned());
            return ETIMEDOUT;
        }
        SUCCESS
    }

    pub(crate) fn is_raw(&self) -> bool {
        self.flags & RAW != 0
    }

    /// Lets frames arrive.
    pub(crate) fn begin(&mut self, sap: u16) -> io::Result<()> {
        self.packet.bind(if self.promiscuous { None } else { Some(sap) })?;
        self.sap = Some(sap);
        let stop = Arc::new(AtomicBool::new(false));
        let (queue, packet, link) =
            (Arc::clone(&self.queue), Arc::clone(&self.packet), Arc::clone(&self.link));
        let (promiscuous, stopped) = (self.promiscuous, Arc::clone(&stop));
        let pump = thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while !stopped.load(Ordering::Relaxed) {
                // Called for its effect: a write queue that has emptied wakes whoever polls.
                queue.is_full();
                let Some((length, destination)) = packet.receive(&mut buffer) else { continue };
                let ours = match destination {
                    libc::PACKET_HOST | libc::PACKET_BROADCAST | libc::PACKET_MULTICAST => true,
                    _ => promiscuous,
                };
                let lost = link.is_set(Fault::Down) || link.strikes(Fault::LoseIncoming);
                if ours && !lost {
                    queue.put(buffer[..length].to_vec());
                }
            }
        });
        self.pump = Some((pump, stop));
        Ok(())
    }

    pub(crate) fn end(&mut self) {
        self.sap = None;
        if let Some((pump, stop)) = self.pump.take() {
            stop.store(true, Ordering::Relaxed);
            // It returns nothing.
            let _ = pump.join();
        }
    }

    /// Puts a frame on the link, or silently loses it, as a driver does.
    pub(crate) fn transmit(&self, frame: &[u8], limit: usize) {
        if self.sap.is_none() {
            self.link.count(Count::Unbound, 1);
        } else if frame.len() > limit {
            self.link.count(Count::Oversize, 1);
        } else if !self.link.is_set(Fault::Down) && !self.link.strikes(Fault::LoseOutgoing) {
            self.packet.send(frame);
            self.link.count(Count::Sent, 1);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end();
    }
}
