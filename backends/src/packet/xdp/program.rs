//! An XDP program that passes every frame on.
//!
//! Most drivers create the rings for zero-copy sending only once the card has an XDP program,
//! whatever it does. This is the smallest one.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// The program, attached to a link for as long as this value or its process lives.
#[derive(Debug)]
pub(super) struct PassAll {
    /// The attachment: the kernel takes it off when the last descriptor for it is closed.
    _attachment: OwnedFd,
}

impl PassAll {
    /// Attaches the program to the driver of the link with this index.
    ///
    /// # Errors
    ///
    /// What the kernel refuses: EPERM without CAP_BPF and CAP_NET_ADMIN, EBUSY if the link has a
    /// program, EOPNOTSUPP if its driver takes none, EINVAL before Linux 5.9 or for the driver's
    /// own reasons (a long MTU, SR-IOV, too many queues).
    pub(super) fn attach(link: i32) -> io::Result<Self> {
        let program = load(&PASS)?;
        let attachment = bpf(
            LINK_CREATE,
            &LinkCreate {
                program: program.as_raw_fd().cast_unsigned(),
                link: link.cast_unsigned(),
                attach_type: ATTACH_XDP,
                flags: IN_DRIVER,
            },
        )?;
        Ok(Self { _attachment: attachment })
    }
}

/// One instruction, `bpf_insn` from linux/bpf.h.
#[repr(C)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// `r0 = XDP_PASS; exit`.
const PASS: [Instruction; 2] = {
    /// BPF_ALU64 | BPF_MOV | BPF_K, to register 0.
    const SET: u8 = 0xb7;
    /// BPF_JMP | BPF_EXIT.
    const EXIT: u8 = 0x95;
    const XDP_PASS: i32 = 2;
    [
        Instruction { code: SET, registers: 0, offset: 0, immediate: XDP_PASS },
        Instruction { code: EXIT, registers: 0, offset: 0, immediate: 0 },
    ]
};

// From linux/bpf.h and linux/if_link.h.
const PROGRAM_LOAD: i32 = 5;
const LINK_CREATE: i32 = 28;
const TYPE_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;
/// XDP_FLAGS_DRV_MODE: not in the kernel's own receive path, where it would gain nothing.
const IN_DRIVER: u32 = 1 << 2;

/// The part of `bpf_attr` for BPF_PROG_LOAD as of the kernel that introduced links.
#[repr(C)]
struct ProgramLoad {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    licence: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    for_card: u32,
    attach_type: u32,
}

/// The part of `bpf_attr` for BPF_LINK_CREATE that XDP needs.
#[repr(C)]
struct LinkCreate {
    program: u32,
    link: u32,
    attach_type: u32,
    flags: u32,
}

/// A command's part of `bpf_attr`: numbers without padding, and addresses of memory that lives as
/// long as the borrow of it.
trait Attributes {}
impl Attributes for ProgramLoad {}
impl Attributes for LinkCreate {}

fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    let mut name = [0; 16];
    name[..8].copy_from_slice(b"pass_all");
    bpf(
        PROGRAM_LOAD,
        &ProgramLoad {
            kind: TYPE_XDP,
            instruction_count: program.len() as u32,
            instructions: program.as_ptr() as u64,
            licence: c"MPL-2.0".as_ptr() as u64,
            log_level: 0,
            log_size: 0,
            log: 0,
            kernel_version: 0,
            flags: 0,
            name,
            for_card: 0,
            attach_type: ATTACH_XDP,
        },
    )
}

/// A command that makes something, and the descriptor of it.
fn bpf<T: Attributes>(command: i32, attributes: &T) -> io::Result<OwnedFd> {
    let size = size_of::<T>();
    // SAFETY: the kernel reads `size` bytes of attributes, and the memory that they point to, all
    // of which is borrowed until the call returns; it writes nothing for these
    // commands.
    let made =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size) };
    if made < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and exclusively ours.
    Ok(unsafe { OwnedFd::from_raw_fd(made as i32) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attributes_are_laid_out_as_the_kernel_has_them() {
        assert_eq!(size_of::<Instruction>(), 8);
        assert_eq!(size_of::<LinkCreate>(), 16);
        assert_eq!(size_of::<ProgramLoad>(), 72);
        assert_eq!(std::mem::offset_of!(ProgramLoad, name), 48);
        assert_eq!(std::mem::offset_of!(ProgramLoad, attach_type), 68);
    }
}
