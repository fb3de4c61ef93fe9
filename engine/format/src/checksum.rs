//! The SHA-256 of an image's raw contents: its name on the wire, on disk and in a boot archive.

use core::fmt;
use core::str::FromStr;

/// A SHA-256 digest. Shown and parsed as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Checksum([u8; 32]);

impl Checksum {
    /// Bytes in a checksum, and in a `boot_image_csum` file.
    pub const LEN: usize = 32;

    /// The checksum with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes, first one first, as the header and an OFFER carry them.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({self})")
    }
}

/// A text that is not a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseChecksumError {
    /// Characters in the text.
    found: usize,
}

impl fmt::Display for ParseChecksumError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.found == 64 {
            write!(f, "a checksum has hexadecimal digits only")
        } else {
            write!(f, "a checksum has 64 hexadecimal digits, not {}", self.found)
        }
    }
}

impl core::error::Error for ParseChecksumError {}

impl FromStr for Checksum {
    type Err = ParseChecksumError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = ParseChecksumError { found: text.chars().count() };
        if text.len() != 64 {
            return Err(error);
        }
        let mut bytes = [0; Self::LEN];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |c: u8| (c as char).to_digit(16).ok_or(error);
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_shown_and_read_back() {
        let sum = Checksum::from_bytes(core::array::from_fn(|at| (at * 37) as u8));
        let text = sum.to_string();
        assert_eq!((text.len(), &text[..10]), (64, "00254a6f94"));
        assert_eq!(text.parse(), Ok(sum));
        assert_eq!(text.to_uppercase().parse(), Ok(sum));
        assert_eq!(format!("{sum:?}"), format!("Checksum({text})"));
        assert_eq!(sum.as_bytes()[..3], [0, 37, 74]);
    }

    #[test]
    fn another_text_is_refused_and_why() {
        let said = |text: &str| text.parse::<Checksum>().unwrap_err().to_string();
        assert_eq!(said("07"), "a checksum has 64 hexadecimal digits, not 2");
        for odd in ["g".repeat(64), format!("{}g", "0".repeat(63))] {
            assert_eq!(said(&odd), "a checksum has hexadecimal digits only");
        }
        assert_eq!(said(&"é".repeat(32)), "a checksum has 64 hexadecimal digits, not 32");
    }
}
