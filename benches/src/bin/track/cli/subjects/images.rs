//! Making and checking images, beside a bare hash and the replaced tool's way.

use std::fs;
use std::path::PathBuf;

use boot_benches::corpus::{Member, corpus};
use boot_benches::images::{Images as Folder, pack_file, warm};
use boot_benches::peer;
use boot_image::ImageFile;
use boot_image::pack::PackOptions;

use super::{Extent, Round, timed};

/// Raw images, and where images are made of them.
#[derive(Debug)]
pub(super) struct Images {
    /// What is compressed.
    members: Vec<Member>,
    /// What is stored as it is: with less, starting threads would be much of what is measured.
    stored: Vec<Member>,
    folder: Folder,
}

impl Images {
    /// Members of the corpus: one, or some of many kinds. Those that can't be made here go to
    /// `left_out`.
    pub(super) fn new(extent: Extent, left_out: &mut Vec<String>) -> anyhow::Result<Self> {
        const MANY: &[&str] = &["share", "binaries", "zfs-like", "text"];
        let (members, stored) = match extent {
            Extent::Quick => (&["tar-16"][..], &["binaries"][..]),
            Extent::Full => (MANY, MANY),
        };
        let mut of = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
            corpus(&names, &mut |name, why| {
                // Some are both compressed and stored.
                let reason = format!("{name}: {why}");
                if !left_out.contains(&reason) {
                    left_out.push(reason);
                }
            })
        };
        let (members, stored) = (of(members)?, of(stored)?);
        let folder = Folder::new()?;
        for member in &stored {
            warm(&member.path);
            pack_file(&member.path, &folder.path(member.name), None, None);
        }
        for member in &members {
            warm(&member.path);
        }
        Ok(Self { members, stored, folder })
    }

    /// The sums over all members.
    pub(super) fn measure(&self, round: &mut Round) {
        for member in &self.stored {
            self.store(member, round);
        }
        for member in &self.members {
            self.compress(member, round);
        }
    }

    fn store(&self, member: &Member, round: &mut Round) {
        let (raw, image) = (&member.path, self.folder.path(member.name));
        let made = self.folder.path("made");
        // Letting go of the old file is no part of making a new one.
        let fresh = || fs::remove_file(&made).expect("it was made");
        // Or the first one measured would get memory that the system has yet to find.
        peer::store(raw, &made);
        fresh();
        timed(round, "hash", || peer::sha_of_mapping(raw));
        timed(round, "pack raw", || pack_file(raw, &made, None, None));
        fresh();
        timed(round, "peer pack raw", || peer::store(raw, &made));
        fresh();
        timed(round, "verify raw", || verify(&image));
        timed(round, "peer verify raw", || peer::verify(&image));
    }

    fn compress(&self, member: &Member, round: &mut Round) {
        let size = |path: &PathBuf| fs::metadata(path).expect("it was made").len() as f64;
        let raw = &member.path;
        let (made, best) = (self.folder.path("made"), self.folder.path("best"));
        timed(round, "pack level 6", || pack_file(raw, &made, Some(6), None));
        *round.entry("level 6 bytes".to_owned()).or_default() += size(&made);
        timed(round, "pack", || pack_file(raw, &best, Some(PackOptions::LEVEL), None));
        *round.entry("pack bytes".to_owned()).or_default() += size(&best);
        timed(round, "verify", || verify(&best));
        timed(round, "peer verify", || peer::verify(&best));
        timed(round, "peer pack", || peer::pack(raw, &made));
        *round.entry("peer pack bytes".to_owned()).or_default() += size(&made);
        *round.entry("raw bytes".to_owned()).or_default() += member.size as f64;
        fs::remove_file(&made).expect("it was made");
    }
}

fn verify(path: &std::path::Path) {
    let image = ImageFile::open(path).expect("it has a header");
    image.unpack(&mut |_| Ok(())).expect("it is good");
}
