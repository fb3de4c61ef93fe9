//! How events are reported while serving.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum, ValueHint};

use crate::stderr::record::Level;

/// How events are reported, and to what. What is left out is `None`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Log, hooks and status")]
pub struct Reporting {
    /// How the log looks: `text` for people, `json` for programs, a record per line.
    /// [default: text]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub log: Option<LogFormat>,

    /// Log events of this level and more severe ones. [default: info]
    #[arg(long, value_name = "LEVEL", value_enum)]
    pub log_level: Option<Level>,

    /// Run CMD with sh after each boot, with the sled's facts in its environment (BOOT_SLED,
    /// BOOT_IMAGE and others); four at once, each for 30 s at most
    #[arg(long, value_name = "CMD", value_parser = command, value_hint = ValueHint::CommandString)]
    pub on_finish: Option<String>,

    /// Run CMD in the same way after each boot that has failed
    #[arg(long, value_name = "CMD", value_parser = command, value_hint = ValueHint::CommandString)]
    pub on_fail: Option<String>,

    /// Show the rack to browsers, programs and monitoring at ADDRESS, such as 127.0.0.1:7270, or on
    /// a Unix socket, the path of which has a `/` in it. Anyone who can reach it can read
    /// everything
    #[arg(long, value_name = "ADDRESS")]
    pub status: Option<StatusAddress>,

    /// Have those who can write to the Unix socket of --status assign images to sleds
    #[arg(long)]
    pub control: bool,
}

impl Reporting {
    /// This, with `other`'s values where it has none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            log: self.log.or(other.log),
            log_level: self.log_level.or(other.log_level),
            on_finish: self.on_finish.or(other.on_finish),
            on_fail: self.on_fail.or(other.on_fail),
            status: self.status.or(other.status),
            control: self.control || other.control,
        }
    }

    /// How the log looks.
    pub(super) fn format(&self) -> LogFormat {
        self.log.unwrap_or_default()
    }

    /// How severe an event has to be for the log.
    pub(super) fn level(&self) -> Level {
        self.log_level.unwrap_or(Level::Info)
    }
}

/// Checks where `--control` is asked for.
///
/// # Errors
///
/// If that is not on a Unix socket: the system does not reveal the users of others.
pub fn check_control(status: Option<&StatusAddress>) -> Result<(), String> {
    match status {
        Some(StatusAddress::Unix(_)) => Ok(()),
        Some(StatusAddress::Tcp(address)) => Err(format!(
            "images are assigned over a Unix socket only, whose permissions say by whom: expected \
             the path of one, with a `/` in it, in the place of {address}"
        )),
        None => {
            Err("images are assigned over the socket of --status: expected its path".to_owned())
        }
    }
}

/// A command for sh.
///
/// # Errors
///
/// If it is empty, or can't be an argument.
pub fn command(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.contains('\0') {
        return Err("expected a command for sh".to_owned());
    }
    Ok(text.to_owned())
}

/// How the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Words for people.
    #[default]
    Text,
    /// Records for programs.
    Json,
}

/// Where the status service listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusAddress {
    /// At an address and a port.
    Tcp(SocketAddr),
    /// On a socket in the file system.
    Unix(PathBuf),
}

impl FromStr for StatusAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('/') {
            return Ok(Self::Unix(text.into()));
        }
        let wanted = "expected an address with a port, as in 127.0.0.1:7270 or [::1]:7270, or the \
                      path of a socket with a `/` in it";
        text.parse().map(Self::Tcp).map_err(|_| wanted.to_owned())
    }
}

impl fmt::Display for StatusAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_from_a_path() {
        let tcp = StatusAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 7270)));
        assert_eq!("127.0.0.1:7270".parse(), Ok(tcp));
        assert_eq!("./status".parse(), Ok(StatusAddress::Unix("./status".into())));
        assert_eq!("[::1]:80".parse::<StatusAddress>().unwrap().to_string(), "[::1]:80");
        for text in ["", "7270", "status", "127.0.0.1", "127.0.0.1:99999"] {
            let error = text.parse::<StatusAddress>().unwrap_err();
            assert!(error.contains("127.0.0.1:7270"), "{error}");
        }
    }
}
