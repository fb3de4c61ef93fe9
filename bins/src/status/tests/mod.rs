//! The service as a client sees it, over a socket in the file system.

mod assignments;
mod browser;
mod chromium;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use boot_netboot::server::EventKind;
use serde_json::Value;

use super::*;
use crate::service::control::{Ask, AssignmentView, AssignmentsView, Refusal};
use crate::service::events::samples::{self, IMAGE, SLED, SUMMARY, of_sled};
use crate::service::events::{Event, InService, Judged, Names, SourceVerdict, What, record};
use crate::service::lock;

/// Longer than any success takes.
const SOON: Duration = Duration::from_mins(1);

struct Trial {
    _service: Service,
    socket: PathBuf,
    rack: Arc<Mutex<Rack>>,
    folder: tempfile::TempDir,
}

impl Trial {
    /// A service that shows a rack to which everything has happened once.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("status");
        let rack = Arc::new(Mutex::new(Rack::default()));
        let mut metrics = Metrics::default();
        let image = InService {
            path: "images/<b>&.img".into(),
            name: "<script>alert(1)</script>".to_owned(),
            size: 64 << 20,
            checksum: IMAGE,
        };
        let verdict = SourceVerdict {
            source: "network".to_owned(),
            accepted: true,
            meant: true,
            reason: String::new(),
        };
        let mut events = samples::all();
        events.push(Event::now(What::InService(vec![image])));
        events.push(Event::now(What::Judged(Judged { checksum: IMAGE, verdicts: vec![verdict] })));
        events.push(of_sled(EventKind::Offered { checksum: IMAGE, repeated: false }));
        events.push(of_sled(EventKind::Started { size: SUMMARY.size }));
        events.push(of_sled(EventKind::Finished(SUMMARY)));
        for event in events {
            let mut rack = lock(&rack);
            rack.note(Instant::now(), &event, &Names::default());
            metrics.note(&event, &mut rack);
            if let Some(record) = record(&event) {
                rack.remember(record);
            }
        }
        let address = StatusAddress::Unix(socket.clone());
        let service =
            Service::start(Bound::bind(&address).unwrap(), Arc::clone(&rack), metrics, desk(true))
                .unwrap();
        Self { _service: service, socket, rack, folder }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    /// The status, head and body of an answer.
    fn ask(&self, method: &str, path: &str) -> (u16, String, String) {
        self.send(method, path, "")
    }

    /// The same, for a request with this body.
    fn send(&self, method: &str, path: &str, body: &str) -> (u16, String, String) {
        let mut stream = self.connect();
        let head = format!("Host: rack\r\nConnection: close\r\nContent-Length: {}", body.len());
        write!(stream, "{method} {path} HTTP/1.1\r\n{head}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_ascii_lowercase(), body.to_owned())
    }

    fn get(&self, path: &str) -> String {
        let (status, head, body) = self.ask("GET", path);
        assert_eq!(status, 200, "{path}: {head}");
        body
    }
}

/// A desk that assigns images only to `left` and `02:00:00:00:00:01`.
fn desk(writable: bool) -> Desk {
    let (control, asked) = Control::new();
    thread::spawn(move || {
        let view = AssignmentView {
            link: None,
            sled: SLED.to_string(),
            name: Some("left".to_owned()),
            image: None,
            once: Some("zfs.img".to_owned()),
            in_service: true,
        };
        let assigned = || AssignmentsView { assignments: vec![view.clone()], kept: true };
        while let Ok(ask) = asked.recv() {
            match ask {
                Ask::List(answer) => answer.send(assigned()).unwrap(),
                Ask::Assign(order, by, answer) => {
                    assert_eq!(by.uid, rustix::process::getuid().as_raw());
                    let result = match &*order.sled {
                        "nobody" => Err(Refusal::Unknown("no such sled".to_owned())),
                        "other" => Err(Refusal::Senseless("it is not served".to_owned())),
                        _ => Ok(assigned()),
                    };
                    answer.send(result).unwrap();
                }
            }
        }
    });
    Desk { control, writable }
}

fn openapi() -> Value {
    serde_json::from_str(include_str!("../openapi.json")).unwrap()
}

/// What `value` has that the schema `name` does not allow, or the other way around.
fn faults(name: &str, value: &Value) -> Vec<String> {
    let mut schema = openapi();
    schema["$ref"] = format!("#/components/schemas/{name}").into();
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn every_answer_is_as_the_description_has_it() {
    let trial = Trial::new();
    let description = openapi();
    let paths = description["paths"].as_object().unwrap();
    let mut checked = 0;
    for (path, item) in paths.iter().filter(|(path, _)| !path.ends_with("/live")) {
        let (status, head, body) = trial.ask("GET", path);
        let answer = &item["get"]["responses"][status.to_string()];
        let (kind, content) = answer["content"].as_object().unwrap().iter().next().unwrap();
        assert!(head.contains(&format!("content-type: {kind}")), "{path}: {head}");
        let Some(schema) = content["schema"]["$ref"].as_str() else { continue };
        let name = schema.rsplit('/').next().unwrap();
        let value: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(faults(name, &value), [""; 0], "{path}: {body}");
        assert!(value.as_object().unwrap().values().any(|part| *part != Value::Array(vec![])));
        checked += 1;
    }
    assert_eq!(checked, 5);
    let mut odd: Value = serde_json::from_str(&trial.get("/api/v1/sleds")).unwrap();
    odd["sleds"][0]["state"] = "lost in thought".into();
    assert_eq!(faults("Sleds", &odd).len(), 1, "the schema means what it says");
}

#[test]
fn what_is_answered_is_what_has_happened() {
    let trial = Trial::new();
    let json = |path: &str| serde_json::from_str::<Value>(&trial.get(path)).unwrap();
    let sleds = json("/api/v1/sleds");
    let sled = &sleds["sleds"][0];
    assert_eq!((&sled["sled"], &sled["state"]), (&SLED.to_string().into(), &"booted".into()));
    assert_eq!((&sled["retransmits_early"], &sled["boots"]), (&3.into(), &1.into()));
    assert_eq!(sleds["ignored"][0]["sled"], SLED.to_string());
    let images = json("/api/v1/images");
    assert_eq!(images["images"][0]["boot_sources"]["network"]["accepted"], true);
    assert_eq!(images["images"][0]["booted"], 1);
    assert_eq!(images["troubles"].as_array().unwrap().len(), 5);
    let links = json("/api/v1/links");
    assert_eq!(links["links"][0]["state"], "gone");
    assert_eq!(links["throughput"].as_array().unwrap().len(), 600);
    let events = json("/api/v1/events");
    let events = events["events"].as_array().unwrap();
    assert!(events.len() > 50 && events.last().unwrap()["event"] == "finished", "{events:?}");
}

#[test]
fn the_page_is_whole_and_loads_nothing_from_elsewhere() {
    let trial = Trial::new();
    let (_, head, page) = trial.ask("GET", "/");
    assert!(head.contains("default-src 'none'"), "{head}");
    for (attribute, _) in [("href=\"", 0), ("src=\"", 0)] {
        for target in page.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap()) {
            let is_local = !target.contains("//") && !target.starts_with(['#', 'd']);
            if is_local && !target.starts_with("data:") {
                trial.get(&format!("/{target}"));
            }
            assert!(!target.contains("//"), "{target}");
        }
    }
    let script = trial.get("/page.js") + &trial.get("/plot.js");
    for risky in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
        assert!(!script.contains(risky), "{risky} would make markup of names");
    }
    for path in ["/nothing", "/../../etc/passwd", "/api/v2/sleds"] {
        assert_eq!(trial.ask("GET", path).0, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(trial.ask(method, "/api/v1/sleds").0, 405, "{method}: it only reads");
    }
}

/// The data of the next event on a stream.
fn next_event(stream: &mut UnixStream, text: &mut String) -> Value {
    loop {
        if let Some((event, rest)) = text.split_once("\n\n") {
            let data = event.split_once("data: ").map(|(_, data)| serde_json::from_str(data));
            *text = rest.to_owned();
            match data {
                Some(data) => return data.unwrap(),
                None => continue,
            }
        }
        let mut block = [0; 16384];
        let count = stream.read(&mut block).unwrap();
        assert!(count > 0, "the stream has ended: {text}");
        text.push_str(std::str::from_utf8(&block[..count]).unwrap());
    }
}

#[test]
fn a_page_is_sent_the_rack_at_once_and_again_when_it_has_changed() {
    let trial = Trial::new();
    let mut stream = trial.connect();
    // HTTP 1.0, so that the answer is not chunked.
    write!(stream, "GET /api/v1/live HTTP/1.0\r\nHost: rack\r\n\r\n").unwrap();
    let mut text = String::new();
    let first = next_event(&mut stream, &mut text);
    assert_eq!(faults("Rack", &first), [""; 0], "{first}");
    assert_eq!(first["sleds"][0]["state"], "booted");
    let hello = of_sled(EventKind::Hello { again: false });
    lock(&trial.rack).note(Instant::now(), &hello, &Names::default());
    let second = next_event(&mut stream, &mut text);
    assert_eq!(second["sleds"][0]["state"], "waiting");
}

#[test]
fn clients_that_do_not_read_or_ask_hold_up_nobody() {
    let trial = Trial::new();
    let mut pages = Vec::new();
    for _ in 0..32 {
        let mut page = trial.connect();
        write!(page, "GET /api/v1/live HTTP/1.1\r\nHost: rack\r\n\r\n").unwrap();
        let mut first = [0; 12];
        page.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        pages.push(page);
    }
    // Nothing reads what the first are sent, and the others send nothing.
    let silent: Vec<_> = (0..20).map(|_| trial.connect()).collect();
    assert_eq!(trial.ask("GET", "/api/v1/live").0, 503, "no room for another page");
    trial.get("/api/v1/sleds");
    drop((pages, silent));
    let end = Instant::now() + SOON;
    loop {
        let mut page = trial.connect();
        write!(page, "GET /api/v1/live HTTP/1.1\r\nHost: rack\r\n\r\n").unwrap();
        let mut first = [0; 12];
        page.read_exact(&mut first).unwrap();
        if &first == b"HTTP/1.1 200" {
            break;
        }
        assert!(Instant::now() < end, "the room of those that have left is not given to others");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_socket_is_taken_over_only_from_the_dead() {
    let trial = Trial::new();
    let start = |path: &Path| {
        let address = StatusAddress::Unix(path.to_owned());
        Service::start(Bound::bind(&address)?, Arc::default(), Metrics::default(), desk(false))
    };
    let error = format!("{:#}", start(&trial.socket).unwrap_err());
    assert!(error.contains("another process listens there"), "{error}");
    let file = trial.folder.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    let error = format!("{:#}", start(&file).unwrap_err());
    assert!(error.contains("not a socket") && error.contains("--status"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    let stale = trial.folder.path().join("stale");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    let service = start(&stale).unwrap();
    assert!(UnixStream::connect(&stale).is_ok());
    drop(service);
    assert!(!stale.exists(), "it goes with its server");
}

/// The names of all metrics in a text of `/metrics`, with their types.
fn metrics_of(text: &str) -> Vec<(&str, &str)> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split_once(' ').unwrap()).collect()
}

#[test]
fn metrics_say_what_has_happened_by_link_and_image() {
    let trial = Trial::new();
    let text = trial.get("/metrics");
    let image = &IMAGE.to_string()[..16];
    for line in [
        format!("bootserver_boots_total{{link=\"net0\",image=\"{image}\",outcome=\"booted\"}} 2"),
        format!("bootserver_boot_duration_seconds_count{{link=\"net0\",image=\"{image}\"}} 2"),
        format!(
            "bootserver_boot_contents_bytes_total{{link=\"net0\",image=\"{image}\"}} 134217728"
        ),
        format!(
            "bootserver_retransmits_total{{link=\"net0\",image=\"{image}\",cause=\"early\"}} 6"
        ),
        "bootserver_sleds{link=\"net0\",state=\"booted\"} 1".to_owned(),
        "bootserver_link_up{link=\"net0\"} 0".to_owned(),
        "bootserver_images_refused_total 3".to_owned(),
        "bootserver_hooks_failed_total 3".to_owned(),
        "bootserver_events_left_out_total{about=\"hello\"} 960".to_owned(),
        "bootserver_events_lost_total 7".to_owned(),
    ] {
        assert!(text.contains(&line), "{line}: {text}");
    }
    assert!(text.ends_with("# EOF\n"));
    assert!(metrics_of(&text).contains(&("bootserver_boot_duration_seconds", "histogram")));
}

/// The names of time series that begin with `bootserver_`, wherever they stand in a text.
fn named(text: &str) -> std::collections::BTreeSet<&str> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let words = text.split(|character| !is_name(character));
    words.filter(|word| word.starts_with("bootserver_")).collect()
}

#[test]
fn dashboard_alerts_and_document_name_metrics_that_exist() {
    let trial = Trial::new();
    let text = trial.get("/metrics");
    let series = named(&text);
    let contrib = [
        include_str!("../../../../contrib/grafana-dashboard.json"),
        include_str!("../../../../contrib/alerts.yml"),
    ];
    for name in contrib.iter().flat_map(|text| named(text)) {
        assert!(series.contains(name), "contrib/ names {name}, which is no metric");
    }
    let document = named(include_str!("../../../../docs/status.md"));
    for (name, kind) in metrics_of(&text) {
        let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        let name = if kind == "info" { format!("{name}_info") } else { name };
        assert!(document.contains(&*name), "docs/status.md does not say what {name} counts");
    }
    for name in document {
        assert!(series.iter().any(|series| series.starts_with(name)), "docs/status.md: {name}");
    }
    let dashboard: Value = serde_json::from_str(contrib[0]).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 8);
}
