//! Clients that have dialled in and have not shown an open channel yet. Anybody can be one, so that they are few at a time: each holds a
//! link, and makes the proxy look at the chain (attack 75).

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;

/// How many there may be.
const IN_ALL: usize = 256;
/// How many from one address.
const PER_ADDRESS: usize = 32;

/// Who is in it, by address.
#[derive(Default)]
pub(crate) struct Lobby(Mutex<HashMap<IpAddr, usize>>);

impl Lobby {
    /// A place, if there is one.
    pub fn enter(&self, from: IpAddr) -> Option<Guest<'_>> {
        let mut guests = self.0.lock();
        let here = guests.get(&from).copied().unwrap_or_default();
        let all = guests.values().fold(0usize, |all, here| all.saturating_add(*here));
        if here >= PER_ADDRESS || all >= IN_ALL {
            return None;
        }
        guests.insert(from, here.saturating_add(1));
        Some(Guest { lobby: self, from })
    }
}

/// A place in the lobby until it is dropped.
pub(crate) struct Guest<'a> {
    lobby: &'a Lobby,
    from: IpAddr,
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        let mut guests = self.lobby.0.lock();
        if let Some(here) = guests.get_mut(&self.from) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                guests.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn address(i: usize) -> IpAddr {
        IpAddr::from([192, 0, 2, u8::try_from(i).unwrap()])
    }

    #[test]
    fn attack_75_strangers_from_one_address_leave_room_for_others() {
        let lobby = Lobby::default();
        let mut crowd: Vec<_> = std::iter::from_fn(|| lobby.enter(address(1))).collect();
        assert_eq!(crowd.len(), PER_ADDRESS);
        assert!(lobby.enter(address(2)).is_some());
        drop(crowd.pop());
        assert!(lobby.enter(address(1)).is_some());
    }

    #[test]
    fn attack_75_strangers_from_everywhere_are_bounded_and_leave_nothing_behind() {
        let lobby = Lobby::default();
        let crowd: Vec<_> = (0..200).filter_map(|i| lobby.enter(address(i % 100))).collect();
        let more: Vec<_> = (0..200).filter_map(|i| lobby.enter(address(i % 100))).collect();
        assert_eq!(crowd.len() + more.len(), IN_ALL);
        drop((crowd, more));
        assert!(lobby.0.lock().is_empty());
    }
}
