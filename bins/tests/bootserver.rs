//! `bootserver` without a link: its demonstration, and how it refuses to start.

mod tool;

use crate::tool::Desk;

#[test]
fn the_demonstration_boots_every_sled() {
    let mut desk = Desk::new();
    let output = desk.run("bootserver --demo 3");
    assert!(output.status.success());
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(table.matches(" ok\n").count(), 3, "{table}");
    assert!(table.contains("3 of 3 booted"), "{table}");
    let said = String::from_utf8(output.stderr).unwrap();
    let (_, sum) = said.split_once("sha256 ").unwrap();
    let readme = include_str!("../../README.md");
    let shown = format!("to 8 simulated sleds, sha256 {}...", &sum[..8]);
    assert!(readme.contains(&shown), "the README does not say: {shown}");
}

#[test]
fn the_demonstration_takes_an_image_compressed_or_not() {
    let mut desk = Desk::new();
    desk.run("mkimage -z -i raw -o small.img");
    let output = desk.run("bootserver --demo 2 small.img");
    assert!(String::from_utf8(output.stdout).unwrap().contains("2 of 2 booted"));
}

#[test]
fn what_makes_no_sense_is_refused_with_the_reason() {
    let mut desk = Desk::new();
    desk.write("odd", &[7; 5000]);
    desk.run("mkimage -q -i odd -o odd.img");
    for line in [
        "bootserver",
        "bootserver net0 raw",
        "bootserver net0 raw 12:34",
        "bootserver -t never net0 raw all",
        "bootserver --state . net0 raw all",
        "bootserver --state - net0 raw all",
        "bootserver --state /dev/null net0 raw all",
        "bootserver --state missing/state net0 raw all",
        "bootserver --demo 0",
        "bootserver --demo 2 raw",
        "bootserver --demo 2 odd.img",
        "bootserver --demo 2 missing.img",
        "sledsim",
        "sledsim net0 --csum raw",
    ] {
        assert_eq!(desk.run(line).status.code(), Some(1), "{line}");
    }
    desk.assert_golden("bootserver-refused.txt");
}
