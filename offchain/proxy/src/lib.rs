//! The proxy: routes requests to workers, meters them and holds vouchers.
