//! The man pages and completions in `contrib/` match the command lines. With `BLESS` set, they are
//! rewritten.

#[path = "../src/bin/bootserver/args.rs"]
mod bootserver;
#[path = "../src/bin/lookimage/args.rs"]
mod lookimage;
#[path = "../src/bin/mkimage/args.rs"]
mod mkimage;
#[path = "../src/bin/sledsim/args.rs"]
mod sledsim;

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};
use clap_mangen::Man;

fn commands() -> [Command; 4] {
    let commands = [
        mkimage::Args::command(),
        lookimage::Args::command(),
        bootserver::Args::command(),
        sledsim::Args::command(),
    ];
    // Whatever commit this is built from.
    commands.map(|command| command.version(env!("CARGO_PKG_VERSION")))
}

fn assert_fresh(name: &str, text: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("contrib").join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let same = fs::read(&path).is_ok_and(|committed| committed == text);
    assert!(same, "contrib/{name} is stale: run this test with BLESS=1");
}

#[test]
fn the_man_pages_are_fresh() {
    for command in commands() {
        let name = format!("man/{}.1", command.get_name());
        let mut text = Vec::new();
        Man::new(command).render(&mut text).unwrap();
        assert_fresh(&name, &text);
    }
}

#[test]
fn the_completions_are_fresh() {
    for mut command in commands() {
        let tool = command.get_name().to_owned();
        for (shell, name) in [
            (Shell::Bash, format!("{tool}.bash")),
            (Shell::Zsh, format!("_{tool}")),
            (Shell::Fish, format!("{tool}.fish")),
        ] {
            let mut text = Vec::new();
            generate(shell, &mut command, &tool, &mut text);
            assert_fresh(&format!("completions/{name}"), &text);
        }
    }
}
