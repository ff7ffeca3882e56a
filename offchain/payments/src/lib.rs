//! Payment channels off chain: ledgers, vouchers and the durable voucher store.
