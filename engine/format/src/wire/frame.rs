//! A frame that arrived, parsed.

use super::head::{ETHERNET_LEN, ETHERTYPE, FrameType, HEAD_LEN, MAGIC, destination_of, source_of};
use super::{BLOCK, MacAddr, Offer, OfferError, Read, ReadError};

/// One frame of the boot protocol, borrowed from the bytes that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Where the sender sent it.
    pub destination: MacAddr,
    /// The sender, as the frame claims.
    pub source: MacAddr,
    /// What it says.
    pub message: Message<'a>,
}

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A sled looks for an image; the bytes are a text of its own making, of any length.
    Hello(&'a [u8]),
    /// A server names an image.
    Offer(Offer),
    /// A sled asks for bytes.
    Read(Read<'a>),
    /// A server sends them.
    Data(Data<'a>),
    /// A sled has everything.
    Finished,
    /// A server knows nothing of this sled's boot.
    Reset,
}

/// The body of a DATA frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// Where the bytes belong in the raw contents.
    pub offset: u64,
    /// At most [`BLOCK`] bytes (P8); an empty slice means "past the end" (P17).
    pub bytes: &'a [u8],
    /// Bytes of the frame after those that the length field counts. A sled panics if there are
    /// any, unless `bytes` is empty (P22).
    pub trailing: usize,
}

/// Why bytes are not a frame of the boot protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Too short for the two headers.
    #[error("{found} bytes are not a frame: the headers alone take {HEAD_LEN}")]
    Short {
        /// Bytes in the frame.
        found: usize,
    },
    /// Another protocol's frame.
    #[error("the ethertype is {found:#06x}, not {ETHERTYPE:#06x}")]
    Ethertype {
        /// The ethertype.
        found: u16,
    },
    /// The right ethertype, the wrong protocol.
    #[error("the magic is {found:#010x}, not {MAGIC:#010x}")]
    Magic {
        /// The magic.
        found: u32,
    },
    /// A type that the protocol does not have.
    #[error("{found:#x} is not a frame type")]
    Type {
        /// The type field.
        found: u32,
    },
    /// The length field counts more bytes than the frame has.
    #[error("a {kind:?} says that its body has {wanted} bytes, the frame ends after {found}")]
    Truncated {
        /// The frame's type.
        kind: FrameType,
        /// Bytes after the headers.
        found: usize,
        /// The length field.
        wanted: u32,
    },
    /// The body of a DATA frame is not an offset and up to [`BLOCK`] bytes.
    #[error("a DATA body has 8 to {} bytes, not {found}", 8 + BLOCK)]
    Data {
        /// The length field.
        found: usize,
    },
    /// The body is not a valid OFFER.
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// The body is not a valid READ.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl<'a> Frame<'a> {
    /// Parses `frame`, which starts with the destination address and has no FCS.
    ///
    /// The length field says where the body ends; the rest of the frame is padding (P4). If a
    /// body is longer than its type needs, its end is ignored.
    ///
    /// # Errors
    ///
    /// If the frame is not of this protocol, or its body is shorter than its type or its length
    /// field requires.
    pub fn parse(frame: &'a [u8]) -> Result<Self, FrameError> {
        let short = FrameError::Short { found: frame.len() };
        let (head, rest) = frame.split_first_chunk::<HEAD_LEN>().ok_or(short)?;
        let (destination, source) =
            (destination_of(frame).ok_or(short)?, source_of(frame).ok_or(short)?);
        let ethertype = u16::from_be_bytes([head[12], head[13]]);
        if ethertype != ETHERTYPE {
            return Err(FrameError::Ethertype { found: ethertype });
        }
        let word =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let magic = word(ETHERNET_LEN);
        if magic != MAGIC {
            return Err(FrameError::Magic { found: magic });
        }
        let kind = word(ETHERNET_LEN + 4);
        let kind = FrameType::from_u32(kind).ok_or(FrameError::Type { found: kind })?;
        let length = word(ETHERNET_LEN + 8);
        let body = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let body = body.ok_or(FrameError::Truncated { kind, found: rest.len(), wanted: length })?;
        let message = match kind {
            FrameType::Hello => Message::Hello(body),
            FrameType::Offer => Message::Offer(Offer::parse(body)?),
            FrameType::Read => Message::Read(Read::parse(body)?),
            FrameType::Data => Message::Data(Data::parse(body, rest.len() - body.len())?),
            FrameType::Finished => Message::Finished,
            FrameType::Reset => Message::Reset,
        };
        Ok(Self { destination, source, message })
    }
}

impl<'a> Data<'a> {
    fn parse(body: &'a [u8], trailing: usize) -> Result<Self, FrameError> {
        match body.split_first_chunk::<8>() {
            Some((offset, bytes)) if bytes.len() <= BLOCK => {
                Ok(Self { offset: u64::from_be_bytes(*offset), bytes, trailing })
            }
            _ => Err(FrameError::Data { found: body.len() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Head, emit_read};
    use super::*;
    use crate::Checksum;

    const SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
    const SLED: MacAddr = MacAddr::new([0xa8, 0x40, 0x25, 0, 0, 1]);

    fn frame(kind: FrameType, body: &[u8]) -> Vec<u8> {
        [Head::new(SERVER, SLED, kind, body.len()).as_bytes(), body].concat()
    }

    #[test]
    fn padding_behind_the_body_is_ignored() {
        let mut bytes = frame(FrameType::Hello, b"hi");
        bytes.resize(60, 0);
        let parsed = Frame::parse(&bytes).unwrap();
        assert_eq!(parsed.message, Message::Hello(b"hi"));
        assert_eq!((parsed.destination, parsed.source), (SERVER, SLED));
    }

    #[test]
    fn each_wrong_field_is_named() {
        let good = frame(FrameType::Finished, &[]);
        assert_eq!(Frame::parse(&good[..25]), Err(FrameError::Short { found: 25 }));
        let spoil = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            Frame::parse(&bytes).map(|frame| frame.source).unwrap_err()
        };
        assert_eq!(spoil(12, 8), FrameError::Ethertype { found: 0x08e0 });
        assert_eq!(spoil(14, 0), FrameError::Magic { found: 0x00e1_2345 });
        assert_eq!(spoil(21, 9), FrameError::Type { found: 0x9009 });
        let truncated = FrameError::Truncated { kind: FrameType::Finished, found: 0, wanted: 1 };
        assert_eq!(spoil(25, 1), truncated);
    }

    #[test]
    fn data_says_what_trails_it() {
        let head = Head::data(SLED, SERVER, 7 * 1024, 3);
        let bytes = [head.as_bytes(), &[1, 2, 3], &[0; 23]].concat();
        let expected = Data { offset: 7 * 1024, bytes: &[1, 2, 3], trailing: 23 };
        assert_eq!(Frame::parse(&bytes).unwrap().message, Message::Data(expected));
        let long = frame(FrameType::Data, &[0; 8 + 1025]);
        assert_eq!(Frame::parse(&long), Err(FrameError::Data { found: 1033 }));
    }

    fn body_of_any_kind() -> impl Strategy<Value = (FrameType, Vec<u8>)> {
        let offer = (any::<u64>(), any::<u64>(), any::<[u8; 32]>(), "[a-z/]{0,127}").prop_map(
            |(target_size, image_size, sum, dataset)| {
                let checksum = Checksum::from_bytes(sum);
                let offer = Offer::new(target_size, image_size, checksum, &dataset).unwrap();
                (FrameType::Offer, offer.emit().to_vec())
            },
        );
        let read = proptest::collection::vec(any::<u64>(), 128).prop_map(|offsets| {
            let offsets = <[u64; 128]>::try_from(offsets).unwrap();
            (FrameType::Read, emit_read(128, &offsets).to_vec())
        });
        let data = proptest::collection::vec(any::<u8>(), 8..=1032)
            .prop_map(|body| (FrameType::Data, body));
        let hello = proptest::collection::vec(any::<u8>(), 0..128)
            .prop_map(|body| (FrameType::Hello, body));
        prop_oneof![
            hello,
            offer,
            read,
            data,
            Just((FrameType::Finished, vec![])),
            Just((FrameType::Reset, vec![]))
        ]
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed_back((kind, body) in body_of_any_kind()) {
            let bytes = frame(kind, &body);
            let parsed = Frame::parse(&bytes).unwrap();
            let (found, again) = match parsed.message {
                Message::Hello(text) => (FrameType::Hello, text.to_vec()),
                Message::Offer(offer) => (FrameType::Offer, offer.emit().to_vec()),
                Message::Read(read) => {
                    let offsets = std::array::from_fn(|slot| read.entry(slot).unwrap());
                    (FrameType::Read, emit_read(read.count(), &offsets).to_vec())
                }
                Message::Data(data) => {
                    (FrameType::Data, [&data.offset.to_be_bytes(), data.bytes].concat())
                }
                Message::Finished => (FrameType::Finished, vec![]),
                Message::Reset => (FrameType::Reset, vec![]),
            };
            prop_assert_eq!(found, kind);
            prop_assert_eq!(again, body);
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            kind in 0x9000_u32..0x9110,
            length: u32,
            short in 0_u32..1400,
            body in proptest::collection::vec(any::<u8>(), 0..1500),
        ) {
            let mut bytes = frame(FrameType::Read, &body);
            bytes[18..22].copy_from_slice(&kind.to_be_bytes());
            for length in [length, short, body.len() as u32] {
                bytes[22..26].copy_from_slice(&length.to_be_bytes());
                if let Ok(Frame { message: Message::Read(read), .. }) = Frame::parse(&bytes) {
                    prop_assert!(read.offsets().count() <= Read::MAX_ENTRIES + 1);
                }
            }
            let _ = Frame::parse(&body);
        }
    }
}
