//! End-to-end tests across all services.
