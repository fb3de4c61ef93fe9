//! The list of dependencies is that of `Cargo.toml`.

use std::collections::BTreeSet;
use std::fs;

use super::blocks::repository;

/// The crates that the workspace's own `Cargo.toml`s name, and that are not its own.
fn named() -> BTreeSet<String> {
    let manifest = |path: &str| {
        let text = fs::read_to_string(repository().join(path)).unwrap();
        text.parse::<toml::Table>().unwrap()
    };
    let root = manifest("Cargo.toml");
    let members = root["workspace"]["members"].as_array().unwrap();
    let mut found = BTreeSet::new();
    for member in members {
        let manifest = manifest(&format!("{}/Cargo.toml", member.as_str().unwrap()));
        let targets = manifest.get("target").and_then(|all| all.as_table());
        let tables = targets.into_iter().flat_map(|all| all.values().filter_map(|t| t.as_table()));
        for table in tables.chain([&manifest]) {
            for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
                let crates = table.get(kind).and_then(|all| all.as_table());
                found.extend(crates.into_iter().flat_map(|all| all.keys().cloned()));
            }
        }
    }
    let shared = root["workspace"]["dependencies"].as_table().unwrap();
    let own = |name: &String| shared.get(name).is_some_and(|what| what.get("path").is_some());
    found.retain(|name| !own(name));
    found
}

#[test]
fn each_dependency_is_explained_and_no_other() {
    let text = fs::read_to_string(repository().join("docs/dependencies.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let rows: Vec<_> = rows.map(|(name, _)| name.to_owned()).collect();
    let listed: BTreeSet<_> = rows.iter().cloned().collect();
    assert_eq!(listed.len(), rows.len(), "a crate has two rows");
    let named = named();
    assert!(named.len() > 40, "{named:?}");
    let missing: Vec<_> = named.difference(&listed).collect();
    let stale: Vec<_> = listed.difference(&named).collect();
    assert!(missing.is_empty() && stale.is_empty(), "missing: {missing:?}, stale: {stale:?}");
    for row in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        assert!(cells.len() == 6 && !cells[2].is_empty() && !cells[4].is_empty(), "{row}");
    }
}
