//! Which sled took which image, the oldest first, and no more than a few racks' worth.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use boot_format::Checksum;

use crate::service::orders::Wanted;
use crate::service::plan::Kept;
use crate::service::sled_at::SledAt;

/// What sleds have booted from, in the order in which they did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// What each sled took, and when: a number that counts up.
    taken: HashMap<SledAt, (u64, Checksum)>,
    /// Which sled took something at each number.
    order: BTreeMap<u64, SledAt>,
    next: u64,
    /// What sleds were to boot once, and have; and what was ordered for them while serving.
    kept: Kept,
}

impl Memory {
    /// As many sleds as a server remembers for each link.
    pub(crate) const MOST: usize = 4096;

    /// Notes what `sled` took. Where that makes too many, the oldest is forgotten.
    pub(crate) fn learn(&mut self, sled: SledAt, image: Checksum) {
        if let Some((before, _)) = self.taken.insert(sled.clone(), (self.next, image)) {
            self.order.remove(&before);
        }
        self.order.insert(self.next, sled);
        self.next += 1;
        if self.order.len() > Self::MOST
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.taken.remove(&oldest);
        }
    }

    /// What the sleds took, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&SledAt, Checksum)> {
        self.order.values().map(|sled| (sled, self.taken[sled].1))
    }

    /// What is kept of the plan.
    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    pub(crate) fn set_kept(&mut self, kept: Kept) {
        self.kept = kept;
    }

    /// Renames the links of all sleds to what `called` returns for them.
    pub(crate) fn rename_links(self, mut called: impl FnMut(&str) -> String) -> Self {
        let mut renamed = Self::default();
        for (sled, image) in self.iter() {
            let link = sled.link.as_deref().map(&mut called);
            renamed.learn(SledAt { link, address: sled.address }, image);
        }
        for (sled, path) in self.kept.spent {
            let link = sled.link.as_deref().map(&mut called);
            renamed.kept.spent.insert((SledAt { link, address: sled.address }, path));
        }
        renamed.kept.orders = self.kept.orders.rename_links(called);
        renamed
    }

    /// The text of the file: a line for each sled, for each image that was booted once, and for
    /// each that is ordered.
    pub(in crate::service) fn text(&self) -> String {
        let mut text = String::new();
        for (sled, image) in self.iter() {
            let _ = writeln!(text, "{sled} {image}");
        }
        for (sled, path) in &self.kept.spent {
            let _ = writeln!(text, "{ONCE}{} {sled}", quoted(&path.to_string_lossy()));
        }
        for (sled, ordered) in self.kept.orders.iter() {
            for (start, image) in [(ASSIGNED, &ordered.image), (ASSIGNED_ONCE, &ordered.once)] {
                if let Some(image) = image {
                    let _ = writeln!(text, "{start}{} {sled}", quoted(&image.to_string()));
                }
            }
        }
        text
    }

    /// The memory in `text`, and what is wrong with each line that does not parse, with its number.
    pub(in crate::service) fn parse(text: &[u8]) -> (Self, Vec<(usize, String)>) {
        let mut memory = Self::default();
        let mut faults = Vec::new();
        for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            let line = String::from_utf8_lossy(line);
            if line.trim().is_empty() {
                continue;
            }
            let line = line.trim();
            if let Err(fault) = memory.note(line) {
                faults.push((number, fault));
            }
        }
        (memory, faults)
    }

    /// Takes in a line.
    fn note(&mut self, line: &str) -> Result<(), String> {
        if let Some(rest) = line.strip_prefix(ONCE) {
            let (sled, path) = parse_quoted(rest)?;
            self.kept.spent.insert((sled, path.into()));
        } else if let Some(rest) = line.strip_prefix(ASSIGNED_ONCE) {
            let (sled, image) = self.parse_order(rest)?;
            self.kept.orders.set_once(sled, image);
        } else if let Some(rest) = line.strip_prefix(ASSIGNED) {
            let (sled, image) = self.parse_order(rest)?;
            self.kept.orders.set(sled, image);
        } else {
            let (sled, image) = parse_line(line)?;
            self.learn(sled, image);
        }
        Ok(())
    }

    fn parse_order(&self, text: &str) -> Result<(SledAt, Wanted), String> {
        let (sled, image) = parse_quoted(text)?;
        if !self.kept.orders.has_room_for(&sled) {
            return Err("too many sleds are assigned images".to_owned());
        }
        let Ok(image) = image.parse();
        Ok((sled, image))
    }
}

/// How lines begin about what was booted once, and what is ordered for good and once: an image, in
/// quotes, and the sled follow. No sled's address begins so.
const ONCE: &str = "once ";
const ASSIGNED: &str = "assigned ";
const ASSIGNED_ONCE: &str = "assigned-once ";

/// The configuration or request that names it is UTF-8.
fn quoted(image: &str) -> String {
    serde_json::Value::from(image).to_string()
}

fn parse_quoted(text: &str) -> Result<(SledAt, String), String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let image = values.next().and_then(Result::ok);
    let image = image.ok_or("expected an image in quotes after the first word, and [LINK/]MAC")?;
    let sled = text[values.byte_offset()..].trim_start().parse()?;
    Ok((sled, image))
}

fn parse_line(line: &str) -> Result<(SledAt, Checksum), String> {
    /// What is shown of a line.
    const SHOWN: usize = 40;
    // The name of a link may have blanks in it, a checksum has none.
    let Some((sled, image)) = line.rsplit_once(char::is_whitespace) else {
        let start: String = line.chars().take(SHOWN).collect();
        return Err(format!("{start:?}: expected [LINK/]MAC CHECKSUM"));
    };
    let image = image.parse().map_err(|error| format!("the checksum: {error}"))?;
    Ok((sled.trim_end().parse()?, image))
}

#[cfg(test)]
mod tests {
    use boot_format::wire::MacAddr;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const IMAGE: Checksum = Checksum::from_bytes([7; 32]);

    fn sled(link: Option<&str>, number: u16) -> SledAt {
        let address = MacAddr::new([2, 0, 0, 0, 0, 0]).nth_after(number);
        SledAt { link: link.map(str::to_owned), address }
    }

    #[test]
    fn the_oldest_is_forgotten_and_who_boots_again_is_not_old() {
        let mut memory = Memory::default();
        for number in 0..Memory::MOST as u16 {
            memory.learn(sled(None, number), IMAGE);
        }
        memory.learn(sled(None, 0), Checksum::from_bytes([8; 32]));
        memory.learn(sled(None, 5000), IMAGE);
        let all: Vec<_> = memory.iter().map(|(sled, _)| sled.clone()).collect();
        assert_eq!(all.len(), Memory::MOST);
        assert_eq!(all[0], sled(None, 2));
        assert_eq!(all[all.len() - 2..], [sled(None, 0), sled(None, 5000)]);
        let (again, faults) = Memory::parse(memory.text().as_bytes());
        assert!(faults.is_empty() && again.iter().eq(memory.iter()));
    }

    #[test]
    fn a_sled_on_a_link_is_another_than_one_on_every_link() {
        let mut memory = Memory::default();
        for link in [None, Some("net0"), Some("net1"), None] {
            memory.learn(sled(link, 1), IMAGE);
        }
        let order = [Some("net0"), Some("net1"), None].map(|link| sled(link, 1));
        assert!(memory.iter().map(|(sled, _)| sled).eq(&order));
    }

    #[test]
    fn what_was_learnt_under_another_name_of_a_link_is_of_that_link() {
        let mut memory = Memory::default();
        for link in [Some("net0"), None, Some("uplink"), Some("net1")] {
            memory.learn(sled(link, 1), IMAGE);
        }
        let called = |name: &str| name.replace("uplink", "net0");
        let renamed = memory.rename_links(called);
        let order = [None, Some("net0"), Some("net1")].map(|link| sled(link, 1));
        assert!(renamed.iter().map(|(sled, _)| sled).eq(&order));
    }

    #[test]
    fn lines_of_another_form_are_named_and_the_rest_counts() {
        let sum = "07".repeat(32);
        let text = format!(
            "\n2:0:0:0:0:1 abc\nnonsense\n2:0:0:0:0:1  {sum}\r\n\u{1b} {sum}\nonce x\n\
             assigned \"x\"\nassigned-once 2:0:0:0:0:1\n"
        );
        let (memory, faults) = Memory::parse(text.as_bytes());
        assert!(memory.iter().eq([(&sled(None, 1), IMAGE)]));
        let numbers: Vec<_> = faults.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [2, 3, 5, 6, 7, 8]);
        assert!(faults[0].1.contains("64 hexadecimal digits"), "{faults:?}");
        assert!(faults[1].1.contains("\"nonsense\": expected [LINK/]MAC"), "{faults:?}");
    }

    /// Pieces of valid files, and others.
    fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let sum = "07".repeat(32);
        let known = [
            "2:0:0:0:0:1",
            "net0/2:0:0:0:0:2",
            "eth 0/2:0:0:0:0:3",
            &sum,
            " ",
            "\t",
            "\n",
            "\r\n",
            ONCE,
            ASSIGNED,
            ASSIGNED_ONCE,
            "\"",
            "\"a.img\"",
            "\"\\u0000\"",
            "\\",
            "/",
            ":",
            "\u{1b}",
        ];
        let known = select(known.map(|piece| piece.as_bytes().to_vec()).to_vec());
        let any = proptest::collection::vec(any::<u8>(), 0..4);
        proptest::collection::vec(prop_oneof![9 => known, 1 => any], 0..60)
    }

    proptest! {
        #[test]
        fn any_file_is_read_and_what_it_says_is_written_again(pieces in pieces()) {
            let text = pieces.concat();
            let (memory, faults) = Memory::parse(&text);
            let lines = text.split(|&byte| byte == b'\n').count();
            for (number, _) in &faults {
                prop_assert!((1..=lines).contains(number));
            }
            let again = memory.text();
            let (same, faults) = Memory::parse(again.as_bytes());
            prop_assert!(faults.is_empty(), "{faults:?}");
            prop_assert_eq!(same.text(), again);
        }
    }
}
