//! `lookimage`, as its users call it.

mod tool;

use crate::tool::Desk;

/// A desk with a plain image, a compressed one, and the plain one's checksum.
fn desk() -> Desk {
    let mut desk = Desk::new();
    desk.run("mkimage -i raw -o plain.img -O csum -s 16 -N ci_0123abc/4567def_2026-01-31_12:34");
    desk.run("mkimage -z -i raw -o small.img -s 16 -N recovery_0123abc/4567def_2026-01-31_12:34");
    desk
}

#[test]
fn a_good_image_is_shown_line_by_line() {
    let mut desk = desk();
    for line in [
        "lookimage plain.img",
        "lookimage small.img",
        "lookimage -s small.img",
        "lookimage --csum csum plain.img",
        "lookimage plain.img small.img",
        "lookimage --check=disk,network plain.img",
        "lookimage --check plain.img",
        "lookimage --check small.img",
    ] {
        assert!(desk.run(line).status.success(), "{line}");
    }
    desk.assert_golden("lookimage-good.txt");
}

#[test]
fn what_is_wrong_is_said() {
    let mut desk = desk();
    let plain = desk.read("plain.img");
    let with = |at: usize, byte: u8| {
        let mut bytes = plain.clone();
        bytes[at] = byte;
        bytes
    };
    desk.write("magic.img", &with(0, 0));
    desk.write("version.img", &with(4, 9));
    desk.write("contents.img", &with(5000, 0));
    desk.write("size.img", &with(26, 0x11));
    desk.write("cut.img", &plain[..plain.len() - 1]);
    desk.write("short.img", &plain[..4000]);
    let mut small = desk.read("small.img");
    small[100_000] ^= 0xff;
    desk.write("broken.img", &small);
    desk.write("wrong-csum", &[7; 32]);
    desk.write("short-csum", &[7; 31]);
    for line in [
        "lookimage magic.img",
        "lookimage version.img",
        "lookimage contents.img",
        "lookimage size.img",
        "lookimage cut.img",
        "lookimage -s cut.img",
        "lookimage short.img",
        "lookimage broken.img",
        "lookimage missing.img",
        "lookimage --csum wrong-csum plain.img",
        "lookimage --csum short-csum plain.img",
        "lookimage --check=disk,network small.img",
        "lookimage --check=floppy small.img",
        "lookimage plain.img cut.img",
        "lookimage",
    ] {
        assert_eq!(desk.run(line).status.code(), Some(1), "{line}");
    }
    desk.assert_golden("lookimage-wrong.txt");
}

#[test]
fn a_slice_longer_than_the_image_is_good() {
    let mut desk = desk();
    for name in ["plain.img", "small.img"] {
        let longer = [desk.read(name), vec![0xa5; 10_000]].concat();
        desk.write("slice", &longer);
        assert!(desk.run("lookimage slice").status.success());
    }
}

#[test]
fn the_contents_can_be_extracted_and_a_bad_image_gives_none() {
    let mut desk = desk();
    for name in ["plain.img", "small.img"] {
        assert!(desk.run(&format!("lookimage --extract out {name}")).status.success());
        assert_eq!(desk.read("out"), tool::raw());
    }
    let mut bad = desk.read("plain.img");
    bad[70_000] ^= 1;
    desk.write("bad.img", &bad);
    desk.write("out", b"before");
    assert!(!desk.run("lookimage --extract out bad.img").status.success());
    assert_eq!(desk.read("out"), b"before");
    assert_eq!(desk.files(), ["bad.img", "csum", "out", "plain.img", "raw", "small.img"]);
    assert!(!desk.run("lookimage --extract plain.img plain.img").status.success());
}

#[test]
fn json_is_one_object_or_a_list() {
    let mut desk = desk();
    let one = desk.run("lookimage --json small.img");
    let one: serde_json::Value = serde_json::from_slice(&one.stdout).unwrap();
    assert_eq!((&one["verified"], &one["compressed"]), (&true.into(), &true.into()));
    let two = desk.run("lookimage --json plain.img missing.img");
    assert_eq!(two.status.code(), Some(1));
    let two: serde_json::Value = serde_json::from_slice(&two.stdout).unwrap();
    assert_eq!(two[0]["image_size"], 1 << 20);
    assert!(two[1]["error"].as_str().unwrap().contains("missing.img"));
}

#[test]
fn the_status_is_the_verdict_also_when_the_reader_has_gone() {
    let desk = desk();
    let mut bad = desk.read("plain.img");
    bad[70_000] ^= 1;
    desk.write("bad.img", &bad);
    for (line, status) in [
        ("plain.img", 0),
        ("--check plain.img", 0),
        ("--json plain.img", 0),
        ("bad.img", 1),
        ("-s bad.img", 0),
        ("--json bad.img", 1),
        ("--csum raw plain.img", 1),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = tool::tool("lookimage");
        command.args(line.split(' ')).current_dir(desk.path(".")).stdout(writer);
        assert_eq!(command.output().unwrap().status.code(), Some(status), "{line}");
    }
}

#[test]
fn many_images_for_nobody_end_at_once_and_quietly() {
    let desk = desk();
    // Not even opened, or it would be an error.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = tool::tool("lookimage");
    let output = command
        .args(["plain.img", "missing.img", "missing.img"])
        .current_dir(desk.path("."))
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn an_image_of_no_bytes_is_refused() {
    let mut desk = desk();
    let mut header = desk.read("plain.img");
    header.truncate(4096);
    header[16..32].fill(0);
    desk.write("nothing.img", &header);
    let output = desk.run("lookimage nothing.img");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the image size is 0"));
}
