//! The durable store: crashes at every write, full disks, two services on one file.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::io;
use std::sync::{Arc, Mutex};

use cocoon_payments::{PayeeRecord, Store, StoreError};
use cocoon_protocol::Nano;
use common::*;
use redb::StorageBackend;

/// A disk in memory that loses power, or room, at a chosen write.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What survives a crash.
    synced: Vec<u8>,
    /// What the running system sees.
    seen: Vec<u8>,
    /// Writes since the last sync.
    unsynced: Vec<(usize, Vec<u8>)>,
    writes: usize,
    fail_at: Option<usize>,
    full: bool,
    seed: u64,
}

impl Disk {
    fn failing_at(image: &[u8], write: usize, seed: u64) -> Self {
        let state = State {
            synced: image.to_vec(),
            seen: image.to_vec(),
            fail_at: Some(write),
            seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            ..State::default()
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// What is on the disk after the power went: of the writes that were not synced, any may have arrived, in part.
    fn after_crash(&self) -> Vec<u8> {
        let mut state = self.0.lock().unwrap();
        let mut image = state.synced.clone();
        for (offset, data) in std::mem::take(&mut state.unsynced) {
            // xorshift: the schedule is fixed by the seed that a failing test prints.
            state.seed ^= state.seed << 13;
            state.seed ^= state.seed >> 7;
            state.seed ^= state.seed << 17;
            let arrived = match state.seed % 3 {
                0 => 0,
                1 => data.len(),
                _ => (state.seed >> 8) as usize % (data.len() + 1),
            };
            if image.len() < offset + arrived {
                image.resize(offset + arrived, 0);
            }
            image[offset..offset + arrived].copy_from_slice(&data[..arrived]);
        }
        image
    }

    fn writes(&self) -> usize {
        self.0.lock().unwrap().writes
    }

    fn contents(&self) -> Vec<u8> {
        self.0.lock().unwrap().seen.clone()
    }
}

impl State {
    fn step(&mut self) -> io::Result<()> {
        self.writes += 1;
        if self.full || self.fail_at.is_some_and(|at| self.writes > at) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no room on the disk"));
        }
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let start = offset as usize;
        let data = state.seen.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(data);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.step()?;
        state.seen.resize(len as usize, 0);
        // A new length is metadata of the file: it survives.
        state.synced.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.step()?;
        state.synced = state.seen.clone();
        state.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let start = offset as usize;
        let result = state.step();
        // The write that the crash interrupts may still arrive in part.
        state.unsynced.push((start, data.to_vec()));
        result?;
        state.seen.get_mut(start..start + data.len()).ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        Ok(())
    }
}

fn record(billed: u64, voucher: u64) -> PayeeRecord {
    let mut books = payee();
    accept(&mut books, &signed(voucher));
    let id = books.admit(Nano::new(billed)).unwrap();
    books.authorise(id, Nano::new(billed));
    books.finish(id, Nano::new(billed), None).unwrap();
    books.record().1
}

#[test]
fn attack_80_a_crash_at_any_write_loses_nothing_that_was_acknowledged() {
    let fresh = Disk::default();
    drop(Store::on_backend(fresh.clone()).unwrap());
    let image = fresh.contents();

    let run = |disk: &Disk| -> u64 {
        let Ok(store) = Store::on_backend(disk.clone()) else { return 0 };
        let mut acknowledged = 0;
        for n in 1..=4 {
            match store.commit(&[], &[record(n * 10, n * 10 + 5)]) {
                Ok(()) => acknowledged = n,
                Err(_) => break,
            }
        }
        acknowledged
    };
    let whole = Disk::failing_at(&image, usize::MAX, 1);
    assert_eq!(run(&whole), 4);
    let writes = whole.writes();
    assert!(writes > 8, "{writes} writes are too few to mean anything");

    for at in 0..writes {
        for seed in 1..=3 {
            let disk = Disk::failing_at(&image, at, seed * 1_000 + at as u64);
            let acknowledged = run(&disk);
            let survivor = Disk::failing_at(&disk.after_crash(), usize::MAX, 1);
            let store = Store::on_backend(survivor).unwrap_or_else(|e| panic!("crash at write {at}, seed {seed}: {e}"));
            let found = store.payees().unwrap();
            let billed = found.first().map_or(0, |r| r.billed.get()) / 10;
            // The step that was under way may have arrived as a whole; nothing else may have.
            assert!(
                billed == acknowledged || billed == acknowledged + 1,
                "crash at write {at}, seed {seed}: {acknowledged} acknowledged, {billed} found"
            );
            if let Some(record) = found.first() {
                assert_eq!(
                    record.vouchers[0].voucher.cumulative,
                    Nano::new(billed * 10 + 5),
                    "a whole record, never a mixture"
                );
            }
        }
    }
}

#[test]
fn attack_81_a_full_disk_is_an_error_and_the_books_stay_as_they_were() {
    let disk = Disk::failing_at(&[], usize::MAX, 1);
    let store = Store::on_backend(disk.clone()).unwrap();
    store.commit(&[], &[record(10, 15)]).unwrap();
    disk.0.lock().unwrap().full = true;
    let error = store.commit(&[], &[record(20, 25)]).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    assert!(error.to_string().contains("nothing that was acknowledged is lost"));
    drop(store);
    let reopened = Store::on_backend(Disk::failing_at(&disk.after_crash(), usize::MAX, 1)).unwrap();
    assert_eq!(reopened.payees().unwrap()[0].billed, Nano::new(10));
}

#[test]
fn attack_84_a_store_belongs_to_one_service_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vouchers.redb");
    let first = Store::open(&path).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    drop(first);
    Store::open(&path).unwrap();
}

#[test]
fn records_of_both_sides_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vouchers.redb");
    let mut books = payer();
    let id = books.reserve(Nano::new(64)).unwrap();
    books.authorise(id, Nano::new(64)).unwrap();
    books.bill(id, Nano::new(40)).unwrap();
    let (payer_record, payee_record) = (books.record(), record(40, 64));
    Store::open(&path)
        .unwrap()
        .commit(std::slice::from_ref(&payer_record), std::slice::from_ref(&payee_record))
        .unwrap();
    let store = Store::open(&path).unwrap();
    assert_eq!((store.payers().unwrap(), store.payees().unwrap()), (vec![payer_record], vec![payee_record]));
}

#[test]
fn a_record_that_cannot_be_read_is_named_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vouchers.redb");
    Store::open(&path).unwrap().commit(&[], &[PayeeRecord { version: 99, ..record(1, 2) }]).unwrap();
    for _ in 0..2 {
        let error = Store::open(&path).unwrap().payees().unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, StoreError::Corrupt { .. }) && text.contains(&address(9).to_string()), "{text}");
        assert!(text.contains("newer version"), "{text}");
    }
}

#[test]
fn a_rotten_disk_is_an_error_and_never_wrong_books() {
    let disk = Disk::failing_at(&[], usize::MAX, 1);
    let store = Store::on_backend(disk.clone()).unwrap();
    let truth = vec![record(40, 64)];
    store.commit(&[], &truth).unwrap();
    drop(store);
    let image = disk.contents();
    let voucher = truth[0].vouchers[0].signature.0;
    let at = image.windows(64).position(|bytes| bytes == voucher).expect("the voucher lies on the disk");

    // In the file's header and around the record every byte is damaged, elsewhere every 61st.
    let close = at.saturating_sub(600)..at + 200;
    let mut refused = 0;
    for position in (0..image.len()).filter(|p| *p < 400 || close.contains(p) || p % 61 == 0) {
        for bit in [0, 7] {
            let mut rotten = image.clone();
            rotten[position] ^= 1 << bit;
            let disk = Disk::failing_at(&rotten, usize::MAX, 1);
            match Store::on_backend(disk).and_then(|store| store.payees()) {
                Ok(found) => assert_eq!(found, truth, "byte {position}, bit {bit}"),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 500, "only {refused} damages were noticed");
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vouchers.redb");
    for garbage in [&b"not a database"[..], &[0; 4096], &[0xff; 100_000]] {
        std::fs::write(&path, garbage).unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(error.to_string().contains("vouchers.redb"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), garbage);
    }
}
