//! Access to TON: accounts, transactions, getters run locally, wallets and messages.
