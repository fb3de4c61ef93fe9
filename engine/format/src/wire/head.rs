//! The first bytes of an outgoing frame, built where the payload need not be touched.

use super::MacAddr;

/// The ethertype of the boot protocol (P1).
pub const ETHERTYPE: u16 = 0x1de0;

/// The first four bytes of every protocol header (P3).
pub const MAGIC: u32 = 0x1de1_2345;

/// Bytes of an Ethernet header: destination, source, ethertype.
pub const ETHERNET_LEN: usize = 14;

/// The address that a frame goes to; `None` if it is too short to have one.
pub fn destination_of(frame: &[u8]) -> Option<MacAddr> {
    frame.first_chunk().copied().map(MacAddr::new)
}

/// The address that a frame claims to come from; `None` if it is too short to have one.
pub fn source_of(frame: &[u8]) -> Option<MacAddr> {
    destination_of(frame.get(MacAddr::LEN..)?)
}

/// Bytes of a protocol header: magic, type, length.
pub const PROTOCOL_LEN: usize = 12;

/// Bytes before a frame's body.
pub const HEAD_LEN: usize = ETHERNET_LEN + PROTOCOL_LEN;

/// Bytes before a DATA frame's image bytes: a head, and the offset.
pub const DATA_HEAD_LEN: usize = HEAD_LEN + 8;

/// The type of a frame (P5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum FrameType {
    /// A sled looks for an image.
    Hello = 0x9001,
    /// The server names one.
    Offer = 0x9102,
    /// The sled asks for bytes.
    Read = 0x9003,
    /// The server sends them.
    Data = 0x9104,
    /// The sled has everything.
    Finished = 0x9005,
    /// The server knows nothing of this sled's boot: start over.
    Reset = 0x9106,
}

impl FrameType {
    pub(super) fn from_u32(value: u32) -> Option<Self> {
        [Self::Hello, Self::Offer, Self::Read, Self::Data, Self::Finished, Self::Reset]
            .into_iter()
            .find(|&kind| kind as u32 == value)
    }
}

/// The start of an outgoing frame: Ethernet header, protocol header and, for DATA, the offset.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    bytes: [u8; DATA_HEAD_LEN],
    length: u8,
}

impl Head {
    /// The head of a frame with a body of `body` bytes.
    pub fn new(destination: MacAddr, source: MacAddr, kind: FrameType, body: usize) -> Self {
        let mut bytes = [0; DATA_HEAD_LEN];
        let (to, from) = (0..MacAddr::LEN, MacAddr::LEN..2 * MacAddr::LEN);
        bytes[to].copy_from_slice(&destination.octets());
        bytes[from].copy_from_slice(&source.octets());
        bytes[12..14].copy_from_slice(&ETHERTYPE.to_be_bytes());
        bytes[14..18].copy_from_slice(&MAGIC.to_be_bytes());
        bytes[18..22].copy_from_slice(&(kind as u32).to_be_bytes());
        bytes[22..26].copy_from_slice(&(body as u32).to_be_bytes());
        Self { bytes, length: HEAD_LEN as u8 }
    }

    /// The head of a DATA frame with `length` image bytes that belong at `offset`.
    pub fn data(destination: MacAddr, source: MacAddr, offset: u64, length: usize) -> Self {
        let mut head = Self::new(destination, source, FrameType::Data, 8 + length);
        head.bytes[HEAD_LEN..].copy_from_slice(&offset.to_be_bytes());
        head.length = DATA_HEAD_LEN as u8;
        head
    }

    /// The bytes, as they go out.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}
