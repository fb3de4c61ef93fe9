//! The facts that commands get.

use boot_netboot::server::EventKind;

use crate::service::events::{Event, What};
use crate::service::rack::Rack;
use crate::stderr::record::rfc3339;

/// The facts about the sled that a command gets, as environment variables.
pub(super) fn facts(event: &Event, rack: &Rack) -> Vec<(&'static str, String)> {
    let text = |text: Option<String>| text.unwrap_or_default();
    let sled = event.sled.map(|sled| sled.to_string());
    let mut facts = vec![
        ("BOOT_TIME", rfc3339(event.time)),
        ("BOOT_LINK", text(event.link.as_deref().map(str::to_owned))),
        ("BOOT_SLED", text(sled)),
        ("BOOT_NAME", text(event.name.as_deref().map(str::to_owned))),
    ];
    if let Some(image) = rack.image_of(event) {
        facts.push(("BOOT_IMAGE", image.to_string()));
        facts.push(("BOOT_IMAGE_NAME", rack.name_of_image(image).to_owned()));
    }
    match &event.what {
        What::Sled(EventKind::Finished(summary)) => {
            facts.push(("BOOT_EVENT", "finished".to_owned()));
            facts.push(("BOOT_SIZE", summary.size.to_string()));
            facts.push(("BOOT_BYTES", summary.size.to_string()));
            facts.push(("BOOT_SECONDS", format!("{:.3}", summary.time.as_secs_f64())));
            facts.push(("BOOT_RETRANSMITS", (summary.again + summary.early).to_string()));
            facts.push(("BOOT_ASSUMED", u8::from(summary.assumed).to_string()));
        }
        What::Sled(EventKind::Lost { bytes, size }) => {
            facts.push(("BOOT_EVENT", "lost".to_owned()));
            facts.push(("BOOT_BYTES", bytes.to_string()));
            facts.push(("BOOT_SIZE", size.to_string()));
        }
        _ => facts.push(("BOOT_EVENT", "unreadable".to_owned())),
    }
    // A name can hold a character that no variable can.
    for (_, value) in &mut facts {
        value.retain(|character| character != '\0');
    }
    facts
}
