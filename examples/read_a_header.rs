//! Shows the header of an image, and which boot sources would accept it:
//! `cargo run --example read_a_header -- zfs.img`.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use boot_format::Header;
use boot_format::boot_source::{BootSource, Facts};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("which image?")?;
    show(path.as_ref())
}

pub(crate) fn show(path: &Path) -> Result<(), Box<dyn Error>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    file.by_ref().take(Header::LEN as u64).read_to_end(&mut bytes)?;

    let header = Header::parse(&bytes)?;
    println!("{}: {} bytes, sha256 {}", header.image_name, header.image_size, header.checksum);
    let facts = Facts::new(&header, length);
    for source in BootSource::ALL {
        println!("{source:<10} {:?}", source.verdict(&facts));
    }
    Ok(())
}
