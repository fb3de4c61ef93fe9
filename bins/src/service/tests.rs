use std::time::Duration;

use boot_backends::TxPath;

use super::*;

fn options(images: &[&str], assigned: &[(&str, &str)]) -> ServeOptions {
    ServeOptions {
        links: Links::Line("net0".to_owned()),
        images: images.iter().map(PathBuf::from).collect(),
        sleds: assigned
            .iter()
            .map(|(sled, image)| format!("{sled}={image}").parse::<Assignment>().unwrap())
            .map(SledEntry::from)
            .collect(),
        serve: Serve::All,
        stop: false,
        timeout: Some(Duration::from_secs(1)),
        state: None,
        quiet: false,
        map: false,
        tx: TxPath::Auto,
        share_link: false,
        config: None,
        user: None,
        workers: None,
        rates: Rates::default(),
        together: None,
        fetch: FetchOptions {
            cache: None,
            cache_size: 1 << 30,
            refresh: Duration::from_mins(1),
            channel_keys: Vec::new(),
        },
        reporting: Reporting::default(),
    }
}

#[test]
fn an_image_that_is_named_twice_is_loaded_once() {
    let assigned = [("2:0:0:0:0:1", "b.img"), ("2:0:0:0:0:2", "c.img"), ("2:0:0:0:0:3", "c.img")];
    let options = options(&["a.img", "b.img"], &assigned);
    let plan = Plan::new(&options, &[]).unwrap();
    assert_eq!(plan.places(), ["a.img", "b.img", "c.img"].map(PathBuf::from));
}

#[test]
fn the_workers_of_a_link_are_counted_together() {
    let links = ["net0", "net0", "net1"].map(str::to_owned);
    let mut counts = [Counts::default(); 3];
    for (count, taken) in counts.iter_mut().zip([1, 20, 300]) {
        count.link.taken = taken;
    }
    let sums = by_link(&links, &counts);
    let sums: Vec<_> = sums.iter().map(|(link, sum)| (*link, sum.link.taken)).collect();
    assert_eq!(sums, [("net0", 21), ("net1", 300)]);
}

#[test]
fn the_workers_of_a_link_share_its_rate() {
    assert_eq!(format!("{:?}", share(Pace::AtMost(900.0), 3)), "AtMost(300.0)");
    assert!(matches!(share(Pace::Auto, 3), Pace::Auto));
}

#[test]
fn who_is_served_is_said_in_words() {
    let sleds = ["2:0:0:0:0:1", "2:0:0:0:0:2"].map(|sled| sled.parse().unwrap());
    assert_eq!(who(&Serve::All), "every sled");
    assert_eq!(who(&Serve::First), "the first sled that says hello");
    let these = who(&Serve::These(sleds.into_iter().collect()));
    assert_eq!(these, "02:00:00:00:00:01, 02:00:00:00:00:02");
}

mod silence {
    use std::time::Duration;

    use boot_netboot::time::Instant;

    use crate::service::silence::{Lasts, Silence};

    const LIMIT: Duration = Duration::from_secs(2);

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn the_time_in_which_images_load_is_no_silence() {
        let silence = Silence::new(1);
        silence.wait(at(30));
        silence.drained(0, at(31));
        assert_eq!(silence.lasts(at(31), LIMIT, 0), Lasts::Short);
        silence.drained(0, at(32));
        assert_eq!(silence.lasts(at(32), LIMIT, 0), Lasts::Over);
    }

    #[test]
    fn nothing_ends_while_any_worker_has_frames_to_read() {
        let silence = Silence::new(2);
        silence.heard(at(5));
        assert_eq!(silence.lasts(at(6), LIMIT, 0), Lasts::Short);
        assert_eq!(silence.lasts(at(9), LIMIT, 0), Lasts::MayBeOver);
        silence.drained(0, at(8));
        assert_eq!(silence.lasts(at(9), LIMIT, 0), Lasts::Here);
        assert_eq!(silence.lasts(at(9), LIMIT, 1), Lasts::MayBeOver);
        silence.heard(at(9));
        assert_eq!(silence.lasts(at(9), LIMIT, 1), Lasts::Short);
        silence.drained(0, at(11));
        silence.drained(1, at(11));
        assert_eq!(silence.lasts(at(11), LIMIT, 1), Lasts::Over);
    }
}
