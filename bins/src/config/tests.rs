//! What is read, and what is refused with which words.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    let parsed = Config::parse(Path::new("/etc/b.toml"), text);
    parsed.map_err(|error| error.lines().collect::<Vec<_>>().join("\n"))
}

/// The example, with everything in force that it shows as a comment.
fn example() -> String {
    let text = include_str!("../../../contrib/bootserver.toml");
    let shown = |line: &str| {
        let hidden = line.strip_prefix('#').filter(|rest| !rest.starts_with(' '));
        format!("{}\n", hidden.unwrap_or(line))
    };
    text.lines().map(shown).collect()
}

#[test]
fn the_example_is_good_as_it_is() {
    let config = parse(include_str!("../../../contrib/bootserver.toml")).unwrap();
    assert_eq!((config.links, config.sleds.len()), (vec!["net0".to_owned()], 0));
}

#[test]
fn the_example_shows_every_key_once() {
    // With [together], each link has one worker.
    let text = example().replace("workers = 2", "workers = 1");
    let (config, keys) = Config::parse_with_keys(Path::new("/etc/b.toml"), &text).unwrap();
    assert!(config.together.is_some() && config.sleds.len() == 1);
    let mut table = String::new();
    let mut shown = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            let name = name.trim_matches(['[', ']']);
            shown.push(name.to_owned());
            table = format!("{name}.");
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            shown.push(format!("{table}{key}"));
        }
    }
    shown.sort();
    assert_eq!(shown, keys.iter().cloned().collect::<Vec<_>>());
    assert!(keys.len() >= 20, "{keys:?}");
}

#[test]
fn the_reference_explains_every_key() {
    let reference = include_str!("../../../docs/configuration.md");
    let text = example().replace("workers = 2", "workers = 1");
    let (_, keys) = Config::parse_with_keys(Path::new("b.toml"), &text).unwrap();
    for key in keys {
        assert!(reference.contains(&format!("| `{key}` |")), "{key}");
    }
}

#[test]
fn relative_paths_start_at_the_files_folder() {
    let text = "images = [\"a.img\", \"/b\"]\nstate = \"state\"\n[[sled]]\nmac = \"2:0:0:0:0:1\"\n\
                image = \"c.img\"\nonce = \"d\"";
    let config = parse(text).unwrap();
    assert_eq!(config.images, [PathBuf::from("/etc/a.img"), PathBuf::from("/b")]);
    assert_eq!(config.state, Some("/etc/state".into()));
    let [sled] = &config.sleds[..] else { panic!("{config:?}") };
    assert_eq!((&sled.image, &sled.once), (&Some("/etc/c.img".into()), &Some("/etc/d".into())));
    assert_eq!(sled.origin, "/etc/b.toml:4");
    let status = |text: &str| parse(text).unwrap().reporting.status.unwrap().to_string();
    assert_eq!(status("status = \"run/status\""), "/etc/run/status");
    assert_eq!(status("status = \"[::1]:7270\""), "[::1]:7270");
}

/// A file in which nearly everything is wrong.
const FAULTY: &str = "\
linkss = \"net0\"
images = \"a.img\"
serve = \"some\"
map = \"yes\"
tx = \"sendto\"
rate = \"5\"
workers = 300
timeout = 0
state = 7
share-link = 1
colour = true
stop = \"no\"
log = \"yaml\"
log-level = \"loud\"
on-finish = \" \"
on-fail = [\"false\"]
status = \"7270\"
cache-size = \"lots\"
refresh = -1
channel-keys = [\"RWQ\"]

[together]
gather = \"6\"
expect = 0
expcet = 1

[[link]]
name = \"net0\"
rate = \"1Gbit\"

[[link]]
name = \"net0\"
rate = \"fast\"

[[link]]
name = \"net0\"
rate = \"1Gbit\"
speed = 1

[[link]]

[[sled]]
name = \"a b\"

[[sled]]
mac = \"ff:ff:ff:ff:ff:ff\"

[[sled]]
mac = \"2:0:0:0:0:1\"
name = \"one\"
image = \"ftp://store/zfs.img\"

[[sled]]
mac = \"2:0:0:0:0:1\"

[[sled]]
mac = \"2:0:0:0:0:2\"
name = \"one\"
link = \"\"
";

/// What is reported about it; `...` stands for any end of a line.
const FAULTS: &str = "\
/etc/b.toml:1: linkss: there is no such key; is \"links\" meant?
/etc/b.toml:2: images: found \"a.img\" (string), expected a list, each entry the path or URL of an image or a folder
/etc/b.toml:3: serve: found \"some\": expected one of \"all\", \"any\" and \"listed\"
/etc/b.toml:4: map: found \"yes\" (string), expected true or false
/etc/b.toml:5: tx: found \"sendto\": a path is `auto`, `uring`, `mmsg` or `xdp`
/etc/b.toml:6: rate: found \"5\": `auto`, `max`, or a rate: a rate is a number with a unit, as in 9.4Gbit or 100Mbit
/etc/b.toml:7: workers: found 300: at most 256 for a link
/etc/b.toml:8: timeout: found 0: must be more than zero
/etc/b.toml:9: state: found 7 (integer), expected the path of a file
/etc/b.toml:10: share-link: found 1 (integer), expected true or false
/etc/b.toml:11: colour: there is no such key, expected one of ...
/etc/b.toml:12: stop: found \"no\" (string), expected true or false
/etc/b.toml:13: log: found \"yaml\": expected one of \"text\", \"json\"
/etc/b.toml:14: log-level: found \"loud\": expected one of \"error\", \"warn\", \"info\", \"debug\"
/etc/b.toml:15: on-finish: found \" \": expected a command for sh
/etc/b.toml:16: on-fail: found [\"false\"] (array), expected a command for sh
/etc/b.toml:17: status: found \"7270\": expected an address with a port, as in ...
/etc/b.toml:18: cache-size: found \"lots\": ...
/etc/b.toml:19: refresh: found -1: must be more than zero
/etc/b.toml:20: channel-keys[0]: found \"RWQ\": neither a minisign key nor a file of one: ...
/etc/b.toml:23: together.gather: found \"6\" (string), expected a number of seconds
/etc/b.toml:24: together.expect: found 0: at least 1
/etc/b.toml:25: together.expcet: there is no such key; is \"expect\" meant?
/etc/b.toml:33: link[1].rate: found \"fast\": `auto`, `max`, or a rate: ...
/etc/b.toml:36: link[2].name: net0 is listed on line 28 already
/etc/b.toml:38: link[2].speed: there is no such key, expected one of name, rate
/etc/b.toml:40: link[3]: expected a `name`, one of the links that are served
/etc/b.toml:40: link[3]: expected a `rate`
/etc/b.toml:42: sled[0]: expected a `mac`, its Ethernet address
/etc/b.toml:43: sled[0].name: found \"a b\": expected 1 to 64 letters, digits, `-`, `_` and `.`
/etc/b.toml:46: sled[1].mac: found \"ff:ff:ff:ff:ff:ff\": it is not the address of a single sled
/etc/b.toml:51: sled[2].image: found \"ftp://store/zfs.img\": ftp://store/zfs.img: ...
/etc/b.toml:54: sled[3].mac: 02:00:00:00:00:01 is listed on line 49 already
/etc/b.toml:58: sled[4].name: \"one\" is another sled's name, on line 50
/etc/b.toml:59: sled[4].link: found \"\": expected the name of a link";

#[test]
fn everything_that_is_wrong_is_said_with_its_line_and_key() {
    let found = parse(FAULTY).unwrap_err();
    for (found, expected) in found.lines().zip(FAULTS.lines()) {
        let same = found == expected
            || expected.strip_suffix("...").is_some_and(|start| found.starts_with(start));
        assert!(same, "\n{found}\n{expected}");
    }
    assert_eq!(found.lines().count(), FAULTS.lines().count(), "{found}");
}

#[test]
fn images_are_assigned_over_a_socket_in_the_file_system_only() {
    assert!(parse("control = true\nstatus = \"./status\"").unwrap().reporting.control);
    assert!(parse("control = true").unwrap().reporting.control);
    assert!(!parse("control = false\nstatus = \"[::1]:80\"").unwrap().reporting.control);
    let found = parse("status = \"[::1]:80\"\ncontrol = true").unwrap_err();
    assert!(found.starts_with("/etc/b.toml:2: control: found true: "), "{found}");
    assert!(found.ends_with("in the place of [::1]:80"), "{found}");
}

#[test]
fn what_is_not_toml_is_said_with_its_line() {
    let found = parse("links = [\"net0\"]\nimages = [\n\"a\"\n\nserve = all\n").unwrap_err();
    assert!(found.starts_with("/etc/b.toml:"), "{found}");
    assert!(found.contains("not TOML: "), "{found}");
}

/// Lines of the example and values of all kinds, as they come.
fn pieces() -> impl Strategy<Value = String> {
    let example = example();
    let lines: Vec<String> = example.lines().map(|line| format!("{line}\n")).collect();
    let keys: Vec<String> = example
        .lines()
        .filter_map(|line| Some(format!("{} = ", line.split_once(" = ")?.0)))
        .collect();
    let values = [
        "0\n",
        "-1\n",
        "1e400\n",
        "nan\n",
        "\"\"\n",
        "\"\\u0000\"\n",
        "[]\n",
        "[[\n",
        "{}\n",
        "true\n",
        "1979-05-27\n",
        "\"all\"\n",
        "[\"net0\", 1]\n",
        "9223372036854775808\n",
        "\n",
        "\"\"\"\n",
        "\u{1b}",
    ];
    let piece = prop_oneof![
        5 => select(lines),
        3 => (select(keys), select(values.to_vec())).prop_map(|(key, value)| key + value),
        1 => any::<String>(),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_a_line_of_it(text in pieces()) {
        if let Err(error) = Config::parse(Path::new("/etc/b.toml"), &text) {
            let lines = text.lines().count().max(1);
            for said in error.lines() {
                let number = said.strip_prefix("/etc/b.toml:").and_then(|rest| rest.split(':').next());
                let number = number.and_then(|number| number.parse::<usize>().ok());
                prop_assert!(
                    number.is_none_or(|number| (1..=lines + 1).contains(&number)),
                    "{said}"
                );
            }
        }
    }
}
