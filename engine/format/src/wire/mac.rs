//! Ethernet addresses.

use core::fmt;
use core::str::FromStr;

/// A 48-bit Ethernet address. Shown as `a8:40:25:00:00:01`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    /// Octets of an address.
    pub const LEN: usize = 6;

    /// `ff:ff:ff:ff:ff:ff`: every station on the segment.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// The address with these octets, first on the wire first.
    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// The octets, first on the wire first.
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Whether the address names a group of stations (broadcast among them) instead of one.
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether a station can have this address: not a group's, and not all zeros.
    pub const fn is_station(self) -> bool {
        !self.is_multicast() && u64::from_be_bytes(self.widened()) != 0
    }

    /// The address `n` places after this one, counted in its last two octets.
    #[must_use]
    pub const fn nth_after(self, n: u16) -> Self {
        let [a, b, c, d, high, low] = self.0;
        let [high, low] = u16::from_be_bytes([high, low]).wrapping_add(n).to_be_bytes();
        Self([a, b, c, d, high, low])
    }

    const fn widened(self) -> [u8; 8] {
        let [a, b, c, d, e, f] = self.0;
        [0, 0, a, b, c, d, e, f]
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A text that is not an Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseMacAddrError;

impl fmt::Display for ParseMacAddrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an Ethernet address is six hexadecimal numbers, as in a8:40:25:00:00:01")
    }
}

impl core::error::Error for ParseMacAddrError {}

impl FromStr for MacAddr {
    type Err = ParseMacAddrError;

    /// Parses six numbers of one or two hexadecimal digits (illumos prints them without
    /// leading zeros), all separated by `:` or all by `-`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut octets = [0; 6];
        let mut parts = text.split(separator);
        for octet in &mut octets {
            let part = parts.next().ok_or(ParseMacAddrError)?;
            let digits = part.bytes().all(|b| b.is_ascii_hexdigit());
            if !digits || part.is_empty() || part.len() > 2 {
                return Err(ParseMacAddrError);
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| ParseMacAddrError)?;
        }
        if parts.next().is_some() {
            return Err(ParseMacAddrError);
        }
        Ok(Self(octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations_parse_and_the_usual_one_is_shown() {
        let address = MacAddr::new([0xa8, 0x40, 0x25, 0, 1, 0x2f]);
        for text in ["a8:40:25:00:01:2f", "A8-40-25-00-01-2F", "a8:40:25:0:1:2f"] {
            assert_eq!(text.parse(), Ok(address), "{text}");
        }
        assert_eq!(address.to_string(), "a8:40:25:00:01:2f");
        assert_eq!(format!("{address:?}"), "a8:40:25:00:01:2f");
    }

    #[test]
    fn the_last_two_octets_count_up_and_start_over() {
        let address = MacAddr::new([2, 0, 0, 0, 0xff, 0xfe]);
        assert_eq!(address.nth_after(1).octets(), [2, 0, 0, 0, 0xff, 0xff]);
        assert_eq!(address.nth_after(0x103).octets(), [2, 0, 0, 0, 1, 1]);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "any", "a8:40:25:00:01", "a8:40:25:00:01:2f:00", "a8:40:25:00:01:02f"] {
            assert_eq!(text.parse::<MacAddr>(), Err(ParseMacAddrError), "{text}");
        }
        for text in ["+8:40:25:00:01:2f", "a8:40:25:00:01:", "g8:40:25:00:01:2f"] {
            assert_eq!(text.parse::<MacAddr>(), Err(ParseMacAddrError), "{text}");
        }
        assert!(ParseMacAddrError.to_string().ends_with("as in a8:40:25:00:00:01"));
    }

    #[test]
    fn groups_and_zero_are_no_stations() {
        assert!(!MacAddr::BROADCAST.is_station());
        assert!(!MacAddr::new([0; 6]).is_station());
        assert!(!MacAddr::new([1, 0, 0x5e, 0, 0, 1]).is_station());
        assert!(MacAddr::new([0, 0, 0, 0, 0, 1]).is_station());
    }
}
