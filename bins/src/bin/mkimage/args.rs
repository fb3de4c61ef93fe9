//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use boot_format::Name;
use boot_image::pack::PackOptions;
use clap::Parser;

/// Make a boot image from a raw ramdisk image.
#[derive(Debug, Parser)]
#[command(name = "mkimage", version, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The raw ramdisk image: a file, a block device, or `-` for standard input
    #[arg(short = 'i', long = "input", value_name = "RAW")]
    pub(crate) input: PathBuf,

    /// The image to write. It is replaced as a whole when all is done, together with the
    /// checksum, or not at all; a device is written in place. `-` is standard output, which gets
    /// the image when it is complete: until then it is kept in TMPDIR
    #[arg(short = 'o', long = "output", value_name = "IMAGE")]
    pub(crate) output: PathBuf,

    /// Also write the 32 bytes of the image's SHA-256, for the boot archive
    #[arg(short = 'O', long = "csum", value_name = "CSUM_FILE")]
    pub(crate) csum: Option<PathBuf>,

    /// Size of the ramdisk that the sled creates
    #[arg(short = 's', long = "target-size", value_name = "MIB", default_value_t = PackOptions::TARGET_SIZE >> 20,
          value_parser = clap::value_parser!(u64).range(1..=(u64::MAX >> 20)))]
    pub(crate) target_mib: u64,

    /// What the image calls itself, in 127 bytes at most. Release packaging takes an image
    /// whose name begins with `recovery` for a recovery image
    #[arg(short = 'N', long, value_name = "NAME", default_value = "", hide_default_value = true, value_parser = name)]
    pub(crate) name: Name,

    /// The dataset that the sled boots from
    #[arg(long, value_name = "NAME", default_value = "rpool/ROOT/ramdisk", value_parser = name)]
    pub(crate) dataset: Name,

    /// Compress the contents, as a recovery image needs it
    #[arg(short = 'z', long)]
    pub(crate) compress: bool,

    /// How hard to compress: 1 is fastest, 12 smallest
    #[arg(long, value_name = "1..12", default_value_t = PackOptions::LEVEL, requires = "compress",
          value_parser = clap::value_parser!(u8).range(1..=12))]
    pub(crate) level: u8,

    /// Threads that compress; as many as there are cores if not given
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Extend the contents with zeros to a multiple of 128 KiB, and 1 MiB at least, so that
    /// they can be booted over the network
    #[arg(long)]
    pub(crate) pad: bool,

    /// Refuse to make an image that a boot source it is meant for would not take
    #[arg(long)]
    pub(crate) strict: bool,

    /// Read the finished image back and check it before it takes its place
    #[arg(long)]
    pub(crate) verify: bool,

    /// Print what was made as JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// No progress, and nothing on success
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  mkimage -i zfs.raw -o zfs.img -O boot_image_csum -N 'ci 0123abc' -s 4096
  mkimage -z -i recovery.raw -o recovery.img -N 'recovery 0123abc'
  zfs-send-somehow | mkimage -i - -o zfs.img --pad

A plain image is meant for disk, network and the control-plane agent, a compressed one for the
service processor and the management gateway. If one of these would refuse it, a warning says
why. The exit status is 0 if the image was written, and 1 if not: then nothing was.";

fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|error| error.to_string())
}
