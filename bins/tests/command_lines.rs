//! No command line makes a tool panic: arguments of all kinds, in any order and number.

#[path = "../src/bin/bootserver/args.rs"]
mod bootserver;
#[path = "../src/bin/lookimage/args.rs"]
mod lookimage;
#[path = "../src/bin/mkimage/args.rs"]
mod mkimage;
#[path = "../src/bin/sledsim/args.rs"]
mod sledsim;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use clap::error::ErrorKind;
use clap::{Command, CommandFactory};
use proptest::prelude::*;
use proptest::sample::select;

fn commands() -> Vec<Command> {
    vec![
        mkimage::Args::command(),
        lookimage::Args::command(),
        bootserver::Args::command(),
        sledsim::Args::command(),
    ]
}

/// Values that some option accepts, and values that none does.
const VALUES: &[&str] = &[
    "",
    "0",
    "1",
    "-1",
    "128",
    "65536",
    "18446744073709551616",
    "1e309",
    "nan",
    "inf",
    "-0.0",
    "0.1",
    "1/0",
    "3s",
    "5ms",
    "1Gbit",
    "9.4Gbit",
    "max",
    "auto",
    "all",
    "any",
    "listed",
    "xdp",
    "net0",
    "a/b",
    "..",
    "/",
    "2:0:0:0:0:1",
    "ff:ff:ff:ff:ff:ff",
    "2:0:0:0:0:1=zfs.img",
    "zfs.img",
    "https://[::1",
    "s3://",
    "unix:",
    "127.0.0.1:0",
    "=",
    ",",
    "1,2",
    "\u{1b}[2J",
    "é",
    "--",
    "-",
];

/// A tool, and arguments for it: its own options, values, or any bytes.
fn lines() -> impl Strategy<Value = (usize, Vec<OsString>)> {
    (0..commands().len()).prop_flat_map(|tool| {
        let command = &commands()[tool];
        let options = command.get_arguments().flat_map(|argument| {
            let long = argument.get_long().map(|long| format!("--{long}"));
            let short = argument.get_short().map(|short| format!("-{short}"));
            [long, short]
        });
        let options: Vec<OsString> = options.flatten().map(OsString::from).collect();
        let argument = prop_oneof![
            4 => select(options),
            5 => select(VALUES).prop_map(OsString::from),
            1 => proptest::collection::vec(1_u8.., 0..12).prop_map(OsString::from_vec),
        ];
        (Just(tool), proptest::collection::vec(argument, 0..9))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn every_command_line_is_taken_or_refused((tool, line) in lines()) {
        let mut command = commands().swap_remove(tool);
        let name = OsString::from(command.get_name());
        if let Err(error) = command.try_get_matches_from_mut([vec![name], line].concat()) {
            let said = error.render().to_string();
            prop_assert!(!said.is_empty());
            let asked = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion];
            prop_assert_eq!(error.use_stderr(), !asked.contains(&error.kind()), "{}", said);
        }
    }
}
