//! The worker: serves an approved model inside a trust domain and is paid for it.
