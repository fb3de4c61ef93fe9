//! The output of commands.

use std::io::Read;

/// Lines of a command that are logged, and bytes of a line.
pub(super) const MOST_LINES: usize = 50;
const MOST_BYTES: usize = 4096;

/// The first lines of what comes out of a pipe; the rest is read and dropped, as a command whose
/// pipe is full would wait.
pub(super) struct Output<R> {
    pipe: R,
    line: Vec<u8>,
    lines: usize,
}

impl<R: Read> Output<R> {
    pub(super) fn new(pipe: R) -> Self {
        Self { pipe, line: Vec::new(), lines: 0 }
    }

    /// Reads what is there, but no more than several times what a pipe holds.
    pub(super) fn read(&mut self, mut say: impl FnMut(String)) {
        let mut block = [0; 4096];
        for _ in 0..64 {
            let Ok(count @ 1..) = self.pipe.read(&mut block) else { break };
            for &byte in &block[..count] {
                if byte == b'\n' {
                    self.end_line(&mut say);
                } else if self.line.len() < MOST_BYTES {
                    self.line.push(byte);
                }
            }
        }
    }

    fn end_line(&mut self, say: &mut impl FnMut(String)) {
        let line = std::mem::take(&mut self.line);
        self.lines += 1;
        if self.lines <= MOST_LINES {
            say(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
    }

    /// A last line may have no end.
    pub(super) fn finish(&mut self, mut say: impl FnMut(String)) {
        self.read(&mut say);
        if !self.line.is_empty() {
            self.end_line(&mut say);
        }
    }
}
