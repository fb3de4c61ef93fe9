//! What a file says of single links.

use std::collections::HashMap;
use std::path::Path;

use super::section::{Found, Section, Source};
use super::{RATE, link, pace};
use crate::service::LinkRate;

/// How fast to send on links, each of which may be there once.
pub(super) fn rates(root: &mut Section<'_, '_>, source: &Source<'_>, path: &Path) -> Vec<LinkRate> {
    let mut all = Vec::new();
    let mut lines: HashMap<String, usize> = HashMap::new();
    for (index, (line, mut section)) in root.sections("link").into_iter().enumerate() {
        let [has_name, has_rate] = ["name", "rate"].map(|key| section.has(key));
        let name = section.parsed("name", "the name of a link", link);
        let rate = section.parsed("rate", RATE, pace);
        section.end();
        let lacks = |what: &str| {
            let found = Found { value: (), line, key: format!("link[{index}]") };
            source.refuse(&found, format!("expected a {what}"));
        };
        if !has_name {
            lacks("`name`, one of the links that are served");
        }
        if !has_rate {
            lacks("`rate`");
        }
        let (Some(name), Some(rate)) = (name, rate) else { continue };
        if let Some(before) = lines.insert(name.value.clone(), name.line) {
            source.refuse(&name, format!("{} is listed on line {before} already", name.value));
        }
        let origin = format!("{}:{}", path.display(), name.line);
        all.push(LinkRate { link: name.value, pace: rate.value, origin });
    }
    all
}
