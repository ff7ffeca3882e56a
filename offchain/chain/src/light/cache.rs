//! A map that forgets what was put in first when it is full.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

pub(super) struct Cache<K, V> {
    entries: HashMap<K, V>,
    order: VecDeque<K>,
    capacity: usize,
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    pub fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), capacity }
    }

    pub fn get(&self, key: &K) -> Option<V> {
        self.entries.get(key).cloned()
    }

    pub fn put(&mut self, key: K, value: V) {
        if self.entries.insert(key.clone(), value).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_holds_more_than_it_may() {
        let mut cache = Cache::new(3);
        for i in 0..10 {
            cache.put(i, i);
            cache.put(i, i + 100);
            assert!(cache.entries.len() <= 3 && cache.order.len() <= 3);
        }
        assert_eq!((cache.get(&6), cache.get(&7), cache.get(&9)), (None, Some(107), Some(109)));
    }
}
