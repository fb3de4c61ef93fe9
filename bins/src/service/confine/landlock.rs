//! Landlock (landlock(7)): which files may be opened, and what else may be reached.

use std::env;

use ::landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::files::Files;

/// Why the process is not bound.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("not in this kernel (it needs Linux 5.19), or not permitted here")]
    Kernel,
    #[error(transparent)]
    System(#[from] RulesetError),
}

/// Binds the calling thread, and all that it starts from now on, to `files`: no file may be
/// executed, no TCP port may be bound and, unless something is fetched, none connected to; no
/// process outside can be sent a signal or, by an abstract name, connected to. Kernels that are too
/// old for a part of it skip that part.
///
/// # Errors
///
/// If there is no Landlock, or one that permits no renaming from folder to folder at all.
pub(super) fn restrict(files: &Files) -> Result<(), Refused> {
    // The last one that added rights that are taken away here.
    const LATEST: ABI = ABI::V6;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = AccessFs::from_all(LATEST)
        & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::Refer)
        .map_err(|_| Refused::Kernel)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LATEST))?
        .handle_access(AccessNet::BindTcp)?
        .scope(scopes())?;
    if !files.connects {
        ruleset = ruleset.handle_access(AccessNet::ConnectTcp)?;
    }
    let status = ruleset
        .create()?
        .add_rules(path_beneath_rules(&files.read, read))?
        .add_rules(path_beneath_rules(&files.write, write))?
        .add_rules(path_beneath_rules(&files.remove, AccessFs::RemoveFile))?
        .restrict_self()?;
    match status.ruleset {
        RulesetStatus::NotEnforced => Err(Refused::Kernel),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}

/// A supervisor's socket can have an abstract name.
fn scopes() -> BitFlags<Scope> {
    let supervisor = env::var_os("NOTIFY_SOCKET");
    let is_abstract = supervisor.is_some_and(|name| name.as_encoded_bytes().starts_with(b"@"));
    if is_abstract { Scope::Signal.into() } else { Scope::Signal | Scope::AbstractUnixSocket }
}
