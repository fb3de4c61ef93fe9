//! Which path is chosen, and how it is described.

use boot_backends::{OpenOptions, TxPath, open, open_workers};
use boot_netboot::batch::Batch;

use crate::netns::{NEAR, inside, run, sent_by};
use crate::{image, push, sandbox, send_all, via};

#[test]
#[ignore = "needs root and network namespaces"]
fn a_path_that_can_not_be_had_gives_way_to_the_next_and_says_so() {
    inside(1, || {
        let first = via(TxPath::Xdp);
        assert_eq!(
            first.path(),
            Some("AF_XDP in copy mode, queue 0; zero-copy: not in this driver")
        );
        for tx in [TxPath::Xdp, TxPath::Auto] {
            let mut second = open(NEAR, OpenOptions { tx, ..OpenOptions::default() }).unwrap();
            let said = second.path().unwrap().to_owned();
            assert!(said.starts_with("AF_PACKET"), "{said}");
            assert!(said.contains("AF_XDP, queue 0: another program has it"), "{said}");
            let mut batch = Batch::with_capacity(1);
            push(&mut batch, &image(1), 0);
            send_all(&mut second, &mut batch, &mut 0);
        }
        assert_eq!(sent_by(NEAR), 2);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn in_a_sandbox_frames_still_go_out_and_the_link_says_what_was_denied() {
    inside(1, || {
        sandbox::deny_io_uring_and_af_xdp();
        for (tx, denied) in [
            (TxPath::Uring, "io_uring: not permitted here: Operation not permitted"),
            (TxPath::Xdp, "AF_XDP, queue 0: not permitted here: Operation not permitted"),
            (TxPath::Auto, "AF_XDP, queue 0: not permitted here: Operation not permitted"),
        ] {
            let mut link = open(NEAR, OpenOptions { tx, ..OpenOptions::default() }).unwrap();
            let said = link.path().unwrap().to_owned();
            assert!(said.starts_with("AF_PACKET with sendmmsg ("), "{said}");
            assert!(said.contains(denied), "{said}");
            let mut batch = Batch::with_capacity(1);
            push(&mut batch, &image(1), 0);
            send_all(&mut link, &mut batch, &mut 0);
        }
        assert_eq!(sent_by(NEAR), 3);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_shaped_link_is_not_gone_past_unasked() {
    inside(1, || {
        let auto = || {
            let link = open(NEAR, OpenOptions::default()).unwrap();
            link.path().unwrap().to_owned()
        };
        assert_eq!(
            auto(),
            "AF_XDP in copy mode, queue 0, the cheapest path here; zero-copy: not in this driver"
        );
        run("tc", &format!("qdisc add dev {NEAR} root tbf rate 1gbit burst 64kb limit 64kb"));
        let said = auto();
        assert!(said.starts_with("AF_PACKET with sendmmsg (not AF_XDP: it would bypass"), "{said}");
        assert!(said.ends_with("discipline, tbf)"), "{said}");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn each_worker_sends_on_a_queue_of_its_own_while_there_are_queues() {
    inside(2, || {
        let mut workers = open_workers(NEAR, OpenOptions::default(), 3).unwrap();
        let image = image(1);
        let mut batch = Batch::with_capacity(128);
        for (queue, worker) in workers.iter_mut().enumerate() {
            let path = worker.path().unwrap().to_owned();
            if queue < 2 {
                assert!(
                    path.starts_with(&format!("AF_XDP in copy mode, queue {queue}, ")),
                    "{path}"
                );
            } else {
                assert!(path.starts_with("AF_PACKET with sendmmsg (AF_XDP, queue 2: "), "{path}");
            }
            (0..128).for_each(|_| push(&mut batch, &image, 0));
            send_all(worker, &mut batch, &mut 0);
        }
        assert_eq!(sent_by(NEAR), 3 * 128);
        assert_eq!(workers.iter_mut().map(|worker| worker.counters().taken).sum::<u64>(), 3 * 128);
    });
}
