//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use boot_format::Name;
use boot_image::pack::PackOptions;
use clap::Parser;

/// Make a boot image from a raw ramdisk image.
#[derive(Debug, Parser)]
#[command(name = "mkimage", version = boot_tools::VERSION, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The raw ramdisk image: a file, a block device, or `-` for standard input
    #[arg(short = 'i', long = "input", value_name = "RAW")]
    pub(crate) input: PathBuf,

    /// The image to write: a file, which is replaced as a whole, together with the checksum, or
    /// not at all; a device, which is written in place; or `-` for standard output, which gets
    /// the image once it is complete. Until then it is kept in TMPDIR
    #[arg(short = 'o', long = "output", value_name = "IMAGE")]
    pub(crate) output: PathBuf,

    /// Also write the SHA-256 of the contents, 32 bytes, for the boot archive
    #[arg(short = 'O', long = "csum", value_name = "CSUM_FILE")]
    pub(crate) csum: Option<PathBuf>,

    /// The size of the ramdisk that the sled creates
    #[arg(short = 's', long = "target-size", value_name = "MIB", default_value_t = PackOptions::TARGET_SIZE >> 20,
          value_parser = clap::value_parser!(u64).range(1..=(u64::MAX >> 20)))]
    pub(crate) target_mib: u64,

    /// The image's name, at most 127 bytes. Release packaging takes an image whose name begins
    /// with `recovery` for a recovery image
    #[arg(short = 'N', long, value_name = "NAME", default_value = "", hide_default_value = true, value_parser = name)]
    pub(crate) name: Name,

    /// The dataset that the sled boots from
    #[arg(long, value_name = "NAME", default_value = "rpool/ROOT/ramdisk", value_parser = name)]
    pub(crate) dataset: Name,

    /// Compress the contents, for a recovery image
    #[arg(short = 'z', long)]
    pub(crate) compress: bool,

    /// How hard to compress: 1 is fastest, 12 is smaller and slow, and `max` is as small as it gets
    /// and takes minutes
    #[arg(long, value_name = "1..12|max", default_value = LEVEL, requires = "compress",
          value_parser = level)]
    pub(crate) level: u8,

    /// Threads that compress. By default as many as there are cores or, under `make -j`, as make's
    /// jobserver has jobs to spare
    #[arg(short = 'j', long, value_name = "N", visible_alias = "threads")]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// Extend the contents with zeros to a multiple of 128 KiB and at least 1 MiB, which a boot
    /// over the network needs
    #[arg(long)]
    pub(crate) pad: bool,

    /// Fail if a boot source that the image is meant for would refuse it
    #[arg(long)]
    pub(crate) strict: bool,

    /// Read the finished image back and check it before it takes its place
    #[arg(long)]
    pub(crate) verify: bool,

    /// Print a report on the image as JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Show no progress, and print nothing on success
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
why. The exit status is 0 if the image was written; if it is 1, nothing was.";

/// [`PackOptions::LEVEL`], as it is shown.
const LEVEL: &str = "10";
const _: () = assert!(PackOptions::LEVEL == 10);

fn level(text: &str) -> Result<u8, String> {
    match text.parse() {
        Ok(level @ 1..=12) => Ok(level),
        _ if text == "max" => Ok(PackOptions::MOST),
        _ => Err("a level is a number from 1 to 12, or max".to_owned()),
    }
}

fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|error| error.to_string())
}
