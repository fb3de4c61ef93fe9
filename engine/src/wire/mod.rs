//! The protocol's bytes: frames in as borrowed, checked views, frames out as small heads.

mod head;
mod mac;

pub use head::{
    DATA_HEAD_LEN, ETHERNET_LEN, ETHERTYPE, FrameType, HEAD_LEN, Head, MAGIC, PROTOCOL_LEN,
};
pub use mac::{MacAddr, ParseMacAddrError};
