//! Addresses in all forms that people copy.

use std::str::FromStr;

use anyhow::Result;
use cocoon_chain::StdAddr;
use cocoon_protocol::GlobalId;
use tycho_types::models::StdAddrFormat;

use crate::exit::Usage;

/// An address: `0:64 hexadecimal digits`, or the 48 characters that wallets show, whose checksum is verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    addr: StdAddr,
    only_test: bool,
    bounceable: bool,
}

impl Address {
    /// The account, after making sure that an address marked for test networks is not used on the real one.
    pub fn on(&self, network: GlobalId) -> Result<StdAddr> {
        if self.only_test && network == GlobalId::MAINNET {
            let why = format!("{} is marked for test networks only, and this is mainnet", self.addr);
            return Err(Usage(why).into());
        }
        Ok(self.addr.clone())
    }

    /// False if its owner asked for money to stay even if no contract is there.
    pub const fn bounceable(&self) -> bool {
        self.bounceable
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(input: &str) -> Result<Self, String> {
        let text = input.trim();
        let bad = |why: &str| {
            format!("{why}: an address is 0: and 64 hexadecimal digits, or the 48 characters that a wallet shows")
        };
        let raw = text.contains(':');
        let format = StdAddrFormat { allow_raw: raw, allow_base64: !raw, allow_base64_url: !raw };
        let (addr, flags) = StdAddr::from_str_ext(text, format).map_err(|e| bad(&e.to_string()))?;
        if addr.anycast.is_some() || !matches!(addr.workchain, 0 | -1) {
            return Err(bad("there is no such workchain"));
        }
        Ok(Self { addr, only_test: !raw && flags.testnet, bounceable: raw || flags.bounceable })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    const RAW: &str = "0:831940c6d33ba8fda82b9ae84ec98f75d9eec7bf9e3c4ae5a2bd4dc78e05b8e9";

    #[test]
    fn every_form_is_the_same_account() {
        let raw: Address = RAW.parse().unwrap();
        let account = raw.on(GlobalId::MAINNET).unwrap();
        for bounceable in [true, false] {
            let url = account.display_base64_url(bounceable).to_string();
            let plain = url.replace('-', "+").replace('_', "/");
            for text in [url, plain] {
                let read: Address = text.parse().unwrap();
                assert_eq!(read.on(GlobalId::MAINNET).unwrap(), account);
                assert_eq!(read.bounceable(), bounceable);
            }
        }
    }

    #[test]
    fn a_slip_of_one_character_is_found() {
        let account = RAW.parse::<Address>().unwrap().on(GlobalId::MAINNET).unwrap();
        let good = account.display_base64_url(true).to_string();
        for place in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            assert!(String::from_utf8(bytes).unwrap().parse::<Address>().is_err(), "at {place}");
        }
    }

    #[test]
    fn a_test_address_is_not_paid_real_money() {
        // The flag is bit 0x80 of the first byte; the checksum covers it.
        let account = RAW.parse::<Address>().unwrap().on(GlobalId::MAINNET).unwrap();
        let mut bytes = vec![0x11 | 0x80, 0];
        bytes.extend_from_slice(account.address.as_slice());
        let crc = bytes.iter().fold(0_u16, |crc, byte| {
            (0..8).fold(crc ^ (u16::from(*byte) << 8), |c, _| if c & 0x8000 != 0 { (c << 1) ^ 0x1021 } else { c << 1 })
        });
        bytes.extend_from_slice(&crc.to_be_bytes());
        let text = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE, &bytes);
        let read: Address = text.parse().unwrap();
        assert_eq!(read.on(GlobalId::TESTNET).unwrap(), account);
        assert!(read.on(GlobalId::MAINNET).unwrap_err().to_string().contains("test networks"));
    }

    #[test]
    fn other_texts_are_refused_with_advice() {
        for bad in [
            "",
            "0:",
            "0:12",
            "7:831940c6d33ba8fda82b9ae84ec98f75d9eec7bf9e3c4ae5a2bd4dc78e05b8e9",
            "EQ",
            "hello",
            "-2:0",
        ] {
            let error = bad.parse::<Address>().unwrap_err();
            assert!(error.contains("64 hexadecimal digits"), "{bad}: {error}");
        }
    }
}
