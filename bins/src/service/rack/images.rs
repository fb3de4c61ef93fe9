//! What is known about images.

use std::collections::VecDeque;
use std::time::SystemTime;

use boot_format::Checksum;

use crate::service::events::{ImageEvent, InService, Judged};

/// The images in service, and what went wrong with others.
#[derive(Debug, Default)]
pub(crate) struct Images {
    served: Vec<InService>,
    /// The names of those that were in service, for sleds that have booted them.
    former: VecDeque<(Checksum, String)>,
    judged: VecDeque<Judged>,
    troubles: VecDeque<(SystemTime, String)>,
    refused: u64,
}

impl Images {
    const MOST_SERVED: usize = 256;
    const MOST_FORMER: usize = 256;
    const MOST_TROUBLES: usize = 16;

    pub(super) fn serve(&mut self, images: &[InService]) {
        for image in std::mem::take(&mut self.served) {
            self.former.retain(|(checksum, _)| *checksum != image.checksum);
            self.former.push_back((image.checksum, image.name));
        }
        let surplus = self.former.len().saturating_sub(Self::MOST_FORMER);
        self.former.drain(..surplus);
        self.served = images.iter().take(Self::MOST_SERVED).cloned().collect();
    }

    pub(super) fn judge(&mut self, judged: &Judged) {
        self.judged.retain(|known| known.checksum != judged.checksum);
        self.judged.push_back(judged.clone());
        if self.judged.len() > Self::MOST_SERVED {
            self.judged.pop_front();
        }
    }

    pub(super) fn note(&mut self, time: SystemTime, event: &ImageEvent) {
        let trouble = match event {
            ImageEvent::Refused { .. } => {
                self.refused += 1;
                event.to_string()
            }
            ImageEvent::Gone { .. } | ImageEvent::Unanswered { .. } => event.to_string(),
            _ => return,
        };
        if self.troubles.len() == Self::MOST_TROUBLES {
            self.troubles.pop_front();
        }
        self.troubles.push_back((time, trouble));
    }

    pub(crate) fn served(&self) -> &[InService] {
        &self.served
    }

    /// Each boot source's verdict on an image, once it is known.
    pub(crate) fn judgement(&self, image: Checksum) -> Option<&Judged> {
        self.judged.iter().find(|judged| judged.checksum == image)
    }

    /// What went wrong recently, and when.
    pub(crate) fn troubles(&self) -> &VecDeque<(SystemTime, String)> {
        &self.troubles
    }

    /// How many files were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    pub(super) fn name_of(&self, image: Checksum) -> &str {
        let served = self.served.iter().find(|served| served.checksum == image);
        let former = || self.former.iter().find(|(checksum, _)| *checksum == image);
        served
            .map(|served| served.name.as_str())
            .or_else(|| former().map(|(_, name)| name.as_str()))
            .unwrap_or_default()
    }
}
