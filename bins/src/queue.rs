//! A queue between threads that holds a limited number of items, and at neither end of which a thread
//! spins.
//!
//! crossbeam's bounded channel spins, without yielding, while the other end is between two of its steps.
//! If both ends run on one core in a real-time class, and the other one was interrupted there, that lasts
//! forever: a server under SCHED_FIFO stopped so. Its unbounded channel yields.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam::channel::{self, RecvError, RecvTimeoutError};

/// The end that items are put in.
pub(crate) struct Sender<T> {
    items: channel::Sender<T>,
    waiting: Arc<AtomicUsize>,
    most: usize,
}

/// The end that they are taken from.
pub(crate) struct Receiver<T> {
    items: channel::Receiver<T>,
    waiting: Arc<AtomicUsize>,
}

/// The two ends of a queue of at most this many items.
pub(crate) fn queue<T>(most: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = channel::unbounded();
    let waiting = Arc::new(AtomicUsize::new(0));
    let sender = Sender { items: sender, waiting: Arc::clone(&waiting), most };
    (sender, Receiver { items: receiver, waiting })
}

impl<T> Sender<T> {
    /// Puts `item` in, if there is room and a receiver. This never waits.
    ///
    /// # Errors
    ///
    /// Gives the item back if the queue is full or its receiver is gone.
    pub(crate) fn try_send(&self, item: T) -> Result<(), T> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) < self.most {
            return self.send(item);
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Err(item)
    }

    /// Puts `item` in as one more than the queue holds, if there is a receiver. This never waits.
    ///
    /// # Errors
    ///
    /// Gives the item back if the receiver is gone.
    pub(crate) fn send_beyond(&self, item: T) -> Result<(), T> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.send(item)
    }

    fn send(&self, item: T) -> Result<(), T> {
        self.items.send(item).map_err(|error| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            error.into_inner()
        })
    }

    /// How many items wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { items: self.items.clone(), waiting: Arc::clone(&self.waiting), most: self.most }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({} of {})", self.len(), self.most)
    }
}

impl<T> Receiver<T> {
    /// Waits for an item.
    ///
    /// # Errors
    ///
    /// If the queue is empty and all senders are gone.
    pub(crate) fn recv(&self) -> Result<T, RecvError> {
        self.items.recv().inspect(|_| self.took())
    }

    /// Waits for an item until `deadline`.
    ///
    /// # Errors
    ///
    /// If the queue is still empty by then, or empty and all senders are gone.
    pub(crate) fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.items.recv_deadline(deadline).inspect(|_| self.took())
    }

    /// The items that wait.
    #[cfg(test)]
    pub(crate) fn try_iter(&self) -> impl Iterator<Item = T> {
        self.items.try_iter().inspect(|_| self.took())
    }

    /// How many items wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether no item waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn took(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_so_many_and_one_beyond() {
        let (sender, receiver) = queue(2);
        assert_eq!([1, 2, 3].map(|item| sender.try_send(item)), [Ok(()), Ok(()), Err(3)]);
        assert_eq!((sender.len(), receiver.len()), (2, 2));
        assert_eq!(sender.send_beyond(4), Ok(()));
        assert_eq!(receiver.recv(), Ok(1));
        assert_eq!(sender.try_send(5), Err(5));
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [2, 4]);
        assert!(receiver.is_empty());
        assert_eq!(sender.try_send(6), Ok(()));
    }

    #[test]
    fn what_nobody_will_take_comes_back_and_leaves_the_room_free() {
        let (sender, receiver) = queue(1);
        drop(receiver);
        assert_eq!(sender.try_send(1), Err(1));
        assert_eq!(sender.send_beyond(2), Err(2));
        assert_eq!(sender.len(), 0);
    }

    #[test]
    fn the_receiver_waits_until_a_time_or_until_all_senders_are_gone() {
        let (sender, receiver) = queue::<u8>(1);
        assert_eq!(receiver.recv_deadline(Instant::now()), Err(RecvTimeoutError::Timeout));
        drop(sender.clone());
        assert_eq!(receiver.recv_deadline(Instant::now()), Err(RecvTimeoutError::Timeout));
        drop(sender);
        assert_eq!(receiver.recv(), Err(RecvError));
    }

    #[test]
    fn nothing_is_lost_or_counted_twice_between_many_threads() {
        let (sender, receiver) = queue(64);
        let sent: usize = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..4)
                .map(|_| {
                    let sender = sender.clone();
                    scope.spawn(move || (0..10_000).filter(|&n| sender.try_send(n).is_ok()).count())
                })
                .collect();
            drop(sender);
            let taken = std::iter::from_fn(|| receiver.recv().ok()).count();
            let sent = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
            assert_eq!(taken, sent);
            sent
        });
        assert!(sent >= 64);
        assert_eq!(receiver.waiting.load(Ordering::Relaxed), 0);
    }
}
