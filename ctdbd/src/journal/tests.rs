use super::*;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

fn entry(n: u64) -> NewEntry {
    NewEntry { wall: n, kind: "run".into(), text: format!("entry {n}"), data: serde_json::json!({ "n": n }) }
}

fn ids(journal: &mut dyn Journal, n: usize) -> Vec<u64> {
    journal.last(n).unwrap().iter().map(|e| e.id).collect()
}

/// Both kinds of journal behave alike.
fn both(test: impl Fn(&mut dyn Journal)) {
    test(&mut MemoryJournal::new(5, 0));
    let dir = tempfile::tempdir().unwrap();
    test(&mut SledJournal::open(&dir.path().join("journal"), 5).unwrap());
}

#[test]
fn entries_come_back_in_order_and_bounded() {
    both(|journal| {
        assert_eq!(ids(journal, 10), [0; 0]);
        for n in 0..4 {
            assert_eq!(journal.append(entry(n)).unwrap(), n);
        }
        assert_eq!(ids(journal, 10), [0, 1, 2, 3]);
        assert_eq!(ids(journal, 2), [2, 3]);
        assert_eq!(ids(journal, 0), [0; 0]);
        for n in 4..300 {
            journal.append(entry(n)).unwrap();
        }
        assert_eq!(ids(journal, 100), [295, 296, 297, 298, 299]);
        assert_eq!(journal.next_id(), 300);
        assert_eq!(journal.last(1).unwrap(), [entry(299).numbered(299)]);
    });
}

#[test]
fn a_restart_keeps_entries_and_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("var/journal");
    for round in 0..3 {
        let mut journal = SledJournal::open(&path, 100).unwrap();
        assert_eq!(journal.next_id(), round * 10);
        for n in 0..10 {
            journal.append(entry(round * 10 + n)).unwrap();
        }
        journal.flush().unwrap();
    }
    let mut journal = SledJournal::open(&path, 100).unwrap();
    assert_eq!(ids(&mut journal, 100), (0..30).collect::<Vec<_>>());
    assert_eq!(journal.last(1).unwrap(), [entry(29).numbered(29)]);
    drop(journal);
    let mut journal = SledJournal::open(&path, 4).unwrap();
    assert_eq!(ids(&mut journal, 100), [26, 27, 28, 29], "a smaller bound holds at once");
}

#[test]
fn two_daemons_on_one_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut first = SledJournal::open(&path, 10).unwrap();
    first.append(entry(0)).unwrap();
    let error = SledJournal::open(&path, 10).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("another ctdbd uses it; stop that one"), "{error}");
    first.append(entry(1)).unwrap();
    assert_eq!(ids(&mut first, 10), [0, 1]);
}

fn damage(path: &Path, how: impl Fn(&Path)) {
    let dir = path.join("journal");
    let mut journal = SledJournal::open(&dir, 100).unwrap();
    for n in 0..50 {
        journal.append(entry(n)).unwrap();
    }
    journal.flush().unwrap();
    drop(journal);
    how(&dir);
    let mut journal = SledJournal::open(&dir, 100).unwrap();
    assert_eq!(ids(&mut journal, 100), [0; 0]);
    journal.append(entry(0)).unwrap();
    assert_eq!(ids(&mut journal, 100), [0]);
    let aside = fs::read_dir(path)
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with("journal.damaged-"))
        .count();
    assert_eq!(aside, 1);
}

#[test]
fn a_damaged_store_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    damage(&dir.path().join("db"), |store| {
        fs::remove_file(store.join("db")).unwrap();
        fs::create_dir(store.join("db")).unwrap();
    });
    damage(&dir.path().join("file"), |store| {
        fs::remove_dir_all(store).unwrap();
        fs::write(store, "a file where a directory was").unwrap();
    });
    damage(&dir.path().join("key"), |store| {
        let db = sled::open(store).unwrap();
        db.insert(b"zzz", b"not ours").unwrap();
        db.flush().unwrap();
    });
}

#[test]
fn whatever_happens_to_the_files_the_journal_opens() {
    for (at, length) in [(0_u64, 64_usize), (512, 4096), (100, 1), (4000, 200), (0, 524_288)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = SledJournal::open(&path, 1000).unwrap();
        for n in 0..500 {
            journal.append(entry(n)).unwrap();
        }
        journal.flush().unwrap();
        drop(journal);
        let mut db = fs::OpenOptions::new().write(true).open(path.join("db")).unwrap();
        std::io::Seek::seek(&mut db, std::io::SeekFrom::Start(at)).unwrap();
        db.write_all(&vec![0xa5; length]).unwrap();
        drop(db);
        let mut journal = SledJournal::open(&path, 1000).unwrap();
        let next = journal.next_id();
        assert_eq!(journal.append(entry(next)).unwrap(), next, "damage of {length} bytes at {at}");
        assert_eq!(journal.last(1).unwrap()[0].id, next);
    }
}

#[tokio::test]
async fn the_thread_answers_and_keeps_what_was_recorded_before_close() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let handle = start(Box::new(SledJournal::open(&path, KEEP).unwrap())).unwrap();
    for n in 0..100 {
        handle.record("run", format!("entry {n}"), serde_json::Value::Null);
    }
    let last = handle.last(3, LIMIT).await.unwrap();
    assert_eq!(last.iter().map(|e| e.id).collect::<Vec<_>>(), [97, 98, 99]);
    assert!(last[0].wall > 1_700_000_000_000_000, "microseconds since 1970");
    handle.record("stop", "last words", serde_json::Value::Null);
    handle.close(LIMIT).await.unwrap();
    assert_eq!(handle.last(1, LIMIT).await, Err(Unavailable));
    let mut journal = SledJournal::open(&path, KEEP).unwrap();
    assert_eq!(journal.last(1).unwrap()[0].text, "last words");
    assert_eq!(journal.next_id(), 101);
}

/// A store whose disk is full from its third entry on.
struct Failing(MemoryJournal);

impl Journal for Failing {
    fn append(&mut self, entry: NewEntry) -> Result<u64, StoreError> {
        if self.0.next_id() >= 2 { Err(StoreError("disk full".into())) } else { self.0.append(entry) }
    }
    fn last(&mut self, n: usize) -> Result<Vec<JournalEntry>, StoreError> {
        self.0.last(n)
    }
    fn next_id(&self) -> u64 {
        self.0.next_id()
    }
    fn flush(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_failing_disk_costs_old_entries_only() {
    let handle = start(Box::new(Failing(MemoryJournal::new(10, 0)))).unwrap();
    for n in 0..5 {
        handle.record("run", format!("{n}"), serde_json::Value::Null);
    }
    let found = handle.last(10, LIMIT).await.unwrap();
    let found: Vec<_> = found.iter().map(|e| (e.id, e.text.as_str())).collect();
    assert_eq!(found, [(2, "2"), (3, "3"), (4, "4")]);
}

/// A store whose disk hangs until it is released.
struct Hanging(std::sync::mpsc::Receiver<()>, MemoryJournal);

impl Journal for Hanging {
    fn append(&mut self, entry: NewEntry) -> Result<u64, StoreError> {
        if self.1.next_id() == 0 {
            let _released = self.0.recv();
        }
        self.1.append(entry)
    }
    fn last(&mut self, n: usize) -> Result<Vec<JournalEntry>, StoreError> {
        self.1.last(n)
    }
    fn next_id(&self) -> u64 {
        self.1.next_id()
    }
    fn flush(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_hanging_disk_stops_nobody_and_losses_are_recorded() {
    let (release, held) = std::sync::mpsc::channel();
    let handle = start(Box::new(Hanging(held, MemoryJournal::new(KEEP, 0)))).unwrap();
    for n in 0..6000 {
        handle.record("run", format!("{n}"), serde_json::Value::Null);
    }
    assert_eq!(handle.last(1, Duration::from_millis(20)).await, Err(Unavailable));
    release.send(()).unwrap();
    let found = loop {
        if let Ok(found) = handle.last(6000, LIMIT).await {
            break found;
        }
        tokio::task::yield_now().await;
    };
    let lost: u64 = found.iter().filter_map(|e| e.data.get("lost")?.as_u64()).sum();
    let kept = found.iter().filter(|e| e.kind == "run").count() as u64;
    assert!(lost > 0);
    assert_eq!(lost + kept, 6000);
}
