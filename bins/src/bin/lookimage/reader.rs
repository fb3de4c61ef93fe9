//! The reader of the output, which may be gone.

use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, poll};

/// A stream that takes everything once its reader has gone: so the findings still decide the exit
/// status.
pub(crate) struct Reader<W> {
    stream: W,
    has_gone: bool,
}

impl<W: Write> Reader<W> {
    pub(crate) fn new(stream: W) -> Self {
        Self { stream, has_gone: false }
    }

    pub(crate) fn has_gone(&self) -> bool {
        self.has_gone
    }

    fn tolerate<T>(&mut self, result: io::Result<T>, gone: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.has_gone = true;
                Ok(gone)
            }
            result => result,
        }
    }
}

impl<W: Write> Write for Reader<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.has_gone {
            return Ok(bytes.len());
        }
        let result = self.stream.write(bytes);
        self.tolerate(result, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.has_gone {
            return Ok(());
        }
        let result = self.stream.flush();
        self.tolerate(result, ())
    }
}

/// Whether the other end of a pipe or socket has been closed, without writing to it.
pub(crate) fn has_gone(stream: impl AsFd) -> bool {
    let mut streams = [PollFd::new(stream.as_fd(), PollFlags::empty())];
    poll(&mut streams, 0_u8).is_ok_and(|ready| ready > 0)
        && streams[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_gone_is_noticed_and_does_not_matter() {
        let (end, pipe) = io::pipe().unwrap();
        let mut out = Reader::new(pipe.try_clone().unwrap());
        assert!(!has_gone(&pipe) && !out.has_gone());
        writeln!(out, "a line").unwrap();
        drop(end);
        assert!(has_gone(&pipe));
        writeln!(out, "another").unwrap();
        out.flush().unwrap();
        assert!(out.has_gone());
    }
}
