//! What a test can ask of the library, for one link by its name, and ask it afterwards.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "this file is a part of the library and of its tests, which use a part of it each"
)]

/// Something that goes wrong on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Fault {
    /// The next so many answers to control calls are lost.
    LoseAcks,
    /// Every so manyth call to receive is interrupted by a signal.
    InterruptReceive,
    /// Every so manyth call to receive finds nothing, although it was told that there is.
    EmptyReceive,
    /// Every so manyth call to send is interrupted by a signal.
    InterruptSend,
    /// Every so manyth call to send finds the queue full, for a few milliseconds.
    FullSend,
    /// Every so manyth call to send finds no memory.
    NoMemory,
    /// Every so manyth frame arrives with half an address.
    ShortAddress,
    /// Every so manyth frame arrives broken.
    BadMessage,
    /// Every so manyth frame arrives with addresses that are none.
    BadAddress,
    /// Every so manyth frame that arrives is lost.
    LoseIncoming,
    /// Every so manyth frame that is sent is lost.
    LoseOutgoing,
    /// Every so manyth frame has a message before it that is none.
    Stray,
    /// The link is down if not 0, and says so.
    Down,
    /// Every stream on the link hangs up.
    HangUp,
    /// There is no bufmod if not 0.
    NoBufmod,
}

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Count {
    /// Frames handed to the link.
    Sent,
    /// Frames handed to the user.
    Received,
    /// Frames that found the read queue full.
    QueueFull,
    /// Frames to send that were too long.
    Oversize,
    /// Frames that a control call ate.
    Eaten,
    /// Frames to send on a handle that is not bound.
    Unbound,
}

impl Fault {
    /// How many there are.
    pub const ALL: usize = 15;
}

impl Count {
    /// How many there are.
    pub const ALL: usize = 6;
}
