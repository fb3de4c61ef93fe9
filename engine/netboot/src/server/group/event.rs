//! Events of groups.

use std::time::Duration;

use boot_format::Checksum;
use boot_format::wire::MacAddr;

/// Something that happened to sleds that boot in step, or could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupEvent {
    /// A sled waits for others to boot with.
    Gathering {
        /// The longest wait.
        window: Duration,
    },
    /// Sleds wait until those in mid-boot are done.
    Waiting {
        /// How many wait.
        sleds: usize,
        /// How many read.
        reading: usize,
    },
    /// Sleds are offered an image at the same time.
    Offered {
        /// How many.
        sleds: usize,
        /// The image.
        checksum: Checksum,
    },
    /// Sleds boot in step from now on.
    InStep {
        /// How many.
        members: usize,
        /// The offset in bytes at which they continue.
        position: u64,
        /// The expected times that decided it.
        expected: Expected,
    },
    /// Sleds are served one by one from now on.
    OneByOne {
        /// How many.
        sleds: usize,
        /// Why.
        why: OneByOne,
        /// The expected times that decided it.
        expected: Expected,
    },
    /// A member does not keep in step; it boots when the others are done.
    Left {
        /// The member.
        sled: MacAddr,
        /// Why.
        why: Leaving,
        /// How many are left.
        members: usize,
    },
    /// A sled that had left, or came late, catches up.
    CaughtUp {
        /// The sled.
        sled: MacAddr,
        /// How many batches it was behind.
        behind: u64,
    },
    /// The group has been sent everything.
    Done {
        /// Members to the last.
        members: usize,
        /// From the first batch to the last.
        time: Duration,
        /// DATA frames that went to all of them at once.
        frames: u64,
    },
    /// Another server serves sleds here: nothing is broadcast.
    OtherServer {
        /// Its address.
        server: MacAddr,
    },
}

/// How long a batch is expected to take for all members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// In step.
    pub in_step: Duration,
    /// One by one.
    pub one_by_one: Duration,
}

/// Why a member leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// It was silent for this long.
    Silent(Duration),
    /// It delays the others by this much with each batch.
    Slow(Duration),
    /// It started over, or its session has ended.
    Gone,
}

/// Why sleds are served one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OneByOne {
    /// It is expected to be faster.
    Faster,
    /// All lose frames of each batch at once, so broadcast may be capped.
    AllLose,
    /// Others are in mid-boot, and waiting for them takes longer than is gained.
    OthersRead,
    /// Another server serves sleds here.
    OtherServer,
}
