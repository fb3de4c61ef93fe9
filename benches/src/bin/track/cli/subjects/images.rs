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
    members: Vec<Member>,
    folder: Folder,
}

impl Images {
    /// Members of the corpus: one, or some of many kinds. Those that can't be made here go to
    /// `left_out`.
    pub(super) fn new(extent: Extent, left_out: &mut Vec<String>) -> anyhow::Result<Self> {
        let names: &[&str] = match extent {
            Extent::Quick => &["tar-16"],
            Extent::Full => &["share", "binaries", "zfs-like", "text"],
        };
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let members = corpus(&names, &mut |name, why| left_out.push(format!("{name}: {why}")))?;
        let folder = Folder::new()?;
        for member in &members {
            warm(&member.path);
            pack_file(&member.path, &folder.path(&stored(member)), None, None);
        }
        Ok(Self { members, folder })
    }

    /// The sums over all members.
    pub(super) fn measure(&self, round: &mut Round) {
        let size = |path: &PathBuf| fs::metadata(path).expect("it was made").len() as f64;
        for member in &self.members {
            let raw = &member.path;
            let (made, best) = (self.folder.path("made"), self.folder.path("best"));
            timed(round, "hash", || peer::sha_of_mapping(raw));
            // Letting go of the old file is no part of making a new one.
            let _ = fs::remove_file(&made);
            timed(round, "pack raw", || pack_file(raw, &made, None, None));
            timed(round, "verify raw", || verify(&self.folder.path(&stored(member))));
            timed(round, "pack level 6", || pack_file(raw, &made, Some(6), None));
            *round.entry("level 6 bytes".to_owned()).or_default() += size(&made);
            let level = Some(PackOptions::LEVEL);
            timed(round, "pack", || pack_file(raw, &best, level, None));
            *round.entry("pack bytes".to_owned()).or_default() += size(&best);
            timed(round, "verify", || verify(&best));
            timed(round, "peer verify", || peer::verify(&best));
            timed(round, "peer pack", || peer::pack(raw, &made));
            *round.entry("peer pack bytes".to_owned()).or_default() += size(&made);
            *round.entry("raw bytes".to_owned()).or_default() += member.size as f64;
        }
    }
}

fn stored(member: &Member) -> String {
    format!("{}-stored", member.name)
}

fn verify(path: &std::path::Path) {
    let image = ImageFile::open(path).expect("it has a header");
    image.unpack(&mut |_| Ok(())).expect("it is good");
}
