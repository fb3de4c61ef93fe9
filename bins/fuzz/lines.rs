//! What fuzzing asks of command lines: they are taken or refused.
//!
//! Shared by the fuzz target and by the test that replays its corpus. Whoever uses it has
//! `bootserver`'s `args` and `options` at its root.

#[path = "../src/bin/lookimage/args.rs"]
mod lookimage;
#[path = "../src/bin/mkimage/args.rs"]
mod mkimage;
#[path = "../src/bin/sledsim/args.rs"]
mod sledsim;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::OnceLock;

use clap::{Command, CommandFactory, FromArgMatches};

use crate::args;
use crate::options::Options;

/// The tools, with all that clap finds out about them once.
fn tools() -> &'static [Command; 4] {
    static TOOLS: OnceLock<[Command; 4]> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let mut all = [
            mkimage::Args::command(),
            lookimage::Args::command(),
            args::Args::command(),
            sledsim::Args::command(),
        ];
        all.iter_mut().for_each(Command::build);
        all
    })
}

/// Arguments for the tool that the first byte says, a line for each. A line that begins with a byte
/// above 127 is the option with this number, and the rest its value; one that begins with the byte
/// 127 is the rest, whatever that is.
pub(crate) fn command_line(bytes: &[u8]) {
    let [tool, rest @ ..] = bytes else { return };
    let tool = usize::from(*tool) % tools().len();
    let mut command = tools()[tool].clone();
    let options: Vec<_> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
    // The kernel hands over no zeros.
    let lines = rest.split(|&byte| byte == b'\n').filter(|line| !line.contains(&0));
    let line: Vec<OsString> = lines.map(|line| argument(line, &options)).collect();
    let name = OsString::from(command.get_name());
    match command.try_get_matches_from_mut([vec![name], line].concat()) {
        Err(error) => assert!(!error.render().to_string().is_empty()),
        Ok(matches) if tool == 0 => drop(mkimage::Args::from_arg_matches(&matches)),
        Ok(matches) if tool == 1 => drop(lookimage::Args::from_arg_matches(&matches)),
        Ok(matches) if tool == 2 => serve(args::Args::from_arg_matches(&matches)),
        Ok(matches) => drop(sledsim::Args::from_arg_matches(&matches)),
    }
}

fn argument(line: &[u8], options: &[&str]) -> OsString {
    match line {
        [127, rest @ ..] => OsString::from_vec(rest.to_vec()),
        [option @ 128..=255, rest @ ..] => {
            let long = options[usize::from(option - 128) % options.len()];
            let mut text = format!("--{long}").into_bytes();
            if !rest.is_empty() {
                text.push(b'=');
                text.extend_from_slice(rest);
            }
            OsString::from_vec(text)
        }
        other => OsString::from_vec(other.to_vec()),
    }
}

/// What a server would be asked to do, unless a file says.
fn serve(args: Result<args::Args, clap::Error>) {
    let Ok(args) = args else { return };
    if args.config.is_none()
        && let Err(error) = Options::try_from(args)
    {
        assert!(!format!("{error:#}").is_empty());
    }
}
