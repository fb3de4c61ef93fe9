//! What a packet socket waits for besides frames.

use std::time::Duration;

use super::link::Stop;
use super::outage::Outage;

/// What ends a wait early, besides a frame that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Nothing.
    Frames,
    /// Space in the socket's own buffer, which polling reports.
    Room,
    /// Space in the queue behind the socket. The socket reports itself writable while that is full,
    /// so the wait is a short pause instead.
    QueueRoom,
    /// A link that is up: it is looked at again after [`Outage::PAUSE`].
    Up,
}

/// What is known before a wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    /// Whether the path has frames that the kernel had no room for.
    pub(super) late: bool,
    /// Whether the link carries frames.
    pub(super) runs: bool,
    /// Whether the caller has frames to send.
    pub(super) want_room: bool,
    /// Why the last send ended early.
    pub(super) blocked: Option<Stop>,
}

impl Before {
    /// Whether late frames can go out after the wait. A link without carrier accepts frames and
    /// loses them.
    pub(super) fn can_flush(self) -> bool {
        self.late && self.runs
    }

    pub(super) fn until(self) -> Until {
        let blocked = self.blocked.filter(|_| self.want_room);
        if self.late && !self.runs || blocked == Some(Stop::Down) {
            Until::Up
        } else if self.late || blocked == Some(Stop::QueueFull) {
            Until::QueueRoom
        } else if self.want_room {
            Until::Room
        } else {
            Until::Frames
        }
    }
}

impl Until {
    /// How long to wait at most, if the caller waits for `timeout` and a full queue is given
    /// `pause`.
    pub(super) fn limit(self, timeout: Duration, pause: Duration) -> Duration {
        match self {
            Self::Frames | Self::Room => timeout,
            Self::QueueRoom => timeout.min(pause),
            Self::Up => timeout.min(Outage::PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Before = Before { late: false, runs: true, want_room: false, blocked: None };

    #[test]
    fn a_socket_waits_for_what_held_its_frames_up() {
        let full = Before { want_room: true, ..IDLE };
        for (before, until) in [
            (IDLE, Until::Frames),
            (Before { runs: false, ..IDLE }, Until::Frames),
            (full, Until::Room),
            (Before { blocked: Some(Stop::BufferFull), ..full }, Until::Room),
            (Before { blocked: Some(Stop::QueueFull), ..full }, Until::QueueRoom),
            (Before { blocked: Some(Stop::Down), ..full }, Until::Up),
            (Before { late: true, ..IDLE }, Until::QueueRoom),
            (Before { late: true, runs: false, ..IDLE }, Until::Up),
            (Before { late: true, blocked: Some(Stop::Down), ..full }, Until::Up),
            // Nothing waits to be sent any more.
            (Before { blocked: Some(Stop::Down), ..IDLE }, Until::Frames),
            (Before { blocked: Some(Stop::QueueFull), ..IDLE }, Until::Frames),
        ] {
            assert_eq!(before.until(), until, "{before:?}");
        }
    }

    #[test]
    fn late_frames_go_out_on_a_link_that_carries_them() {
        assert!(Before { late: true, ..IDLE }.can_flush());
        assert!(!Before { late: true, runs: false, ..IDLE }.can_flush());
        assert!(!IDLE.can_flush());
    }

    #[test]
    fn only_what_gives_no_notice_shortens_a_wait() {
        let [long, pause] = [1000, 1].map(Duration::from_millis);
        for (until, limit) in [
            (Until::Frames, long),
            (Until::Room, long),
            (Until::QueueRoom, pause),
            (Until::Up, Outage::PAUSE),
        ] {
            assert_eq!(until.limit(long, pause), limit);
            assert_eq!(until.limit(Duration::ZERO, pause), Duration::ZERO);
        }
    }
}
