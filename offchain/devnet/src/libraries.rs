//! Public libraries: code that masterchain accounts publish, and contracts anywhere refer to by its hash.

use std::collections::BTreeMap;

use tycho_types::cell::{Cell, HashBytes};
use tycho_types::dict::Dict;
use tycho_types::error::Error;
use tycho_types::models::{AccountState, LibDescr, ShardAccount};

/// Libraries by their hash, each with those who publish it.
pub type Libraries = Dict<HashBytes, LibDescr>;

/// What changes when a masterchain account does.
pub(crate) fn update(
    libraries: &mut Libraries,
    publisher: &HashBytes,
    before: Option<&ShardAccount>,
    after: Option<&ShardAccount>,
) -> Result<(), Error> {
    let (before, after) = (published(before)?, published(after)?);
    for hash in before.keys().filter(|hash| !after.contains_key(*hash)) {
        let Some(mut library) = libraries.get(hash)? else { continue };
        library.publishers.remove(publisher)?;
        if library.publishers.is_empty() {
            libraries.remove(hash)?;
        } else {
            libraries.set(hash, library)?;
        }
    }
    for (hash, lib) in after.into_iter().filter(|(hash, _)| !before.contains_key(hash)) {
        let mut library = libraries.get(hash)?.unwrap_or(LibDescr { lib, publishers: Dict::new() });
        library.publishers.set(publisher, ())?;
        libraries.set(hash, library)?;
    }
    Ok(())
}

/// What an account lets everybody use.
fn published(account: Option<&ShardAccount>) -> Result<BTreeMap<HashBytes, Cell>, Error> {
    let mut found = BTreeMap::new();
    let Some(account) = account else { return Ok(found) };
    if let Some(account) = account.load_account()?
        && let AccountState::Active(state) = account.state
    {
        for entry in state.libraries.iter() {
            let (hash, library) = entry?;
            if library.public && *library.root.repr_hash() == hash {
                found.insert(hash, library.root);
            }
        }
    }
    Ok(found)
}
