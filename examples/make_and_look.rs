//! Makes a compressed image of a raw one, and looks at it, as a build can without running the tools:
//! `cargo run --example make_and_look -- recovery.raw recovery.img`.

use std::error::Error;
use std::fs::File;
use std::path::Path;

use boot_format::Name;
use boot_image::ImageFile;
use boot_image::pack::{PackOptions, pack};
use boot_tools::describe::Description;

fn main() -> Result<(), Box<dyn Error>> {
    let mut paths = std::env::args_os().skip(1);
    let (Some(raw), Some(image)) = (paths.next(), paths.next()) else {
        return Err("which raw image, and where to?".into());
    };
    make(raw.as_ref(), image.as_ref())
}

pub(crate) fn make(raw: &Path, image: &Path) -> Result<(), Box<dyn Error>> {
    let options = PackOptions {
        image_name: Name::new("recovery 0123abc")?,
        dataset: Name::new("rpool/ROOT/ramdisk")?,
        target_size: PackOptions::TARGET_SIZE,
        level: Some(PackOptions::LEVEL),
        threads: None,
        pad: false,
    };
    let raw = File::open(raw)?;
    let size = raw.metadata()?.len();
    let mut go_on = |bytes: u64| bytes <= size;
    let packed = pack(&raw, size, &File::create_new(image)?, &options, &mut go_on)?;
    println!("the boot archive wants {}", packed.header.checksum);

    let image = ImageFile::open(image)?;
    let mut checked = 0;
    image.unpack(&mut |bytes| {
        checked += bytes.len();
        Ok(())
    })?;
    println!(
        "{checked} bytes are good: {}",
        serde_json::to_string(&Description::with_hashes(&image)?)?
    );
    Ok(())
}
