//! What a new file inherits from the one that it replaces.

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

/// Gives `file` the owner and group of the `old` file at `place`, as far as that is permitted,
/// its mode, and its ACL and user attributes, as far as the file system has such.
pub(super) fn keep_attributes(file: &File, old: &Metadata, place: &Path) -> io::Result<()> {
    let new = file.metadata()?;
    let owners = |of: &Metadata| (of.uid(), of.gid());
    let mut keeps_owner = owners(&new) == owners(old);
    if !keeps_owner {
        keeps_owner = fchown(file, Some(old.uid()), Some(old.gid())).is_ok();
    }
    if !keeps_owner {
        // Anyone may give a file to a group that they are in.
        let _ = fchown(file, None, Some(old.gid()));
    }
    // Set-ID bits refer to the owner.
    let bits = if keeps_owner { 0o7777 } else { 0o777 };
    file.set_permissions(Permissions::from_mode(old.mode() & bits))?;
    keep_extended(file, place);
    Ok(())
}

#[cfg(target_os = "linux")]
fn keep_extended(file: &File, place: &Path) {
    use rustix::fs::{XattrFlags, fsetxattr, getxattr, listxattr};
    // The most bytes that Linux allows for all names, and for a value.
    const MOST: usize = 64 << 10;
    let mut names = vec![0; MOST];
    let Ok(length) = listxattr(place, &mut names[..]) else {
        return;
    };
    // Others are about the contents, as signatures are, or only the system may set them.
    let is_kept = |name: &[u8]| {
        name.starts_with(b"user.")
            || [&b"system.posix_acl_access"[..], b"security.selinux"].contains(&name)
    };
    let mut value = vec![0; MOST];
    for name in names[..length].split(|&byte| byte == 0).filter(|name| is_kept(name)) {
        if let Ok(length) = getxattr(place, name, &mut value[..]) {
            let _ = fsetxattr(file, name, &value[..length], XattrFlags::empty());
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn keep_extended(_: &File, _: &Path) {}
