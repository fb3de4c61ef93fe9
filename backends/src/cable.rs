//! An Ethernet segment inside the process: the embedded default, which needs no privilege.
//!
//! It behaves like a switch that knows its ports: a frame goes to the port with its destination
//! address, a multicast frame to every other port, and a port that does not fetch its frames loses
//! them without delaying the others.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use boot_format::wire::MacAddr;
use boot_netboot::batch::Batch;
use crossbeam::channel::{self, Receiver, RecvTimeoutError, Sender, TrySendError};

use crate::{Datalink, LinkCounters, LinkError, Sent};

/// A segment that any number of stations can plug into.
#[derive(Clone, Debug, Default)]
pub struct Segment {
    sockets: Arc<RwLock<Vec<Socket>>>,
}

#[derive(Debug)]
struct Socket {
    address: MacAddr,
    frames: Sender<Bundle>,
}

/// Frames for one port, end to end.
#[derive(Clone, Debug, Default)]
struct Bundle {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// One station's end of the cable. It is unplugged when it is dropped.
#[derive(Debug)]
pub struct Port {
    segment: Segment,
    address: MacAddr,
    frames: Receiver<Bundle>,
    /// The frames of a send call for each destination, kept to save allocations.
    outgoing: Vec<(MacAddr, Bundle)>,
    counters: LinkCounters,
}

impl Segment {
    /// A segment without stations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Plugs in a station.
    pub fn plug(&self, address: MacAddr) -> Port {
        let (sender, frames) = channel::bounded(Port::QUEUE);
        let mut sockets = self.sockets.write().unwrap_or_else(PoisonError::into_inner);
        sockets.push(Socket { address, frames: sender });
        Port {
            segment: self.clone(),
            address,
            frames,
            outgoing: Vec::new(),
            counters: LinkCounters::default(),
        }
    }

    /// Delivers a bundle; returns how many of its frames were lost to full queues.
    fn deliver(&self, source: MacAddr, destination: MacAddr, bundle: Bundle) -> usize {
        let sockets = self.sockets.read().unwrap_or_else(PoisonError::into_inner);
        let offer = |socket: &Socket, bundle: Bundle| match socket.frames.try_send(bundle) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => 0,
            Err(TrySendError::Full(bundle)) => bundle.ends.len(),
        };
        if !destination.is_multicast() {
            let socket = sockets.iter().find(|socket| socket.address == destination);
            return socket.map_or(0, |socket| offer(socket, bundle));
        }
        let others = sockets.iter().filter(|socket| socket.address != source);
        others.map(|socket| offer(socket, bundle.clone())).sum()
    }
}

impl Port {
    /// Bundles that wait for a station: more than a sled ever has outstanding.
    const QUEUE: usize = 256;
    /// The most frames in a bundle, so that it fits the caches.
    const BUNDLE: usize = 32;
    const FRAME: usize = 1058;
}

impl Drop for Port {
    fn drop(&mut self) {
        let mut sockets = self.segment.sockets.write().unwrap_or_else(PoisonError::into_inner);
        sockets.retain(|socket| socket.address != self.address);
    }
}

impl Datalink for Port {
    fn name(&self) -> &'static str {
        "cable"
    }

    fn address(&self) -> MacAddr {
        self.address
    }

    fn mtu(&self) -> usize {
        1500
    }

    fn send(&mut self, batch: &mut Batch) -> Result<Sent, LinkError> {
        let frames = batch.len();
        let (mut dropped, mut unreadable) = (0, 0);
        for index in 0..frames {
            let frame = batch.get(index).expect("there are this many");
            // A mapped file: only the kernel may read it, and frames on a cable do not pass through
            // it.
            let Some(payload) = frame.payload.held() else {
                batch.note_unreadable(index);
                unreadable += 1;
                continue;
            };
            let destination = frame.destination();
            let index = match self.outgoing.iter().position(|(known, _)| *known == destination) {
                Some(index) => index,
                None => {
                    self.outgoing.push((destination, Bundle::default()));
                    self.outgoing.len() - 1
                }
            };
            let bundle = &mut self.outgoing[index].1;
            if bundle.bytes.capacity() == 0 {
                bundle.bytes.reserve(frames.min(Self::BUNDLE) * Self::FRAME);
            }
            bundle.bytes.extend_from_slice(frame.head);
            bundle.bytes.extend_from_slice(payload);
            bundle.ends.push(bundle.bytes.len());
            if bundle.ends.len() == Self::BUNDLE {
                dropped += self.segment.deliver(self.address, destination, std::mem::take(bundle));
            }
        }
        for (destination, bundle) in self.outgoing.drain(..) {
            if !bundle.ends.is_empty() {
                dropped += self.segment.deliver(self.address, destination, bundle);
            }
        }
        batch.consume(frames);
        dropped += unreadable;
        self.counters.unreadable += unreadable as u64;
        self.counters.taken += (frames - dropped) as u64;
        self.counters.dropped += dropped as u64;
        Ok(Sent { taken: frames - dropped, dropped })
    }

    fn receive(
        &mut self,
        timeout: Duration,
        _want_room: bool,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), LinkError> {
        // A timeout beyond the clock's range becomes an hour.
        let timeout = timeout.min(Duration::from_hours(1));
        let first = match self.frames.recv_timeout(timeout) {
            Ok(bundle) => bundle,
            Err(RecvTimeoutError::Timeout) => return Ok(()),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(LinkError::Gone { link: self.name().to_owned() });
            }
        };
        for bundle in std::iter::once(first).chain(self.frames.try_iter().take(Self::QUEUE)) {
            self.counters.received += bundle.ends.len() as u64;
            let mut start = 0;
            for &end in &bundle.ends {
                sink(&bundle.bytes[start..end]);
                start = end;
            }
        }
        Ok(())
    }

    fn counters(&mut self) -> LinkCounters {
        self.counters
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;

    use boot_format::Name;
    use boot_format::wire::{FrameType, Head};
    use boot_image::Contents;
    use boot_image::pack::{PackOptions, pack};

    use super::*;

    fn address(number: u8) -> MacAddr {
        MacAddr::new([2, 0, 0, 0, 0, number])
    }

    fn send(port: &mut Port, to: MacAddr, bodies: &[&[u8]]) -> Sent {
        let mut batch = Batch::with_capacity(512);
        for body in bodies {
            batch.push_body(Head::new(to, port.address(), FrameType::Hello, body.len()), body);
        }
        let sent = port.send(&mut batch).unwrap();
        assert!(batch.is_empty());
        sent
    }

    fn received(port: &mut Port) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        port.receive(Duration::ZERO, false, &mut |frame| frames.push(frame[26..].to_vec()))
            .unwrap();
        frames
    }

    #[test]
    fn a_frame_goes_to_its_destination_and_a_groups_to_all_others() {
        let segment = Segment::new();
        let mut ports: Vec<_> = (0..3).map(|number| segment.plug(address(number))).collect();
        send(&mut ports[0], address(1), &[b"one", b"two"]);
        send(&mut ports[0], MacAddr::BROADCAST, &[b"all"]);
        assert!(received(&mut ports[0]).is_empty());
        assert_eq!(received(&mut ports[1]), [b"one", b"two", b"all"]);
        assert_eq!(received(&mut ports[2]), [b"all"]);
    }

    #[test]
    fn a_station_that_does_not_listen_loses_frames_and_delays_nobody() {
        let segment = Segment::new();
        let mut sender = segment.plug(address(0));
        let mut deaf = segment.plug(address(1));
        let sent: Vec<_> = (0..300).map(|_| send(&mut sender, address(1), &[b"x"])).collect();
        assert_eq!(sent.iter().map(|sent| sent.dropped).sum::<usize>(), 300 - Port::QUEUE);
        assert_eq!(received(&mut deaf).len(), Port::QUEUE);
        drop(deaf);
        assert_eq!(send(&mut sender, address(1), &[b"x"]), Sent { taken: 1, dropped: 0 });
    }

    #[test]
    fn a_frame_from_a_mapped_image_is_dropped_unread() {
        let segment = Segment::new();
        let (mut near, mut far) = (segment.plug(address(0)), segment.plug(address(1)));
        let folder = tempfile::tempdir().unwrap();
        let image = mapped_image(folder.path());
        let mut batch = Batch::with_capacity(2);
        let head = Head::data(address(1), address(0), 0, 1024);
        batch.push_contents(head, &image, 0, 1024);
        batch.push_body(Head::new(address(1), address(0), FrameType::Hello, 1), b"x");
        assert_eq!(near.send(&mut batch).unwrap(), Sent { taken: 1, dropped: 1 });
        assert_eq!((batch.take_unreadable(), near.counters().unreadable), (vec![address(1)], 1));
        assert_eq!(received(&mut far), [b"x"]);
    }

    /// An image of 1 MiB, mapped from a file in `folder`.
    fn mapped_image(folder: &Path) -> Contents {
        let raw = folder.join("raw");
        fs::write(&raw, vec![7; 1 << 20]).unwrap();
        let options = PackOptions {
            image_name: Name::new("").unwrap(),
            dataset: Name::new("rpool").unwrap(),
            target_size: 1 << 20,
            level: None,
            threads: None,
            pad: false,
        };
        let path = folder.join("an.img");
        let (raw, out) = (File::open(&raw).unwrap(), File::create(&path).unwrap());
        pack(&raw, 1 << 20, &out, &options, &mut |_| true).unwrap();
        Contents::map(&path).unwrap()
    }

    #[test]
    fn a_frame_wakes_the_one_who_waits() {
        let segment = Segment::new();
        let mut waiting = segment.plug(address(1));
        let mut sender = segment.plug(address(0));
        let waiter = std::thread::spawn(move || {
            let mut frames = 0;
            waiting.receive(Duration::from_secs(20), false, &mut |_| frames += 1).unwrap();
            frames
        });
        send(&mut sender, address(1), &[b"wake"]);
        assert_eq!(waiter.join().unwrap(), 1);
    }
}
