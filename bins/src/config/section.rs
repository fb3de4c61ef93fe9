//! Tables of a TOML file, read key by key: whatever is wrong is noted with its line, and a key that
//! is never asked for is unknown.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::fault::Fault;

/// A file's text, and what has been found out about it.
#[derive(Debug)]
pub(super) struct Source<'a> {
    text: &'a str,
    faults: RefCell<Vec<Fault>>,
    keys: RefCell<BTreeSet<String>>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, faults: RefCell::default(), keys: RefCell::default() }
    }

    /// The whole file as a table, or nothing if it is not TOML.
    pub(super) fn root(&self) -> Option<Section<'a, '_>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let line = error.span().map_or(1, |span| self.line(&span));
            self.fault(line, String::new(), format!("not TOML: {}", error.message()));
        }
        errors.is_empty().then(|| Section::new(self, Location::default(), table.into_inner()))
    }

    fn line(&self, span: &Range<usize>) -> usize {
        1 + self.text[..span.start].matches('\n').count()
    }

    fn fault(&self, line: usize, key: String, text: String) {
        self.faults.borrow_mut().push(Fault { line, key, text });
    }

    /// Notes that something is wrong with a value that was found.
    pub(super) fn refuse<T>(&self, found: &Found<T>, text: String) {
        self.fault(found.line, found.key.clone(), text);
    }

    /// All that is wrong, in the order of the lines; and all keys that were asked for.
    pub(super) fn end(self) -> (Vec<Fault>, BTreeSet<String>) {
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|fault| fault.line);
        (faults, self.keys.into_inner())
    }
}

/// A value, and its position.
#[derive(Clone, Debug)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) line: usize,
    /// Its full key, as in `sled[2].name`.
    pub(super) key: String,
}

/// Where a table stands in the file: `sled[2].` to people, `sled.` in the list of keys.
#[derive(Debug, Default)]
struct Location {
    shown: String,
    kind: String,
}

/// A table that is being read.
#[derive(Debug)]
pub(super) struct Section<'a, 's> {
    source: &'s Source<'a>,
    place: Location,
    table: DeTable<'a>,
    known: Vec<&'static str>,
}

impl<'a, 's> Section<'a, 's> {
    fn new(source: &'s Source<'a>, place: Location, table: DeTable<'a>) -> Self {
        Self { source, place, table, known: Vec::new() }
    }

    fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.source.keys.borrow_mut().insert(format!("{}{key}", self.place.kind));
        self.table.remove(key)
    }

    /// Whether `key`, which has not been read yet, is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The value of `key`, which `expected` describes.
    pub(super) fn value<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        expected: &str,
    ) -> Option<Found<T>> {
        let value = self.take(key)?;
        self.read(format!("{}{key}", self.place.shown), &value, expected)
    }

    /// The text of `key`, as `parse` understands it.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Found<T>> {
        let text = self.value(key, expected)?;
        self.parse(text, parse)
    }

    /// The texts of the list at `key`, as `parse` understands them.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<Found<T>>> {
        let value = self.take(key)?;
        let shown = format!("{}{key}", self.place.shown);
        let DeValue::Array(_) = value.get_ref() else {
            self.misfit(shown, &value, &format!("a list, each entry {expected}"));
            return None;
        };
        let DeValue::Array(entries) = value.into_inner() else { return None };
        let mut all = Vec::new();
        for (index, entry) in entries.into_iter().enumerate() {
            let text = self.read(format!("{shown}[{index}]"), &entry, expected);
            all.extend(text.and_then(|text| self.parse(text, &parse)));
        }
        Some(all)
    }

    /// The table at `key`.
    pub(super) fn section(&mut self, key: &'static str) -> Option<Section<'a, 's>> {
        let value = self.take(key)?;
        let shown = format!("{}{key}", self.place.shown);
        self.open(shown, key, value)
    }

    /// The tables at `key`, each written as `[[key]]`, and their lines.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<(usize, Section<'a, 's>)> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let shown = format!("{}{key}", self.place.shown);
        let DeValue::Array(_) = value.get_ref() else {
            self.misfit(shown, &value, &format!("tables, each under [[{key}]]"));
            return Vec::new();
        };
        let DeValue::Array(entries) = value.into_inner() else { return Vec::new() };
        let mut all = Vec::new();
        for (index, entry) in entries.into_iter().enumerate() {
            let line = self.source.line(&entry.span());
            let section = self.open(format!("{shown}[{index}]"), key, entry);
            all.extend(section.map(|section| (line, section)));
        }
        all
    }

    fn open(
        &self,
        shown: String,
        key: &str,
        value: Spanned<DeValue<'a>>,
    ) -> Option<Section<'a, 's>> {
        let DeValue::Table(_) = value.get_ref() else {
            self.misfit(shown, &value, "a table");
            return None;
        };
        let DeValue::Table(table) = value.into_inner() else { return None };
        let kind = format!("{}{key}.", self.place.kind);
        Some(Section::new(self.source, Location { shown: format!("{shown}."), kind }, table))
    }

    fn read<T: DeserializeOwned>(
        &self,
        key: String,
        value: &Spanned<DeValue<'a>>,
        expected: &str,
    ) -> Option<Found<T>> {
        let line = self.source.line(&value.span());
        match T::deserialize(ValueDeserializer::from(value.clone())) {
            Ok(value) => Some(Found { value, line, key }),
            Err(_) => {
                self.misfit(key, value, expected);
                None
            }
        }
    }

    fn parse<T>(
        &self,
        text: Found<String>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Found<T>> {
        let Found { value, line, key } = text;
        match parse(&value) {
            Ok(value) => Some(Found { value, line, key }),
            Err(reason) => {
                self.source.fault(line, key, format!("found {value:?}: {reason}"));
                None
            }
        }
    }

    fn misfit(&self, key: String, value: &Spanned<DeValue<'_>>, expected: &str) {
        let (kind, span) = (value.get_ref().type_str(), value.span());
        let written = self.source.text[span.clone()].lines().next().unwrap_or_default();
        let text = format!("found {written} ({kind}), expected {expected}");
        self.source.fault(self.source.line(&span), key, text);
    }

    /// Refuses the keys that were not asked for.
    pub(super) fn end(self) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            let shown = format!("{}{name}", self.place.shown);
            let text = match nearest(name, &self.known) {
                Some(near) => format!("there is no such key; is {near:?} meant?"),
                None => format!("there is no such key, expected one of {}", self.known.join(", ")),
            };
            self.source.fault(self.source.line(&key.span()), shown, text);
        }
    }
}

/// The key that was most likely meant.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    /// The Jaro-Winkler similarity of a word and its misspelling: clap's threshold.
    const SIMILAR: f64 = 0.7;
    let rated = known.iter().map(|key| (strsim::jaro_winkler(name, key), *key));
    let best = rated.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (best.0 > SIMILAR).then_some(best.1)
}
