//! Lines that stay below all others on a terminal.
//!
//! The thread that writes to stderr draws them between two lines, so that nothing else is ever
//! written in between. (indicatif draws in the thread that calls it, which a stopped terminal would
//! hold.)

use std::fmt::Write as _;

/// The lines below.
#[derive(Debug, Default)]
pub(super) struct Footer {
    lines: Vec<String>,
    /// How many of them are on the screen now.
    drawn: usize,
}

impl Footer {
    /// What to write so that `lines` replace those that were there before.
    pub(super) fn replace(&mut self, lines: Vec<String>) -> String {
        let mut text = self.clear();
        self.lines = lines;
        text += &self.draw();
        text
    }

    /// What to write to erase them.
    pub(super) fn clear(&mut self) -> String {
        match std::mem::take(&mut self.drawn) {
            0 => String::new(),
            // Moves up this many lines, and erases everything from there.
            lines => format!("\x1b[{lines}F\x1b[J"),
        }
    }

    /// What to write to draw them below the other lines.
    pub(super) fn draw(&mut self) -> String {
        self.drawn = self.lines.len();
        self.lines.iter().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_lines_below_nothing_is_added() {
        let mut footer = Footer::default();
        assert_eq!(footer.clear() + &footer.draw(), "");
    }

    #[test]
    fn what_was_drawn_is_taken_away_and_drawn_again() {
        let mut footer = Footer::default();
        assert_eq!(footer.replace(vec!["one".to_owned(), "two".to_owned()]), "one\ntwo\n");
        assert_eq!(footer.clear(), "\x1b[2F\x1b[J");
        assert_eq!(footer.clear(), "", "it is away");
        assert_eq!(footer.draw(), "one\ntwo\n");
        assert_eq!(footer.replace(Vec::new()), "\x1b[2F\x1b[J");
        assert_eq!(footer.clear(), "");
    }
}
