//! RA-TLS links with multiplexed streams: one abstraction for both hops.
