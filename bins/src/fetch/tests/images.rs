//! Single images, and folders of them.

use std::time::Instant;

use super::super::Fetcher;
use super::server::Trick;
use super::*;
use crate::service::FetchOptions;
use crate::service::events::{FetchEvent, What, heard};

/// A size within the image, behind its header.
const SOME: usize = 300_000;

/// Has image 0 at `/x.img` in service.
fn with_first(lab: &mut Lab) -> Follower {
    lab.server.put("/x.img", &image(0).bytes, Some("0"));
    let mut follower = lab.follow("/x.img");
    refresh(&mut follower).unwrap();
    assert_eq!(lab.sums(&follower), [image(0).contents]);
    lab.server.take_requests();
    follower
}

fn has(request: &str, lines: &[&str]) -> bool {
    lines.iter().all(|line| request.lines().any(|there| there == *line))
}

#[test]
fn what_has_not_changed_is_not_fetched_again() {
    let mut lab = Lab::new();
    let mut follower = with_first(&mut lab);
    refresh(&mut follower).unwrap();
    let requests = lab.server.take_requests();
    assert!(requests.len() == 1 && has(&requests[0], &["if-none-match: \"0\""]), "{requests:?}");
    lab.server.put("/x.img", &image(1).bytes, Some("1"));
    refresh(&mut follower).unwrap();
    assert_eq!(lab.sums(&follower), [image(1).contents]);
    // The old one is kept as long as there is room.
    assert!(lab.cache().image(image(0).contents).exists());
}

#[test]
fn what_broke_off_is_continued_from_there() {
    let mut lab = Lab::new();
    lab.server.put("/x.img", &image(0).bytes, Some("0"));
    lab.server.play("/x.img", [Trick::Cut(SOME), Trick::Cut(SOME)]);
    let mut follower = lab.follow("/x.img");
    for _ in 0..2 {
        refresh(&mut follower).unwrap_err();
        assert!(follower.take_progress() && lab.sums(&follower).is_empty());
    }
    // Also by the next server that uses the cache.
    drop(follower);
    lab.cache = None;
    let mut follower = lab.follow("/x.img");
    refresh(&mut follower).unwrap();
    assert_eq!(lab.sums(&follower), [image(0).contents]);
    let requests = lab.server.take_requests();
    let range = format!("range: bytes={}-", 2 * SOME);
    assert!(has(&requests[2], &[&range, "if-match: \"0\""]), "{}", requests[2]);
    assert!(lab.parts().is_empty());
}

#[test]
fn two_versions_are_never_mixed() {
    // The others are of servers that ignore ranges and conditions, or conditions only.
    for tricks in [vec![], vec![Trick::Plain], vec![Trick::Unconditional]] {
        let mut lab = Lab::new();
        lab.server.put("/x.img", &image(0).bytes, Some("0"));
        lab.server.play("/x.img", [Trick::Cut(SOME)]);
        let mut follower = lab.follow("/x.img");
        refresh(&mut follower).unwrap_err();
        lab.server.take_requests();
        lab.server.put("/x.img", &image(1).bytes, Some("1"));
        lab.server.play("/x.img", tricks);
        refresh(&mut follower).unwrap();
        assert_eq!(lab.sums(&follower), [image(1).contents]);
        assert_eq!(lab.server.take_requests().len(), 2);
    }
}

#[test]
fn without_a_strong_tag_it_begins_anew() {
    for weak in [false, true] {
        let mut lab = Lab::new();
        lab.server.put("/x.img", &image(0).bytes, weak.then_some("0"));
        if weak {
            lab.server.weaken("/x.img");
        }
        lab.server.play("/x.img", [Trick::Cut(SOME)]);
        let mut follower = lab.follow("/x.img");
        refresh(&mut follower).unwrap_err();
        lab.server.take_requests();
        refresh(&mut follower).unwrap();
        assert!(!lab.server.take_requests().concat().contains("range:"));
        assert_eq!(lab.sums(&follower), [image(0).contents]);
    }
}

#[test]
fn what_is_broken_is_never_in_service_and_not_fetched_twice() {
    let flipped = |at: usize| {
        let mut bytes = image(1).bytes;
        bytes[at] ^= 1;
        bytes
    };
    let short = image(1).bytes[..SOME].to_vec();
    let page = b"<html>Please log in</html>".repeat(1000);
    for (bytes, reason) in [
        (flipped(SOME), "the contents' SHA-256 is"),
        (flipped(0), "magic"),
        (short, "cut short"),
        (page, "magic"),
        (vec![], "bytes"),
        (b"oh".to_vec(), "bytes"),
    ] {
        let mut lab = Lab::new();
        let mut follower = with_first(&mut lab);
        lab.server.put("/x.img", &bytes, Some("bad"));
        let error = refresh(&mut follower).unwrap_err();
        assert!(error.contains(reason), "{reason}: {error}");
        assert_eq!(refresh(&mut follower).unwrap_err(), error);
        let requests = lab.server.take_requests();
        assert!(has(&requests[1], &["if-none-match: \"bad\""]), "{}", requests[1]);
        assert_eq!(lab.sums(&follower), [image(0).contents]);
        assert!(lab.parts().is_empty());
        // Until there is something else.
        lab.server.put("/x.img", &image(2).bytes, Some("good"));
        refresh(&mut follower).unwrap();
        assert_eq!(lab.sums(&follower), [image(2).contents]);
    }
}

#[test]
fn a_body_that_ends_early_is_no_image() {
    let mut lab = Lab::new();
    let mut follower = with_first(&mut lab);
    lab.server.put("/x.img", &image(1).bytes, Some("1"));
    lab.server.play("/x.img", [Trick::Short(1)]);
    let error = refresh(&mut follower).unwrap_err();
    assert!(error.contains("cut short"), "{error}");
    assert_eq!(lab.sums(&follower), [image(0).contents]);
}

#[test]
fn a_store_that_refuses_is_quoted_and_changes_nothing() {
    const EXPIRED: &str = "<Error><Code>ExpiredToken</Code><Message>too old</Message></Error>";
    let mut lab = Lab::new();
    let mut follower = with_first(&mut lab);
    lab.server.put("/x.img", &image(1).bytes, Some("1"));
    for (status, body, reason) in [
        ("403 Forbidden", EXPIRED, "the store refuses: 403 Forbidden: ExpiredToken: too old"),
        ("401 Unauthorized", "", "the store refuses: 401 Unauthorized"),
        ("404 Not Found", "", "there is nothing of this name: 404 Not Found"),
        ("500 Internal Server Error", "", "500 Internal Server Error"),
        ("503 Service Unavailable", "busy", "503 Service Unavailable: busy"),
    ] {
        lab.server.play("/x.img", [Trick::Status(status, body)]);
        assert_eq!(refresh(&mut follower).unwrap_err(), reason);
        assert_eq!(lab.sums(&follower), [image(0).contents]);
    }
    refresh(&mut follower).unwrap();
    assert_eq!(lab.sums(&follower), [image(1).contents]);
}

#[test]
fn a_redirect_is_followed() {
    let mut lab = Lab::new();
    lab.server.put("/there.img", &image(0).bytes, Some("0"));
    lab.server.play("/x.img", [Trick::Redirect(lab.server.url("/there.img"))]);
    let mut follower = lab.follow("/x.img");
    refresh(&mut follower).unwrap();
    assert_eq!(lab.sums(&follower), [image(0).contents]);
}

#[test]
fn silence_and_drips_come_to_an_end() {
    for trick in [Trick::Stall(SOME), Trick::Drip(Duration::from_millis(20))] {
        let mut lab = Lab::new();
        lab.server.put("/x.img", &image(0).bytes, Some("0"));
        lab.server.play("/x.img", [trick]);
        let url = lab.server.url("/x.img");
        let mut follower = lab.follow_url(&url, SHORT);
        let error = refresh(&mut follower).unwrap_err();
        // On a busy machine, the answer itself may take too long.
        let reasons = ["stalled: ", "no answer for "];
        assert!(reasons.iter().any(|reason| error.starts_with(reason)), "{error}");
        assert!(lab.sums(&follower).is_empty());
    }
}

#[test]
fn a_store_that_is_away_leaves_the_last_good_image_in_service_also_after_a_restart() {
    let mut lab = Lab::new();
    drop(with_first(&mut lab));
    lab.cache = None;
    // Nothing listens there.
    lab.server.remove("/x.img");
    let mut follower = lab.follow("/x.img");
    wait(follower.recheck()).unwrap();
    refresh(&mut follower).unwrap_err();
    assert_eq!(lab.sums(&follower), [image(0).contents]);
    // And an image that was corrupted meanwhile is fetched again.
    let path = lab.cache().image(image(0).contents);
    fs::write(path, b"broken").unwrap();
    wait(follower.recheck()).unwrap();
    assert!(lab.sums(&follower).is_empty());
    lab.server.put("/x.img", &image(0).bytes, Some("0"));
    refresh(&mut follower).unwrap();
    assert_eq!(lab.sums(&follower), [image(0).contents]);
}

#[test]
fn a_pinned_image_is_the_one_or_none_and_is_fetched_once() {
    let mut lab = Lab::new();
    lab.server.put("/x.img", &image(1).bytes, Some("1"));
    let url = format!("{}#sha256={}", lab.server.url("/x.img"), image(0).contents);
    let mut follower = lab.follow_url(&url, LONG);
    let error = refresh(&mut follower).unwrap_err();
    let (found, wanted) = (image(1).contents, image(0).contents);
    let reason = format!("SHA-256 is {found} by its header, and should be {wanted}");
    assert!(error.contains(&reason), "{error}");
    assert!(lab.sums(&follower).is_empty());
    lab.server.put("/x.img", &image(0).bytes, Some("0"));
    refresh(&mut follower).unwrap();
    lab.server.take_requests();
    refresh(&mut follower).unwrap();
    assert!(lab.server.take_requests().is_empty());
    assert_eq!(lab.sums(&follower), [image(0).contents]);
}

#[test]
fn what_the_cache_has_already_is_not_fetched_to_the_end() {
    let mut lab = Lab::new();
    let first = with_first(&mut lab);
    lab.server.put("/copy.img", &image(0).bytes, Some("copy"));
    // Only the header arrives, and a little more.
    lab.server.play("/copy.img", [Trick::Cut(8192)]);
    let mut copy = lab.follow("/copy.img");
    refresh(&mut copy).unwrap();
    assert_eq!(lab.sums(&copy), lab.sums(&first));
}

#[test]
fn a_password_is_sent_and_not_shown() {
    let mut lab = Lab::new();
    lab.server.put("/x.img", &image(0).bytes, Some("0"));
    lab.server.play("/x.img", [Trick::Status("403 Forbidden", "no")]);
    let url = format!("http://user:secret@{}/x.img?sig=secret", lab.server.address);
    let mut follower = lab.follow_url(&url, LONG);
    let error = refresh(&mut follower).unwrap_err();
    refresh(&mut follower).unwrap();
    for request in lab.server.take_requests() {
        assert!(has(&request, &["authorization: basic dxnlcjpzzwnyzxq="]), "{request}");
        assert!(request.starts_with("get /x.img?sig=secret "), "{request}");
    }
    let key = follower.source.key();
    let known = fs::read_to_string(lab.folder.path().join(format!("cache/sources/{key}.json")));
    let shown = format!("{error}{}{:?}{key}{}", follower.source, follower.source, known.unwrap());
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn an_image_for_which_there_is_no_room_is_refused_before_it_is_fetched() {
    let mut lab = Lab::new();
    let folder = lab.folder.path().join("cache");
    lab.cache = Some(Arc::new(Cache::open(&folder, 2 << 20, Events::unheard()).unwrap()));
    let mut follower = with_first(&mut lab);
    lab.server.put("/x.img", &image(1).bytes, Some("1"));
    let error = refresh(&mut follower).unwrap_err();
    assert!(error.contains("raise --cache-size, which is 2 MiB"), "{error}");
    assert_eq!(lab.sums(&follower), [image(0).contents]);
    assert!(lab.parts().is_empty());
}

#[test]
fn a_folder_of_files_is_followed_image_by_image() {
    let mut lab = Lab::new();
    let share = lab.folder.path().join("share");
    fs::create_dir(&share).unwrap();
    // With and without the slash.
    let url = format!("file://{}", share.display());
    let mut follower = lab.follow_url(&url, LONG);
    let key = follower.source.key();
    refresh(&mut follower).unwrap_err();
    fs::write(share.join("a.img"), image(0).bytes).unwrap();
    fs::write(share.join("b.img"), image(1).bytes).unwrap();
    fs::write(share.join("notes"), "no image").unwrap();
    refresh(&mut follower).unwrap();
    let both = [("a.img".to_owned(), image(0).contents), ("b.img".to_owned(), image(1).contents)];
    let served = lab.cache().served(&key).unwrap();
    assert_eq!(served, BTreeMap::from(both.clone()));
    // If one is broken, its last good version stays, and the others are not held up.
    fs::write(share.join("a.img"), b"broken").unwrap();
    fs::write(share.join("c.img"), image(2).bytes).unwrap();
    let error = refresh(&mut follower).unwrap_err();
    assert!(error.starts_with("a.img: "), "{error}");
    let all = BTreeMap::from(both).into_iter().chain([("c.img".to_owned(), image(2).contents)]);
    assert_eq!(lab.cache().served(&key).unwrap(), all.collect());
    fs::remove_file(share.join("a.img")).unwrap();
    refresh(&mut follower).unwrap();
    assert_eq!(lab.cache().served(&key).unwrap().len(), 2);
}

#[test]
fn the_thread_follows_what_it_is_told_to_and_nothing_else() {
    let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
    let options = FetchOptions {
        cache: Some(folder.path().join("cache")),
        cache_size: 4 << 20,
        refresh: Duration::from_hours(1),
        channel_keys: Vec::new(),
    };
    let urls = ["/0.img", "/1.img"].map(|path| PathBuf::from(server.url(path)));
    let local = Path::new("local.img");
    let events = Events::unheard();
    assert!(Fetcher::start(&options, std::iter::once(local), &events).unwrap().is_none());
    let fetcher =
        Fetcher::start(&options, [local, &urls[0]].into_iter(), &events).unwrap().unwrap();
    let [_, second] = [0, 1].map(|number| {
        let path = format!("/{number}.img");
        server.put(&path, &image(number).bytes, Some("0"));
        fetcher.look_again();
        fetcher.follow(urls.iter().map(PathBuf::as_path)).unwrap();
        let place = fetcher.place(&urls[number]);
        let until = Instant::now() + Duration::from_mins(1);
        while !place.join(&path[1..]).exists() {
            assert!(Instant::now() < until, "{path} does not come");
            std::thread::sleep(Duration::from_millis(2));
        }
        place
    });
    assert_eq!(fetcher.place(local), local);
    fetcher.follow(std::iter::once(urls[1].as_path())).unwrap();
    assert_eq!(fetcher.place(&urls[1]), second);
    assert_eq!(fetcher.place(&urls[0]), urls[0]);
    fetcher.follow(std::iter::once(Path::new("gs://b/x"))).unwrap_err();
}

#[test]
fn what_comes_of_a_url_is_told_and_the_same_thing_once() {
    let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
    let options = FetchOptions {
        cache: Some(folder.path().join("cache")),
        cache_size: 4 << 20,
        refresh: Duration::from_hours(1),
        channel_keys: Vec::new(),
    };
    let (events, told) = heard();
    let url = PathBuf::from(server.url("/zfs.img"));
    let fetcher = Fetcher::start(&options, std::iter::once(url.as_path()), &events);
    let _fetcher = fetcher.unwrap().unwrap();
    let mut all = Vec::new();
    let mut until_told = |wanted: fn(&FetchEvent) -> bool| {
        let until = Instant::now() + Duration::from_mins(1);
        while !all.iter().any(wanted) {
            assert!(Instant::now() < until, "{all:?}");
            std::thread::sleep(Duration::from_millis(2));
            all.extend(told().into_iter().filter_map(|event| match event.what {
                What::Fetch(event) => Some(*event),
                _ => None,
            }));
        }
        all.clone()
    };
    until_told(|event| matches!(event, FetchEvent::Failed { kept: false, .. }));
    server.put("/zfs.img", &image(0).bytes, Some("0"));
    let all = until_told(|event| matches!(event, FetchEvent::Recovered { .. }));
    let [FetchEvent::Failed { .. }, FetchEvent::Fetched { checksum, .. }, _] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!(*checksum, image(0).contents);
}
