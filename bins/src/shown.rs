//! Names made by others, made safe to show.

use std::fmt::{self, Display, Write};

/// Shows a value without characters that would act on a terminal or disguise the text: control
/// characters (C0, DEL, C1), line and paragraph separators, and marks that change the direction of
/// writing. Each is shown as its escape, such as `\u{1b}`.
#[derive(Clone, Copy, Debug)]
pub struct Shown<T>(pub T);

impl<T: Display> Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, character) in text.char_indices().filter(|(_, character)| acts(*character)) {
            self.0.write_str(&text[plain..at])?;
            write!(self.0, "{}", character.escape_default())?;
            plain = at + character.len_utf8();
        }
        self.0.write_str(&text[plain..])
    }
}

/// Whether a character does more than show itself.
pub(crate) fn acts(character: char) -> bool {
    // Unicode's Bidi_Control property, and the separators of UAX #14.
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_escaped_and_all_else_stays() {
        for (text, shown) in [
            ("zfs.img", "zfs.img"),
            ("Grüße, 東京 \\ \"x\"", "Grüße, 東京 \\ \"x\""),
            ("a\nb\tc", "a\\nb\\tc"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("\u{7f}\u{9b}2J", "\\u{7f}\\u{9b}2J"),
            ("\u{202e}gmi\u{202c}", "\\u{202e}gmi\\u{202c}"),
            (
                "\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}",
                "\\u{2066}\\u{2069}\\u{200e}\\u{200f}\\u{61c}",
            ),
            ("\u{2028}\u{2029}", "\\u{2028}\\u{2029}"),
        ] {
            assert_eq!(Shown(text).to_string(), shown);
        }
    }
}
