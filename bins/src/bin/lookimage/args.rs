//! The command line.

use std::path::PathBuf;

use boot_format::boot_source::BootSource;
use clap::Parser;

/// Inspect boot images: what their headers say, and whether their contents agree.
#[derive(Debug, Parser)]
#[command(name = "lookimage", version = boot_tools::VERSION, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// An image: a file, or a device, which may be longer than the image. Several are printed as
    /// a table
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,

    /// Read the header only, not the contents
    #[arg(short = 's', long)]
    pub(crate) skip_checksum: bool,

    /// Print whether each boot source would accept the image; fail if one of SOURCES refuses it
    /// or, without SOURCES, one that images of this kind are meant for
    #[arg(long, value_name = "SOURCES", value_delimiter = ',', num_args = 0.., require_equals = true)]
    pub(crate) check: Option<Vec<BootSource>>,

    /// Fail unless the image is the one that the boot archive with this `boot_image_csum` wants
    #[arg(long, value_name = "FILE")]
    pub(crate) csum: Option<PathBuf>,

    /// Write the raw contents to a file, which appears complete or not at all
    #[arg(long, value_name = "RAW", conflicts_with = "skip_checksum")]
    pub(crate) extract: Option<PathBuf>,

    /// Print everything as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  lookimage zfs.img                            the header, and verify the contents
  lookimage -s zfs.img                         the header only
  lookimage --check zfs.img                    what would boot from it, and if not, why
  lookimage --check=disk,network zfs.img       whether these two would
  lookimage --csum boot_image_csum zfs.img     whether a boot archive wants it
  lookimage --extract zfs.raw recovery.img     the contents, inflated

Boot sources: disk, network, sp, gateway, agent, installer, packaging. The exit status is 0 if
nothing is wrong with any image, and 1 if something is; stderr says what.";
