//! The page in a real browser: 256 sleds, wide and narrow, light and dark, by keyboard and with a
//! screen reader's view. The pictures are in `target/page/`.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use boot_format::Checksum;
use boot_format::wire::MacAddr;
use boot_netboot::server::{EventKind, Summary};

use super::chromium::Chromium;
use super::*;
use crate::service::events::{ImageEvent, LinkEvent};

const SLEDS: u16 = 256;
const SIZE: u64 = 1200 << 20;

fn sled(number: u16) -> MacAddr {
    let [high, low] = number.to_be_bytes();
    MacAddr::new([0xa8, 0x40, 0x25, 0, high, low])
}

fn image(number: u8) -> Checksum {
    Checksum::from_bytes(std::array::from_fn(|at| number.wrapping_mul(37).wrapping_add(at as u8)))
}

/// A rack at work, as an operator would find it.
struct Scene {
    rack: Arc<Mutex<Rack>>,
    names: Names,
    start: Instant,
}

impl Scene {
    fn note(&self, second: u64, link: &str, address: Option<MacAddr>, what: What) {
        let now = self.start + Duration::from_secs(second);
        let time = SystemTime::now() - Duration::from_secs(600 - second);
        let name = address.and_then(|address| self.names.of(Some(link), address));
        let event = Event { time, link: Some(link.into()), sled: address, name, what };
        let mut rack = lock(&self.rack);
        rack.note(now, &event, &self.names);
        if let Some(record) = record(&event) {
            rack.remember(record);
        }
    }

    fn sled(&self, second: u64, number: u16, kind: EventKind) {
        let link = if number.is_multiple_of(2) { "net0" } else { "net1" };
        self.note(second, link, Some(sled(number)), What::Sled(kind));
    }

    fn new(rack: &Arc<Mutex<Rack>>) -> Self {
        let names = Names::default();
        let named = (0..SLEDS).filter(|number| number % 4 != 3).map(|number| {
            let name = format!("rack-{:02}-sled-{:02}", number / 32, number % 32);
            (crate::service::SledAt { link: None, address: sled(number) }, name.into())
        });
        names.set(named);
        Self { rack: Arc::clone(rack), names, start: Instant::now() }
    }

    fn set(&self) {
        for (link, workers) in [("net0", 2), ("net1", 1)] {
            let path = "AF_XDP in zero-copy mode, queue 0".to_owned();
            let opened = LinkEvent::Opened { path, worker: 1, workers };
            self.note(1, link, None, What::Link(opened));
        }
        let served = |number: u8, name: &str| InService {
            path: format!("images/{name}.img").into(),
            name: format!("ci 0123abc/4567def {name}"),
            size: SIZE,
            checksum: image(number),
        };
        let images = vec![served(1, "zfs"), served(2, "recovery"), served(3, "<img src=x>")];
        self.note(1, "net0", None, What::InService(images));
        for number in [1, 2] {
            let verdict = |source: &str, accepted: bool, meant, reason: &str| SourceVerdict {
                source: source.to_owned(),
                accepted,
                meant,
                reason: if accepted { String::new() } else { reason.to_owned() },
            };
            let verdicts = vec![
                verdict("disk", true, true, ""),
                verdict("network", true, true, ""),
                verdict("sp", number == 2, number == 2, "the image is not compressed"),
                verdict("installer", true, true, ""),
                verdict("agent", number == 1, true, "the dataset name is empty"),
            ];
            let checksum = image(number);
            self.note(1, "net0", None, What::Judged(Judged { checksum, verdicts }));
        }
        let refused = ImageEvent::Refused {
            reason: "images/new.img: the contents' SHA-256 is not that of the header".to_owned(),
            never_good: false,
            before: crate::service::events::Before::Kept,
        };
        self.note(2, "net0", None, What::Image(Box::new(refused)));
        self.note(3, "net1", Some(sled(9999)), What::Sled(EventKind::NotServed));
        for number in 0..SLEDS {
            self.boot(number);
        }
        self.note(599, "net1", None, What::Link(LinkEvent::Down));
    }

    /// Some have booted, some are booting, and some have failed.
    fn boot(&self, number: u16) {
        let begin = 10 + u64::from(number) * 2;
        self.sled(begin, number, EventKind::Hello { again: false });
        if number % 31 == 30 {
            return;
        }
        let checksum = image(1 + (number % 2) as u8);
        self.sled(begin, number, EventKind::Offered { checksum, repeated: false });
        if number % 37 == 36 {
            return;
        }
        self.sled(begin, number, EventKind::Started { size: SIZE });
        let to = if number < 190 { 10 } else { 1 + u64::from(number) % 9 };
        for step in 1..=to {
            let bytes = SIZE / 10 * step;
            let second = (begin + step * 4).min(598);
            self.sled(second, number, EventKind::Progress { bytes, size: SIZE });
        }
        let bytes = SIZE / 10 * to;
        match number {
            _ if number % 41 == 40 => self.sled(599, number, EventKind::Lost { bytes, size: SIZE }),
            _ if number % 43 == 42 => {
                self.sled(599, number, EventKind::Stalled { bytes, size: SIZE });
            }
            0..190 => {
                let time = Duration::from_millis(2200 + u64::from(number) * 10);
                let again = u64::from(number % 5);
                let (frames, early, needless, assumed) = (1_228_800, again * 7, again, false);
                let summary = Summary { time, size: SIZE, frames, again, early, needless, assumed };
                self.sled((begin + 50).min(599), number, EventKind::Finished(summary));
            }
            _ => {}
        }
    }
}

#[test]
#[ignore = "needs chromium"]
fn the_page_shows_256_sleds_in_a_browser() {
    let rack = Arc::new(Mutex::new(Rack::default()));
    let scene = Scene::new(&rack);
    scene.set();
    let address = StatusAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
    let service = Service::start(
        Bound::bind(&address).unwrap(),
        Arc::clone(&rack),
        Metrics::default(),
        desk(false),
    )
    .unwrap();
    let mut chromium = Chromium::start();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/page");
    fs::create_dir_all(&folder).unwrap();
    for (width, height) in [(1280, 1600), (390, 1600)] {
        for scheme in ["light", "dark"] {
            chromium.look(width, height, scheme);
            chromium.open(service.address());
            chromium
                .until("document.body?.dataset.drawn && document.querySelector('#plot .curve')");
            // Nothing overflows the page.
            let overflow = "document.documentElement.scrollWidth - window.innerWidth";
            assert_eq!(chromium.evaluate(overflow), 0, "{width}");
            let cut = "[...document.querySelectorAll('#sleds .row > span')]\
                       .filter((part) => part.scrollWidth > part.clientWidth).length";
            assert_eq!(chromium.evaluate(cut), 0, "{width}: no figure of a sled is cut short");
            let hidden = "[...document.querySelectorAll('.scroll, #links td')]\
                          .filter((part) => part.scrollWidth > part.clientWidth).length";
            assert_eq!(chromium.evaluate(hidden), 0, "{width}: nothing of a link is out of sight");
            fs::write(folder.join(format!("{width}-{scheme}.png")), chromium.picture()).unwrap();
            chromium.evaluate("document.getElementById('images-title').scrollIntoView()");
            let name = format!("{width}-{scheme}-below.png");
            fs::write(folder.join(name), chromium.picture()).unwrap();
        }
    }
    the_page_has_all(&mut chromium);
    the_page_is_live(&mut chromium, &scene);
    the_page_works_by_keyboard(&mut chromium);
    the_page_can_be_read_aloud(&mut chromium);
    drop(service);
}

fn the_page_has_all(chromium: &mut Chromium) {
    let count = |selector: &str| format!("document.querySelectorAll('{selector}').length");
    assert_eq!(chromium.evaluate(&count("#sleds > li")), SLEDS);
    assert_eq!(chromium.evaluate(&count("#images > li")), 3);
    assert_eq!(chromium.evaluate(&count("#ignored > li")), 1);
    assert_eq!(chromium.evaluate(&count("#links > tr")), 2);
    assert_eq!(chromium.evaluate(&count("main img")), 0, "a name is no markup");
    let text = chromium.evaluate("document.body.textContent").as_str().unwrap().to_owned();
    for part in ["rack-03-sled-04", "ci 0123abc/4567def <img src=x>", "refuses: the image", "net1"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

fn the_page_is_live(chromium: &mut Chromium, scene: &Scene) {
    let state = "document.querySelector('#sleds > li.waiting h3').textContent";
    let waiting = chromium.evaluate(state).as_str().unwrap().to_owned();
    assert_eq!(waiting, "rack-00-sled-30");
    scene.sled(599, 30, EventKind::Started { size: SIZE });
    chromium.until(
        "[...document.querySelectorAll('#sleds > li.reading h3')].some((title) => \
         title.textContent === 'rack-00-sled-30')",
    );
}

fn the_page_works_by_keyboard(chromium: &mut Chromium) {
    let shown =
        "[...document.querySelectorAll('#sleds > li')].filter((tile) => !tile.hidden).length";
    chromium.evaluate("document.getElementById('find').focus()");
    let insert = serde_json::json!({ "text": "rack-03" });
    chromium.call("Input.insertText", &insert);
    assert_eq!(chromium.evaluate(shown), 24, "three of four sleds of the rack have names");
    chromium.press("Tab");
    let focused = "document.activeElement.parentElement.textContent";
    assert_eq!(chromium.evaluate(focused), "reading", "the next is the first of the states");
    for _ in 0..4 {
        chromium.press("Tab");
    }
    assert_eq!(chromium.evaluate(focused), "booted");
    let before = chromium.evaluate(shown);
    chromium.press(" ");
    assert_ne!(chromium.evaluate(shown), before, "booted sleds are hidden");
    chromium.press(" ");
    chromium.evaluate(
        "{ const find = document.getElementById('find'); find.value = ''; \
                       find.dispatchEvent(new Event('input')); }",
    );
    assert_eq!(chromium.evaluate(shown), SLEDS);
}

fn the_page_can_be_read_aloud(chromium: &mut Chromium) {
    chromium.call("Accessibility.enable", &serde_json::json!({}));
    let tree = chromium.call("Accessibility.getFullAXTree", &serde_json::json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let named = |role: &str| {
        let of_role = nodes.iter().filter(|node| node["role"]["value"] == *role);
        of_role.map(|node| node["name"]["value"].as_str().unwrap_or("")).collect::<Vec<_>>()
    };
    for heading in ["Sleds", "Images", "Links", "rack-03-sled-04"] {
        assert!(named("heading").contains(&heading), "{heading}: {:?}", named("heading"));
    }
    assert!(named("status").len() == 1 && named("main").len() == 1);
    let bars = named("progressbar");
    assert!(bars.len() == usize::from(SLEDS) && bars.contains(&"Progress of rack-03-sled-04"));
    assert!(named("checkbox").contains(&"booted") && named("searchbox") == ["Find"]);
    let pictures = [named("image"), named("img")].concat();
    assert!(pictures.iter().any(|name| name.starts_with("Throughput: ")), "{pictures:?}");
    for role in ["checkbox", "searchbox", "link", "progressbar", "table"] {
        assert!(named(role).iter().all(|name| !name.is_empty() || role == "table"), "{role}");
    }
}
