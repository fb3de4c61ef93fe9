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
        pace: Pace::Auto,
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
