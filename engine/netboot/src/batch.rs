//! Outgoing frames as descriptors: a small head built here, and a payload that is a slice of memory
//! and is never copied.

use boot_format::wire::{Head, MacAddr, destination_of};
use boot_image::{Contents, Payload};

/// An ordered batch of outgoing frames.
///
/// A station appends frames, a datalink takes them from the front and says how many it took
/// ([`Batch::consume`]). The batch holds a reference to each [`Contents`] it slices, so the
/// payload stays where it is for as long as a descriptor points there.
#[derive(Debug)]
pub struct Batch {
    slots: Vec<Slot>,
    /// Slots before this one have been consumed.
    taken: usize,
    capacity: usize,
    /// The images that the payloads are slices of.
    contents: Vec<Contents>,
    /// Bodies that are not bytes of an image: offers, and a sled's own frames.
    bodies: Vec<u8>,
    /// Destinations of frames whose payload could not be read.
    unreadable: Vec<MacAddr>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    head: Head,
    source: Source,
}

/// Where a payload comes from.
#[derive(Clone, Copy, Debug)]
enum Source {
    Contents { image: u16, length: u16, start: usize },
    Body { start: u32, length: u16 },
}

/// One outgoing frame: the bytes of `head`, then those of `payload`.
#[derive(Clone, Copy, Debug)]
pub struct FrameSlices<'a> {
    /// Ethernet header, protocol header and, for DATA, the offset: 26 or 34 bytes.
    pub head: &'a [u8],
    /// The rest, in place; may be empty.
    pub payload: Payload<'a>,
}

impl FrameSlices<'_> {
    /// Bytes in the frame, without padding and FCS.
    pub fn len(&self) -> usize {
        self.head.len() + self.payload.len()
    }

    /// Never true: a frame has a head.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the frame goes.
    pub fn destination(&self) -> MacAddr {
        destination_of(self.head).expect("a head has both addresses")
    }

    /// A copy of the frame in one piece, for links that need not be fast.
    ///
    /// # Panics
    ///
    /// If the payload is mapped: only the system may read it.
    pub fn to_vec(&self) -> Vec<u8> {
        let payload = self.payload.held().expect("a mapped payload can't be copied");
        [self.head, payload].concat()
    }
}

impl Batch {
    /// An empty batch for at most `capacity` frames.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            slots: Vec::with_capacity(capacity),
            taken: 0,
            capacity,
            contents: Vec::new(),
            bodies: Vec::new(),
            unreadable: Vec::new(),
        }
    }

    /// The number of frames that wait.
    pub fn len(&self) -> usize {
        self.slots.len() - self.taken
    }

    /// Whether no frame waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most frames that it holds.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many more frames can be appended. Space is freed only when the last frame is consumed,
    /// so a batch is sent completely before the next is filled.
    pub fn room(&self) -> usize {
        self.capacity - self.slots.len()
    }

    /// Appends a frame whose payload is `length` bytes of `contents` from byte `start`.
    ///
    /// # Panics
    ///
    /// If the batch is full or the range is not inside the contents: the caller computes both.
    pub fn push_contents(&mut self, head: Head, contents: &Contents, start: usize, length: usize) {
        assert!(self.room() > 0, "a frame was pushed into a full batch");
        assert!(
            start.checked_add(length).is_some_and(|end| end <= contents.size()),
            "a payload outside the image"
        );
        let image = match self.contents.iter().rposition(|held| held.same_memory(contents)) {
            Some(image) => image,
            None => {
                self.contents.push(contents.clone());
                self.contents.len() - 1
            }
        };
        let source = Source::Contents {
            image: u16::try_from(image).expect("a batch has fewer frames than u16 has values"),
            length: u16::try_from(length).expect("a payload fits a frame"),
            start,
        };
        self.slots.push(Slot { head, source });
    }

    /// Appends a frame whose `body` is copied: one of the few that carry no image bytes.
    ///
    /// # Panics
    ///
    /// If the batch is full or the body is longer than 65535 bytes.
    pub fn push_body(&mut self, head: Head, body: &[u8]) {
        assert!(self.room() > 0, "a frame was pushed into a full batch");
        let source = Source::Body {
            start: u32::try_from(self.bodies.len()).expect("a batch is far below 4 GiB"),
            length: u16::try_from(body.len()).expect("a body fits a frame"),
        };
        self.bodies.extend_from_slice(body);
        self.slots.push(Slot { head, source });
    }

    /// The frame `index` places from the front.
    pub fn get(&self, index: usize) -> Option<FrameSlices<'_>> {
        self.slots.get(self.taken + index).map(|slot| self.slices(slot))
    }

    /// The waiting frames, front first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = FrameSlices<'_>> {
        self.slots[self.taken..].iter().map(|slot| self.slices(slot))
    }

    /// Removes `count` frames from the front.
    ///
    /// # Panics
    ///
    /// If fewer wait.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "more frames consumed than wait");
        self.taken += count;
        if self.is_empty() {
            self.clear();
        }
    }

    /// Removes those of the first `count` frames for whose index `done` returns true, and keeps the
    /// others at the front in order: for links that can refuse one frame and take the next.
    ///
    /// # Panics
    ///
    /// If fewer wait.
    pub fn consume_if(&mut self, count: usize, mut done: impl FnMut(usize) -> bool) {
        assert!(count <= self.len(), "more frames consumed than wait");
        let mut end = self.taken + count;
        for index in (0..count).rev() {
            if !done(index) {
                end -= 1;
                self.slots[end] = self.slots[self.taken + index];
            }
        }
        self.consume(end - self.taken);
    }

    /// Notes that the payload of the frame `index` places from the front can't be read, because its
    /// mapped file was truncated. The frame must still be consumed.
    ///
    /// # Panics
    ///
    /// If there is no such frame.
    pub fn note_unreadable(&mut self, index: usize) {
        let frame = self.get(index).expect("only a frame that waits can be found unreadable");
        let destination = frame.destination();
        if self.unreadable.last() != Some(&destination) {
            self.unreadable.push(destination);
        }
    }

    /// The destinations of the frames noted as unreadable since the last call.
    pub fn take_unreadable(&mut self) -> Vec<MacAddr> {
        std::mem::take(&mut self.unreadable)
    }

    /// Removes all frames and releases the images.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.taken = 0;
        self.contents.clear();
        self.bodies.clear();
    }

    fn slices<'a>(&'a self, slot: &'a Slot) -> FrameSlices<'a> {
        let payload = match slot.source {
            Source::Contents { image, length, start } => {
                self.contents[usize::from(image)].slice(start..start + usize::from(length))
            }
            Source::Body { start, length } => {
                Payload::Held(&self.bodies[start as usize..start as usize + usize::from(length)])
            }
        };
        FrameSlices { head: slot.head.as_bytes(), payload }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boot_format::wire::FrameType;

    #[test]
    fn frames_that_are_not_done_with_stay_in_order() {
        let mut batch = Batch::with_capacity(8);
        let address = MacAddr::new([2, 0, 0, 0, 0, 1]);
        for number in 0..8 {
            batch.push_body(Head::new(address, address, FrameType::Hello, 1), &[number]);
        }
        batch.consume(1);
        batch.consume_if(5, |index| index % 2 == 0);
        let left: Vec<_> = batch.iter().map(|frame| frame.payload.held().unwrap()[0]).collect();
        assert_eq!(left, [2, 4, 6, 7]);
        batch.consume_if(4, |_| true);
        assert_eq!(batch.room(), 8);
    }
}
