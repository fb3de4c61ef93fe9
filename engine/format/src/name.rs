//! The two names in a header.

use core::fmt;

/// A name of at most 127 bytes, in a field of 128 that ends in NUL (F3).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    pub(super) field: [u8; Name::FIELD_LEN],
}

/// A name that does not fit its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameError {
    /// Bytes in the name, or up to its first NUL.
    found: usize,
    nul: bool,
}

impl Name {
    /// Bytes of the field.
    pub const FIELD_LEN: usize = 128;
    /// The most bytes of a name.
    pub const MOST: usize = Self::FIELD_LEN - 1;

    /// The name `text`.
    ///
    /// # Errors
    ///
    /// If it has more than 127 bytes, or a NUL among them.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if let Some(found) = text.bytes().position(|byte| byte == 0) {
            return Err(NameError { found, nul: true });
        }
        if text.len() > Self::MOST {
            return Err(NameError { found: text.len(), nul: false });
        }
        let mut field = [0; Self::FIELD_LEN];
        field[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { field })
    }

    /// The name without its padding, if the field ends in NUL and holds UTF-8 up to the first.
    pub fn as_str(&self) -> Option<&str> {
        self.ends_in_nul().then(|| core::str::from_utf8(self.bytes()).ok()).flatten()
    }

    /// Whether the last byte of the field is NUL, as sleds require (F13).
    pub fn ends_in_nul(&self) -> bool {
        self.field.last() == Some(&0)
    }

    /// Whether the name starts with `text`.
    pub fn starts_with(&self, text: &str) -> bool {
        self.bytes().starts_with(text.as_bytes())
    }

    /// The bytes up to the first NUL.
    fn bytes(&self) -> &[u8] {
        let length = self.field.iter().position(|&byte| byte == 0).unwrap_or(Self::FIELD_LEN);
        &self.field[..length]
    }
}

/// Shows unprintable bytes as escapes.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.bytes().utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() {
                    write!(f, "{}", character.escape_default())?;
                } else {
                    write!(f, "{character}")?;
                }
            }
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, nul } = self;
        if *nul {
            write!(f, "a name can't have a NUL, as at byte {found}")
        } else {
            write!(f, "a name has at most {} bytes, not {found}", Name::MOST)
        }
    }
}

impl core::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_without_what_a_terminal_would_obey() {
        assert_eq!(Name::new("a\x1b[2Jb").unwrap().to_string(), "a\\u{1b}[2Jb");
        assert_eq!(Name { field: [0xff; 128] }.to_string(), "\\xff".repeat(128));
        assert!(Name::new(&"x".repeat(127)).is_ok());
        assert!(Name::new(&"x".repeat(128)).unwrap_err().to_string().contains("not 128"));
        let error = Name::new("a\0b").unwrap_err();
        assert_eq!(error.to_string(), "a name can't have a NUL, as at byte 1");
    }

    #[test]
    fn a_name_ends_at_its_first_nul() {
        let mut name = Name::new("recovery 1").unwrap();
        name.field[20] = b'x';
        assert_eq!(name.as_str(), Some("recovery 1"));
        assert_eq!(format!("{name:?}"), "\"recovery 1\"");
        let starts = ["recovery", "recovery 1", "covery", "recovery 1\0"];
        assert_eq!(starts.map(|text| name.starts_with(text)), [true, true, false, false]);
        name.field[127] = b'x';
        assert_eq!((name.as_str(), name.ends_in_nul()), (None, false));
        assert_eq!(Name { field: [0xff; 128] }.as_str(), None);
    }
}
