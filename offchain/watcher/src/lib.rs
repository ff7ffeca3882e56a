//! The watcher: follows the chain, claims and settles channels.
