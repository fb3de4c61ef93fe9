//! Links whose driver has no zero-copy mode; scripts/try-zero-copy is for those that have.

use std::time::Duration;

use boot_format::wire::{FrameType, Head, MacAddr};
use boot_netboot::batch::Batch;
use nix::net::if_::if_nametoindex;

use self::netns::{FAR, NEAR, inside, ip};
use super::Opener;
use super::program::PassAll;
use crate::packet::attributes::has_xdp_program;
use crate::packet::{look, new_socket};
use crate::{Datalink, OpenOptions, TxPath, open};

#[path = "../../../tests/netns/mod.rs"]
mod netns;

fn near() -> i32 {
    if_nametoindex(NEAR).unwrap().cast_signed()
}

fn via(tx: TxPath) -> Box<dyn Datalink + Send> {
    open(NEAR, OpenOptions { tx, ..OpenOptions::default() }).unwrap()
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_program_passes_frames_and_stays_as_long_as_its_value() {
    inside(1, || {
        let mut link = via(TxPath::Mmsg);
        let program = PassAll::attach(near()).unwrap();
        assert!(has_xdp_program(near()).unwrap());
        let second = PassAll::attach(near()).unwrap_err();
        assert_eq!(second.raw_os_error(), Some(libc::EBUSY));
        let mut far = open(FAR, OpenOptions::default()).unwrap();
        let mut batch = Batch::with_capacity(128);
        for _ in 0..20 {
            (0..100).for_each(|_| {
                batch.push_body(
                    Head::new(MacAddr::BROADCAST, far.address(), FrameType::Hello, 3),
                    b"abc",
                );
            });
            assert_eq!(far.send(&mut batch).unwrap().taken, 100);
            let mut heard = 0;
            while heard < 100 {
                let before = heard;
                link.receive(Duration::from_secs(5), false, &mut |_| heard += 1).unwrap();
                assert!(heard > before, "{heard} of 100");
            }
        }
        drop(program);
        assert!(!has_xdp_program(near()).unwrap());
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_link_whose_driver_has_no_zero_copy_gets_no_program() {
    inside(1, || {
        for tx in [TxPath::Auto, TxPath::Xdp] {
            let link = via(tx);
            let said = link.path().unwrap();
            assert!(said.starts_with("AF_XDP in copy mode, queue 0"), "{said}");
            assert!(said.ends_with("; zero-copy: not in this driver"), "{said}");
            assert!(!has_xdp_program(near()).unwrap());
        }
    });
}

/// The description of queue 0 of the near end, if its driver is taken for one with zero-copy.
fn said_of_near() -> String {
    let (mut socket, facts) = (new_socket(NEAR).unwrap(), look(NEAR).unwrap());
    socket.bind(&facts).unwrap();
    let mut opener = Opener::new(true);
    opener.has_mode = Some(true);
    opener.open(&socket, &facts, 0).unwrap().describe(0, "")
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_driver_that_refuses_zero_copy_is_used_in_copy_mode() {
    inside(1, || {
        let copy = "AF_XDP in copy mode, queue 0; zero-copy: not in this driver";
        assert_eq!(said_of_near(), copy);
        assert!(!has_xdp_program(near()).unwrap());
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_program_of_somebody_elses_is_let_alone() {
    inside(1, || {
        let program = PassAll::attach(near()).unwrap();
        let said = said_of_near();
        let reason = "; zero-copy: the link already has an XDP program";
        assert_eq!(said, format!("AF_XDP in copy mode, queue 0{reason}"));
        assert!(has_xdp_program(near()).unwrap());
        drop(program);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_long_mtu_is_told_as_the_reason() {
    inside(1, || {
        ip(&format!("link set {NEAR} mtu 9000"));
        let said = said_of_near();
        let reason = "; zero-copy: the MTU of 9000 is over 3046";
        assert_eq!(said, format!("AF_XDP in copy mode, queue 0{reason}"));
    });
}
