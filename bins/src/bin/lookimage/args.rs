//! The command line.

use std::path::PathBuf;

use boot_format::boot_source::BootSource;
use clap::Parser;

/// Look at boot images: what their headers say, and whether their contents agree.
#[derive(Debug, Parser)]
#[command(name = "lookimage", version, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// An image: a file or a device, which may be longer than the image. Of several, a table is
    /// printed
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,

    /// Look at the header only: don't read the contents
    #[arg(short = 's', long)]
    pub(crate) skip_checksum: bool,

    /// Print what each boot source would say to the image; fail if one refuses it: one of those
    /// listed, or else one that images of this kind are meant for
    #[arg(long, value_name = "SOURCES", value_delimiter = ',', num_args = 0.., require_equals = true)]
    pub(crate) check: Option<Vec<BootSource>>,

    /// Say whether the image is the one that a boot archive with this `boot_image_csum` wants
    #[arg(long, value_name = "FILE")]
    pub(crate) csum: Option<PathBuf>,

    /// Write the raw contents to a file, which appears whole or not at all
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
  lookimage --check zfs.img                    who would boot from it, and if not, why
  lookimage --check=disk,network zfs.img       only whether these two would
  lookimage --csum boot_image_csum zfs.img     whether a boot archive wants it
  lookimage --extract zfs.raw recovery.img     the contents, inflated

Boot sources: disk, network, sp, gateway, agent, installer, packaging. The exit status is 0 if
nothing is wrong with any of the images, else 1, and stderr says what is.";
