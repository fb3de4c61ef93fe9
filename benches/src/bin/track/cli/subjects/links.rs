//! Frames and whole boots over a veth pair in a network namespace, which takes root.

use std::fs::File;
use std::io::Write;

use boot_backends::TxPath;
use boot_benches::boots::{Boot, Ends};
use boot_benches::images::contents;
use boot_benches::naive::Naive;
use boot_benches::sending::{self, FIRST, FRAMES, PATHS, Sender, send, served};
use boot_image::Contents;

use super::{Extent, Round};

#[path = "../../../../../../backends/tests/netns/mod.rs"]
mod netns;

use netns::{FAR, NEAR, denied, inside};

/// What goes over the links.
#[derive(Debug)]
pub(super) struct Links {
    frames: Contents,
    one: Contents,
    file: File,
    eight: Contents,
}

impl Links {
    const ENDS: Ends = Ends { near: NEAR, far: FAR };

    /// Says why it can't, where it can't.
    pub(super) fn new(extent: Extent) -> Result<Self, String> {
        if let Some(reason) = denied() {
            return Err(reason);
        }
        let (one, eight) = match extent {
            Extent::Quick => (64 << 20, 8 << 20),
            Extent::Full => (512 << 20, 64 << 20),
        };
        let one = contents(one);
        let mut file = tempfile::tempfile().map_err(|error| error.to_string())?;
        file.write_all(one.held().expect("it is in memory")).map_err(|error| error.to_string())?;
        Ok(Self { frames: sending::image(), one, file, eight: contents(eight) })
    }

    pub(super) fn measure(&self, round: &mut Round) {
        inside(1, || {
            self.send(round);
            let model = Self::ENDS.boot_naively(&self.one, &self.file);
            insert(round, "model boot", model);
            insert(round, "mmsg boot", Self::ENDS.boot(TxPath::Mmsg, &self.one, 1));
            insert(round, "xdp boot", Self::ENDS.boot(TxPath::Xdp, &self.one, 1));
            insert(round, "eight boots", Self::ENDS.boot(TxPath::Mmsg, &self.eight, 8));
        });
    }

    /// Frames alone, on each way out.
    fn send(&self, round: &mut Round) {
        let mut sender = Sender::new(&self.frames);
        let mut insert = |name: &str, cpu: std::time::Duration| {
            round.insert(format!("{name} frame"), cpu.as_nanos() as f64 / FRAMES as f64)
        };
        let mut naive = Naive::open(NEAR).expect("the link is there");
        insert("naive", sender.run(FRAMES, |batch| naive.send(batch).expect("the link stays")));
        for path in PATHS {
            // A queue has one AF_XDP socket at a time.
            let [mut link] = sending::open::<1>(NEAR, path);
            sender.run(FIRST, |batch| send(&mut link, batch));
            let cpu = sender.run(FRAMES, |batch| send(&mut link, batch));
            insert(&path.to_string(), cpu);
            if path == TxPath::Xdp {
                insert("served", served(link.as_mut(), &self.frames, 1, FRAMES));
            }
        }
    }
}

fn insert(round: &mut Round, name: &str, boot: Boot) {
    round.insert(name.to_owned(), boot.seconds());
    round.insert(format!("{name}, CPU"), boot.cpu.as_secs_f64());
    round.insert(format!("{name}, bytes"), boot.bytes as f64);
}
