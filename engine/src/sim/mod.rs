//! An Ethernet segment in virtual time.
