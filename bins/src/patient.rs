//! Streams that are waited for even if they are non-blocking: another program that shares the
//! terminal or pipe can make them so.

use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A stream whose reader is waited for as if it were blocking.
#[derive(Debug)]
pub struct Patient<W>(pub W);

impl<W: Write + AsFd> Patient<W> {
    fn wait_for<T>(&mut self, mut act: impl FnMut(&mut W) -> io::Result<T>) -> io::Result<T> {
        loop {
            match act(&mut self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut waits = [PollFd::new(self.0.as_fd(), PollFlags::POLLOUT)];
                    match poll(&mut waits, PollTimeout::NONE) {
                        Ok(_) | Err(Errno::EINTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                result => return result,
            }
        }
    }
}

impl<W: Write + AsFd> Write for Patient<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait_for(|stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wait_for(W::flush)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::thread;

    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

    use super::*;

    #[test]
    fn a_slow_reader_gets_every_byte_of_a_stream_that_does_not_block() {
        // More than a pipe takes.
        let bytes: Vec<u8> = (0..1_u32 << 20).map(|index| (index % 251) as u8).collect();
        let (mut reader, writer) = io::pipe().unwrap();
        fcntl_setfl(&writer, fcntl_getfl(&writer).unwrap() | OFlags::NONBLOCK).unwrap();
        assert_eq!((&writer).write_all(&bytes).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let mut first = vec![0; 4096];
        reader.read_exact(&mut first).unwrap();
        let read = thread::spawn(move || {
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).map(|_| rest)
        });
        let mut patient = Patient(writer);
        patient.write_all(&bytes).unwrap();
        patient.flush().unwrap();
        drop(patient);
        assert!(read.join().unwrap().unwrap().ends_with(&bytes));
    }
}
