//! A channel: a signed list of the images that a server is to have.
//!
//! A file of four lines as `minisign` writes them, a signature, and behind them what is signed, in
//! JSON.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use boot_format::Checksum;
use chrono::{DateTime, Utc};
use minisign_verify::{PublicKey, Signature};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::check::Wanted;
use crate::small;

/// The keys any of which may have signed a channel.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(Vec<PublicKey>);

/// A list that one of the keys has signed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Channel {
    /// Counts up from one list to the next.
    pub(super) serial: u64,
    /// By when a newer list is to be expected.
    pub(super) expires: Option<DateTime<Utc>>,
    /// The images, by their names beside the channel.
    pub(super) images: BTreeMap<String, Wanted>,
    /// The checksum of what was signed.
    pub(super) sum: String,
}

/// Why a channel is not followed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChannelError {
    #[error("it does not begin with the four lines of a minisign signature: {0}")]
    NoSignature(minisign_verify::Error),
    #[error("none of the keys of --channel-key has signed it: {0}")]
    Signature(minisign_verify::Error),
    #[error("what is signed is not a list of images: {0}")]
    Json(#[from] serde_json::Error),
    #[error("its format is {found}, and this server knows 1")]
    Format { found: u64 },
    #[error("it is the channel {found:?}, and {wanted:?} is wanted")]
    Name { found: String, wanted: String },
    #[error("images[{index}].{field}: {reason}")]
    Image { index: usize, field: &'static str, reason: String },
    #[error("expires: {found:?}: {reason}")]
    Expires { found: String, reason: chrono::ParseError },
    #[error("it expired at {0}, and nothing newer was published")]
    Expired(DateTime<Utc>),
    #[error("its serial number went back from {known} to {found}")]
    Back { found: u64, known: u64 },
    #[error("its serial number is still {0}, but the list is another one")]
    Reused(u64),
}

/// What is signed. Fields that are not known here are an error: a newer format has a newer number.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    format: u64,
    channel: String,
    serial: u64,
    expires: Option<String>,
    images: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Where it is, beside the channel.
    file: String,
    /// What the image calls itself, for people.
    #[serde(rename = "name")]
    _name: Option<String>,
    /// The checksum of its contents.
    image_sum: String,
    file_sum: String,
    file_size: u64,
}

impl Keys {
    /// Reads keys, each of which is one itself or in a file as `minisign -G` makes it.
    ///
    /// # Errors
    ///
    /// If one is neither.
    pub(super) fn read(given: &[String]) -> anyhow::Result<Self> {
        let key =
            |given: &String| read_key(given).with_context(|| format!("--channel-key {given}"));
        given.iter().map(key).collect::<anyhow::Result<_>>().map(Self)
    }

    /// Whether there are any.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The key that `given` is, or that is in the file with this path.
///
/// # Errors
///
/// If it is neither.
pub(super) fn read_key(given: &str) -> anyhow::Result<PublicKey> {
    const NEITHER: &str = "neither a minisign key nor a file of one";
    /// A file of a key has two lines: a comment and 56 characters.
    const MOST_BYTES: u64 = 1 << 16;
    if let Ok(key) = PublicKey::from_base64(given) {
        return Ok(key);
    }
    let text = small::read_text(Path::new(given), MOST_BYTES).context(NEITHER)?;
    PublicKey::decode(&text.context(NEITHER)?).context(NEITHER)
}

impl Channel {
    /// More than a list of a thousand images has.
    pub(super) const MOST_BYTES: u64 = 1 << 20;

    /// Reads the channel `name`, which one of the `keys` must have signed.
    ///
    /// # Errors
    ///
    /// If none has, or it is not a list of images.
    pub(super) fn parse(bytes: &[u8], name: &str, keys: &Keys) -> Result<Self, ChannelError> {
        let (signature, signed) = split(bytes);
        let signature = String::from_utf8_lossy(signature);
        let signature = Signature::decode(&signature).map_err(ChannelError::NoSignature)?;
        let mut verdict = Err(minisign_verify::Error::UnexpectedKeyId);
        for key in &keys.0 {
            verdict = key.verify(signed, &signature, false);
            if verdict.is_ok() {
                break;
            }
        }
        verdict.map_err(ChannelError::Signature)?;
        let list: List = serde_json::from_slice(signed)?;
        if list.format != 1 {
            return Err(ChannelError::Format { found: list.format });
        }
        if list.channel != name {
            return Err(ChannelError::Name { found: list.channel, wanted: name.to_owned() });
        }
        let expires = list.expires.map(|found| {
            let time = DateTime::parse_from_rfc3339(&found);
            time.map(|time| time.to_utc()).map_err(|reason| ChannelError::Expires { found, reason })
        });
        let mut images = BTreeMap::new();
        for (index, entry) in list.images.into_iter().enumerate() {
            let fail = |field, reason| ChannelError::Image { index, field, reason };
            let sum = |field, text: &str| {
                text.parse::<Checksum>().map_err(|error| fail(field, error.to_string()))
            };
            let wanted = Wanted {
                contents: Some(sum("image_sum", &entry.image_sum)?),
                file: Some(sum("file_sum", &entry.file_sum)?),
                size: Some(entry.file_size),
            };
            if images.insert(entry.file, wanted).is_some() {
                return Err(fail("file", "it is listed twice".to_owned()));
            }
        }
        let sum = Checksum::from_bytes(Sha256::digest(signed).into()).to_string();
        Ok(Self { serial: list.serial, expires: expires.transpose()?, images, sum })
    }

    /// Whether it may follow the list with the serial number and sum that are `known`.
    ///
    /// # Errors
    ///
    /// If it is older, or has the same serial number and is another list.
    pub(super) fn follows(&self, known: Option<(u64, &str)>) -> Result<(), ChannelError> {
        match known {
            Some((known, _)) if self.serial < known => {
                Err(ChannelError::Back { found: self.serial, known })
            }
            Some((known, sum)) if self.serial == known && self.sum != sum => {
                Err(ChannelError::Reused(known))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a list that expires at `expires` is still valid at `now`.
///
/// # Errors
///
/// If it has expired.
pub(super) fn is_current(
    expires: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<(), ChannelError> {
    match expires {
        Some(expires) if now >= expires => Err(ChannelError::Expired(expires)),
        _ => Ok(()),
    }
}

/// The four lines of the signature, and what is behind them.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let end = ends.map(|(at, _)| at + 1).nth(3).unwrap_or(bytes.len());
    bytes.split_at(end)
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Cursor;

    use minisign::KeyPair;

    use super::*;

    pub(in super::super) fn key_pair() -> KeyPair {
        KeyPair::generate_unencrypted_keypair().unwrap()
    }

    pub(in super::super) fn public(keys: &KeyPair) -> String {
        keys.pk.to_base64()
    }

    /// A channel file: what is signed, with its signature.
    pub(in super::super) fn sign(keys: &KeyPair, list: &str) -> Vec<u8> {
        let signature = minisign::sign(None, &keys.sk, Cursor::new(list), None, None).unwrap();
        [signature.into_string().trim_end(), list].join("\n").into_bytes()
    }

    fn list(serial: u64, more: &str) -> String {
        let sum = "7".repeat(64);
        format!(
            "{{\"format\": 1, \"channel\": \"stable\", \"serial\": {serial}, {more} \"images\": \
             [{{\"file\": \"a.img\", \"name\": \"ci\", \"image_sum\": \"{sum}\", \"file_sum\": \
             \"{sum}\", \"file_size\": 5000}}]}}"
        )
    }

    fn parse(bytes: &[u8], keys: &KeyPair) -> Result<Channel, ChannelError> {
        Channel::parse(bytes, "stable", &Keys::read(&[public(keys)]).unwrap())
    }

    #[test]
    fn a_channel_counts_only_as_it_was_signed() {
        let (keys, others) = (key_pair(), key_pair());
        let good = sign(&keys, &list(7, ""));
        let channel = parse(&good, &keys).unwrap();
        assert_eq!(channel.serial, 7);
        assert_eq!(channel.images["a.img"].size, Some(5000));
        for at in (0..good.len()).step_by(7) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            // The first line is a comment, which is not signed.
            let comment = bad.iter().position(|byte| *byte == b'\n').unwrap();
            if at > comment + 1 {
                assert!(parse(&bad, &keys).is_err(), "byte {at}");
            }
            let _ = parse(&good[..at], &keys).unwrap_err();
        }
        let error = parse(&good, &others).unwrap_err();
        assert!(matches!(error, ChannelError::Signature(_)), "{error}");
        let either = Keys::read(&[public(&others), public(&keys)]).unwrap();
        Channel::parse(&good, "stable", &either).unwrap();
    }

    #[test]
    fn a_signed_list_that_is_not_the_one_that_is_wanted_is_refused() {
        let keys = key_pair();
        let good = list(7, "");
        for (from, to, reason) in [
            ("\"format\": 1", "\"format\": 2", "this server knows 1"),
            ("stable", "nightly", "\"nightly\", and \"stable\" is wanted"),
            ("777777", "", "images[0].image_sum: a checksum has 64 hexadecimal digits, not"),
            ("\"images\"", "\"pictures\"", "unknown field `pictures`"),
            ("\"images\"", "\"expires\": \"soon\", \"images\"", "expires: \"soon\""),
        ] {
            let error = parse(&sign(&keys, &good.replacen(from, to, 1)), &keys).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
        let twice = good
            .replace(
                "}]",
                "}, {\"file\": \"a.img\", \"image_sum\": \"SUM\", \
            \"file_sum\": \"SUM\", \"file_size\": 1}]",
            )
            .replace("SUM", &"7".repeat(64));
        let error = parse(&sign(&keys, &twice), &keys).unwrap_err().to_string();
        assert!(error.contains("images[1].file: it is listed twice"), "{error}");
    }

    #[test]
    fn an_older_list_does_not_come_back() {
        let keys = key_pair();
        let channel = parse(&sign(&keys, &list(7, "")), &keys).unwrap();
        channel.follows(None).unwrap();
        channel.follows(Some((6, ""))).unwrap();
        channel.follows(Some((7, &channel.sum))).unwrap();
        let error = channel.follows(Some((8, ""))).unwrap_err().to_string();
        assert!(error.contains("from 8 to 7"), "{error}");
        channel.follows(Some((7, "another"))).unwrap_err();
    }

    #[test]
    fn a_list_counts_until_it_expires() {
        let keys = key_pair();
        let more = "\"expires\": \"2030-01-01T00:00:00Z\",";
        let channel = parse(&sign(&keys, &list(7, more)), &keys).unwrap();
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
        is_current(channel.expires, at("2029-12-31T23:59:59Z")).unwrap();
        is_current(channel.expires, at("2030-01-01T01:00:00+01:00")).unwrap_err();
        let forever = parse(&sign(&keys, &list(7, "")), &keys).unwrap();
        is_current(forever.expires, at("2999-01-01T00:00:00Z")).unwrap();
    }

    #[test]
    fn keys_are_given_themselves_or_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pub");
        std::fs::write(&file, key_pair().pk.to_box().unwrap().into_string()).unwrap();
        let given = [public(&key_pair()), file.display().to_string()];
        assert_eq!(Keys::read(&given).unwrap().0.len(), 2);
        let error = format!("{:#}", Keys::read(&["RWxyz".to_owned()]).unwrap_err());
        assert!(error.contains("--channel-key RWxyz: neither"), "{error}");
    }
}
