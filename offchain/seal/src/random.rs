//! The random numbers that callers pass in, in the form that the HPKE library wants.

use std::convert::Infallible;

use rand::{CryptoRng, RngCore};
use rand_core_10::{TryCryptoRng, TryRng};

pub(crate) struct Adapter<'a, R>(pub &'a mut R);

impl<R: RngCore> TryRng for Adapter<'_, R> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl<R: RngCore + CryptoRng> TryCryptoRng for Adapter<'_, R> {}
