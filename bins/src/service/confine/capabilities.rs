//! Capabilities (capabilities(7)): links are open, so none is needed any more.

use std::io;

use nix::unistd::geteuid;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// Those that let root read, replace and chown files of other users, as it is expected to.
const OF_FILES: [(CapabilitySet, &str); 4] = [
    (CapabilitySet::CHOWN, "cap_chown"),
    (CapabilitySet::DAC_OVERRIDE, "cap_dac_override"),
    (CapabilitySet::DAC_READ_SEARCH, "cap_dac_read_search"),
    (CapabilitySet::FOWNER, "cap_fowner"),
];

/// Gives up all capabilities, or those of root that have nothing to do with files. Returns which
/// are left.
///
/// # Errors
///
/// If the system refuses.
pub(super) fn drop() -> io::Result<String> {
    let now = capabilities(None)?;
    let wanted = if geteuid().is_root() {
        OF_FILES.iter().fold(CapabilitySet::empty(), |all, (one, _)| all | *one)
    } else {
        CapabilitySet::empty()
    };
    let kept = now.permitted & wanted;
    if now.permitted.is_empty() && now.inheritable.is_empty() {
        return Ok(described(kept));
    }
    // Ambient ones go with those that can be inherited.
    let inheritable = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable })?;
    Ok(described(kept))
}

fn described(kept: CapabilitySet) -> String {
    let names: Vec<_> =
        OF_FILES.iter().filter(|(one, _)| kept.contains(*one)).map(|(_, name)| *name).collect();
    if names.is_empty() {
        "without capabilities".to_owned()
    } else {
        format!("with {} for files of others (--user takes them away)", names.join(", "))
    }
}
