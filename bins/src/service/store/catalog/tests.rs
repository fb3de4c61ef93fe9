//! What is offered and logged as files come, change and go.

use std::fs;

use super::*;
use crate::service::store::look::look;

struct Trial {
    folder: tempfile::TempDir,
    catalog: Catalog,
    now: Instant,
}

impl Trial {
    /// A folder of files with these names, and nothing seen yet.
    fn new(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let catalog = Catalog::new(vec![folder.path().to_owned()], false);
        Self { folder, catalog, now: Instant::now() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn see(&mut self) -> Vec<Load> {
        self.catalog.see(0, look(self.folder.path()), false, self.now);
        std::iter::from_fn(|| self.catalog.next_load()).collect()
    }

    fn judge(&mut self, load: &Load, good: Option<u8>) {
        let result = match good {
            Some(fill) => {
                Contents::build(4096, 4096, "", "", |bytes| bytes.fill(fill)).map_err(Into::into)
            }
            None => Err(anyhow!("bad")),
        };
        self.catalog.judge(load, result);
    }

    fn offered(&self) -> usize {
        self.catalog.service().images.len()
    }

    fn replace(&self, name: &str) {
        fs::write(self.path(".new"), "another").unwrap();
        fs::rename(self.path(".new"), self.path(name)).unwrap();
    }
}

#[test]
fn what_is_ready_is_offered_while_others_load() {
    let mut trial = Trial::new(&["a", "b", ".hidden"]);
    assert!(trial.catalog.is_loading());
    let loads = trial.see();
    assert_eq!(loads.len(), 2);
    trial.judge(&loads[1], Some(1));
    assert_eq!(trial.offered(), 1);
    assert!(trial.catalog.is_loading() && trial.catalog.fault_of_start().is_none());
    assert_eq!(trial.catalog.service().checksum_of(&trial.path("a")), Service::NO_IMAGE);
    trial.judge(&loads[0], Some(2));
    assert!(trial.offered() == 2 && !trial.catalog.is_loading());
    assert!(trial.see().is_empty() && trial.catalog.fault_of_start().is_none());
}

#[test]
fn a_replaced_image_holds_back_only_itself_and_a_bad_one_leaves_the_old() {
    let mut trial = Trial::new(&["a", "b"]);
    for (load, fill) in trial.see().iter().zip(1..) {
        trial.judge(load, Some(fill));
    }
    trial.catalog.news.clear();
    trial.replace("a");
    let loads = trial.see();
    assert_eq!((loads.len(), trial.offered()), (1, 1));
    assert!(
        trial.catalog.news[0].to_string().contains("a: has changed")
            && trial.catalog.news.len() == 1
    );
    trial.judge(&loads[0], None);
    assert_eq!(trial.offered(), 2);
    assert!(trial.catalog.news[1].to_string().contains("the old one stays in service"));
    // A file that is replaced while it loads is not waited for, and not offered.
    trial.replace("a");
    let first = trial.see();
    trial.replace("a");
    let second = trial.see();
    trial.judge(&first[0], Some(7));
    assert_eq!(trial.offered(), 1);
    trial.judge(&second[0], Some(8));
    assert_eq!(trial.offered(), 2);
}

#[test]
fn a_bad_file_that_is_being_written_is_judged_again_when_it_rests() {
    let mut trial = Trial::new(&["a"]);
    let loads = trial.see();
    trial.judge(&loads[0], None);
    for size in 1..5 {
        fs::write(trial.path("a"), vec![0; 100 * size]).unwrap();
        trial.now += Catalog::REST / 2;
        assert!(trial.see().is_empty(), "it still grows");
    }
    assert!(trial.catalog.next_rested().is_some());
    trial.now += Catalog::REST;
    let loads = trial.see();
    trial.judge(&loads[0], Some(1));
    assert!(trial.offered() == 1 && trial.catalog.next_rested().is_none());
}

#[test]
fn a_file_that_is_gone_is_not_offered_and_said_once() {
    let mut trial = Trial::new(&["a", "b"]);
    for (load, fill) in trial.see().iter().zip(1..) {
        trial.judge(load, Some(fill));
    }
    trial.catalog.news.clear();
    fs::remove_file(trial.path("a")).unwrap();
    trial.see();
    trial.see();
    assert!(trial.offered() == 1 && trial.catalog.news.len() == 1);
    assert!(trial.catalog.news[0].to_string().contains("a: the file is gone"));
}

#[test]
fn images_of_a_source_that_stays_are_kept_and_those_of_one_that_goes_are_not() {
    let mut trial = Trial::new(&["a"]);
    let [load] = &trial.see()[..] else { panic!("one image is there") };
    trial.judge(load, Some(1));
    let own = trial.folder.path().to_owned();
    trial.catalog.set_sources(vec!["elsewhere".into(), own.clone()]);
    assert!(trial.catalog.used() == [1, 0] && trial.offered() == 1);
    trial.catalog.set_sources(vec!["elsewhere".into()]);
    assert_eq!(trial.offered(), 0);
    // A look or a load that was under way changes nothing.
    assert!(trial.see().is_empty());
    trial.judge(load, Some(1));
    trial.catalog.set_sources(vec![own]);
    let loads = trial.see();
    assert!(loads.len() == 1 && trial.offered() == 0);
    trial.judge(&loads[0], Some(1));
    assert_eq!(trial.offered(), 1);
}

#[test]
fn an_image_that_is_still_to_come_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut catalog = Catalog::new(vec![folder.path().to_owned()], true);
    let now = Instant::now();
    catalog.see(0, look(folder.path()), false, now);
    assert!(catalog.fault_of_start().is_none() && catalog.is_loading());
    fs::write(folder.path().join("a"), "").unwrap();
    catalog.see(0, look(folder.path()), false, now);
    let load = catalog.next_load().unwrap();
    let contents = Contents::build(1 << 20, 1 << 20, "", "", |_| {}).unwrap();
    let sum = contents.checksum();
    catalog.judge(&load, Ok(contents));
    assert!(!catalog.is_loading());
    assert_eq!(catalog.service().checksum_of(folder.path()), sum);
}

#[test]
fn where_nothing_is_good_at_the_start_the_reason_is_told() {
    let mut trial = Trial::new(&["a"]);
    let loads = trial.see();
    trial.judge(&loads[0], None);
    let fault = trial.catalog.fault_of_start().unwrap().to_string();
    assert!(fault.contains("no image in this folder"), "{fault}");
    let missing = PathBuf::from("/missing.img");
    let mut catalog = Catalog::new(vec![missing.clone()], false);
    catalog.see(0, look(&missing), false, trial.now);
    let fault = catalog.fault_of_start().unwrap().to_string();
    assert!(fault.starts_with("/missing.img: No such file"), "{fault}");
    assert!(catalog.news.is_empty());
}
