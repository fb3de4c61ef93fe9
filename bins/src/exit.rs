//! How a tool ends: one line on stderr for a failure, and an exit status for scripts.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::process::{ExitCode, Termination};

use clap::Parser;
use clap::error::ErrorKind;
use signal_hook::consts::SIGTERM;

use crate::config::ConfigError;
use crate::patient::Patient;
use crate::shown::Shown;
use crate::stderr;
use crate::stderr::record::Level;

/// The exit status of every tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything that was asked for was done.
    Success = 0,
    /// Something failed, or the command line was wrong; stderr says what.
    Failure = 1,
    /// Ended by SIGINT, as a shell reports it.
    Interrupted = 130,
    /// Ended by SIGTERM with something left to do, as a shell reports it.
    Terminated = 143,
}

impl Exit {
    /// The status of a run that `signal`, SIGINT or SIGTERM, cut short.
    pub fn of(signal: i32) -> Self {
        if signal == SIGTERM { Self::Terminated } else { Self::Interrupted }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

/// Runs a tool: reads the command line, calls `run`, and reports on stderr what went wrong.
///
/// Help and version count as success, a wrong command line as failure. A reader that has closed our
/// stdout has what it wanted, so that counts as success too.
pub fn main_of<A: Parser>(run: impl FnOnce(A) -> anyhow::Result<Exit>) -> Exit {
    let arguments = match A::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse::<A>(error),
    };
    let exit = match run(arguments) {
        Ok(exit) => exit,
        Err(error) if is_closed_pipe(error.as_ref()) => Exit::Success,
        Err(error) => {
            let command = A::command();
            let tool = command.get_name();
            let say = |text: String| stderr::graded(Level::Error, &format!("{tool}: {text}"));
            match error.downcast_ref::<ConfigError>() {
                Some(error) => error.lines().for_each(|line| say(line.clone())),
                None => say(format!("{error:#}")),
            }
            Exit::Failure
        }
    };
    stderr::finish();
    exit
}

/// Prints what is wrong with the command line, or the help that it asks for.
fn refuse<A: Parser>(error: clap::Error) -> Exit {
    let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    // The error quotes arguments, which may be names of files: so they are escaped first.
    let shown = std::env::args_os().map(|argument| Shown(argument.display()).to_string());
    let error = A::try_parse_from(shown).err().unwrap_or(error);
    print(&error, asked_for);
    if asked_for { Exit::Success } else { Exit::Failure }
}

/// Prints help to stdout and refusals to stderr, in colours if that is a terminal, however long its
/// reader takes. Nothing can be done if it is closed.
fn print(error: &clap::Error, help: bool) {
    let text = error.render();
    let plain = |is_terminal: bool| !is_terminal || std::env::var_os("NO_COLOR").is_some();
    let is_plain =
        plain(if help { io::stdout().is_terminal() } else { io::stderr().is_terminal() });
    let text = if is_plain { text.to_string() } else { text.ansi().to_string() };
    let _ = if help {
        let mut stdout = Patient(io::stdout());
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
    } else {
        Patient(io::stderr()).write_all(text.as_bytes())
    };
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
        {
            return true;
        }
        cause = error.source();
    }
    false
}
