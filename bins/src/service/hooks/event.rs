//! What happens to commands.

use std::fmt;
use std::time::Duration;

use super::Hooks;
use crate::stderr::record::Level;

/// Which command it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    /// `--on-finish`.
    Finish,
    /// `--on-fail`.
    Fail,
}

/// What happens to a command that was run for a sled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HookEvent {
    /// It has said something.
    Said(Hook, String),
    /// It has ended without success, and how.
    Failed(Hook, String),
    /// It was ended, because it took longer than this.
    Late(Hook, Duration),
    /// It was not run: too many wait.
    LeftOut(Hook),
}

impl Hook {
    fn option(self) -> &'static str {
        match self {
            Self::Finish => "--on-finish",
            Self::Fail => "--on-fail",
        }
    }
}

impl HookEvent {
    pub(in crate::service) fn level(&self) -> Level {
        match self {
            Self::Said(..) => Level::Info,
            _ => Level::Warn,
        }
    }

    /// Whether the command failed or was not run.
    pub(in crate::service) fn is_failure(&self) -> bool {
        !matches!(self, Self::Said(..))
    }

    /// Its name, for programs.
    pub(in crate::service) fn key(&self) -> &'static str {
        match self {
            Self::Said(..) => "hook_said",
            Self::Failed(..) => "hook_failed",
            Self::Late(..) => "hook_late",
            Self::LeftOut(_) => "hook_left_out",
        }
    }

    /// Its other fields, for programs.
    pub(in crate::service) fn fields(&self) -> Vec<(&'static str, serde_json::Value)> {
        let (Self::Said(hook, _)
        | Self::Failed(hook, _)
        | Self::Late(hook, _)
        | Self::LeftOut(hook)) = self;
        let mut fields = vec![("hook", hook.option().into())];
        match self {
            Self::Said(_, text) => fields.push(("text", text.as_str().into())),
            Self::Failed(_, reason) => fields.push(("reason", reason.as_str().into())),
            Self::Late(_, limit) => fields.push(("seconds", limit.as_secs_f64().into())),
            Self::LeftOut(_) => {}
        }
        fields
    }
}

impl fmt::Display for HookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(hook, text) => write!(f, "{}: {text}", hook.option()),
            Self::Failed(hook, reason) => write!(f, "{}: {reason}", hook.option()),
            Self::Late(hook, limit) => {
                write!(f, "{}: ended after {} s", hook.option(), limit.as_secs_f64())
            }
            Self::LeftOut(hook) => {
                write!(f, "{}: not run, {} others wait", hook.option(), Hooks::MOST_WAITING)
            }
        }
    }
}
