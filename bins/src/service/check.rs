//! Printing what would be served, without touching a link.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use boot_backends::system_name;
use boot_image::ImageFile;

use super::options::{ServeOptions, SledEntry};
use super::plan::Plan;
use super::store::files_at;
use super::who;
use super::{confine, link_names};
use crate::config::shown_pace;
use crate::exit::Exit;
use crate::fetch;
use crate::patient::Patient;
use crate::shown::Shown;
use crate::units::{Bytes, Plural};

/// Prints which links, images and sleds `options` would serve. It fails if there is no such link,
/// or a path at which there is no good image; of images only the headers are read.
///
/// # Errors
///
/// If a link is not there, or the output can't be written.
pub fn check(options: &ServeOptions) -> anyhow::Result<Exit> {
    let names = link_names::find(&options.links, system_name)?;
    let plan = Plan::new(options, &names)?;
    confine::check(options)?;
    if let Some(path) = &options.state {
        super::state::open(path)?;
    }
    fetch::check(&options.fetch, options.paths().map(PathBuf::as_path))?;
    let mut out = Patient(io::stdout().lock());
    let workers = options.workers(names.len());
    for name in &names {
        let workers = Plural(workers as u64, "worker");
        let rate = shown_pace(plan.rates.of(&name.system));
        writeln!(out, "link {}: {workers}, --tx {}, rate {rate}", Shown(&name.given), options.tx)?;
    }
    writeln!(out, "serves {}", who(&plan.serve))?;
    let mut good = true;
    for place in plan.places() {
        if fetch::is_url(&place)? {
            writeln!(out, "image {}: to be fetched", Shown(place.display()))?;
            continue;
        }
        good &= check_place(&place, &mut out)?;
    }
    for SledEntry { sled, name, image, once, .. } in &options.sleds {
        let name = name.as_ref().map_or(String::new(), |name| format!(" ({name})"));
        let image =
            image.as_ref().map_or("any image".to_owned(), |path| Shown(path.display()).to_string());
        let once = once
            .as_ref()
            .map_or(String::new(), |path| format!(", after one boot of {}", Shown(path.display())));
        writeln!(out, "sled {}{name}: {image}{once}", Shown(sled))?;
    }
    Ok(if good { Exit::Success } else { Exit::Failure })
}

/// Prints which images are at `place`, and returns whether there is any.
fn check_place(place: &Path, out: &mut impl Write) -> io::Result<bool> {
    let files = match files_at(place) {
        Ok(files) => files,
        Err(error) => {
            writeln!(out, "image {}: {error}", Shown(place.display()))?;
            return Ok(false);
        }
    };
    let mut good = false;
    for path in files {
        match ImageFile::open(&path) {
            Ok(image) => {
                good = true;
                let size = Bytes(image.header().image_size);
                writeln!(out, "image {}: {size}", Shown(path.display()))?;
            }
            // It begins with the path.
            Err(error) => writeln!(out, "image {}", Shown(&error))?,
        }
    }
    if !good {
        writeln!(out, "no image at {}", Shown(place.display()))?;
    }
    Ok(good)
}
