//! What a test can ask the library to do for a link, by name, and what it can read afterwards.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "this file is a part of the library and of its tests, which use a part of it each"
)]

/// Something that goes wrong on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Fault {
    /// The next N answers to control calls are lost.
    LoseAcks,
    /// Every Nth call to receive is interrupted by a signal.
    InterruptReceive,
    /// Every Nth call to receive finds nothing, although poll reported something.
    EmptyReceive,
    /// Every Nth call to send is interrupted by a signal.
    InterruptSend,
    /// Every Nth call to send finds the queue full, for a few milliseconds.
    FullSend,
    /// Every Nth call to send finds no memory.
    NoMemory,
    /// Every Nth frame arrives with half an address.
    ShortAddress,
    /// Every Nth frame arrives broken.
    BadMessage,
    /// Every Nth frame arrives with invalid addresses.
    BadAddress,
    /// Every Nth frame that arrives is lost.
    LoseIncoming,
    /// Every Nth frame that is sent is lost.
    LoseOutgoing,
    /// Every Nth frame follows a message that is invalid.
    Stray,
    /// The link is down if not 0, and reports it.
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
