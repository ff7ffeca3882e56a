//! Integers of all widths. A number that does not fit is an error, never cut off.

use std::fmt::Display;
use std::marker::PhantomData;

use num_bigint::{BigInt, BigUint, Sign};
use tycho_types::cell::{Cell, CellBuilder, CellFamily, CellSlice, HashBytes, Load, Store};
use tycho_types::num::Tokens;

use super::{AbiError, Budget, Format, Problem};
use crate::stack::{StackReader, StackValue};

/// Integers on the stack have 257 bits.
const STACK_BITS: u16 = 257;

/// An unsigned integer of `N` ≤ 128 bits in the Rust type `T`.
pub struct Uint<T, const N: u16>(PhantomData<T>);

/// A signed integer of `N` ≤ 128 bits in the Rust type `T`.
pub struct Int<T, const N: u16>(PhantomData<T>);

/// An unsigned integer of `N` > 128 bits, other than 256.
pub struct BigUnsigned<const N: u16>;

/// A signed integer of `N` > 128 bits.
pub struct BigSigned<const N: u16>;

/// An unsigned integer of 256 bits, as its 32 bytes: a key or a hash.
pub struct Uint256;

/// An amount of nanotons, up to 120 bits.
pub struct Coins;

/// An unsigned integer with a length of 4 bits, up to 120 bits.
pub struct VarUint16;

/// An unsigned integer with a length of 5 bits, up to 248 bits.
pub struct VarUint32;

/// A signed integer with a length of 4 bits, up to 120 bits.
pub struct VarInt16;

/// A signed integer with a length of 5 bits, up to 248 bits.
pub struct VarInt32;

fn pop_int(r: &mut StackReader) -> Result<BigInt, Problem> {
    match r.next("integer")? {
        StackValue::Int(value) => Ok(value),
        other => Err(Problem::StackKind { expected: "integer", found: other.kind() }),
    }
}

fn fits_signed(value: &BigInt, bits: u16) -> bool {
    // Two's complement: −2^(n−1) has n bits as a magnitude, but fits.
    let magnitude = if value.sign() == Sign::Minus { (value + 1u8).bits() } else { value.bits() };
    magnitude < u64::from(bits)
}

fn store_unsigned(value: &BigUint, bits: u16, b: &mut CellBuilder) -> Result<(), Problem> {
    if value.bits() > u64::from(bits) {
        return Err(Problem::range(value, format_args!("uint{bits}")));
    }
    let bytes = (value << ((8 - bits % 8) % 8)).to_bytes_be();
    let mut padded = vec![0; usize::from(bits.div_ceil(8)).saturating_sub(bytes.len())];
    padded.extend_from_slice(&bytes);
    if bits > 0 {
        b.store_raw(&padded, bits)?;
    }
    Ok(())
}

fn store_signed(value: &BigInt, bits: u16, b: &mut CellBuilder) -> Result<(), Problem> {
    if !fits_signed(value, bits) {
        return Err(Problem::range(value, format_args!("int{bits}")));
    }
    let modulus = BigInt::from(1u8) << bits;
    let wrapped = if value.sign() == Sign::Minus { value + &modulus } else { value.clone() };
    store_unsigned(wrapped.magnitude(), bits, b)
}

fn load_unsigned(s: &mut CellSlice<'_>, bits: u16) -> Result<BigUint, Problem> {
    Ok(s.load_biguint(bits)?)
}

fn load_signed(s: &mut CellSlice<'_>, bits: u16) -> Result<BigInt, Problem> {
    let raw = load_unsigned(s, bits)?;
    let negative = bits > 0 && raw.bit(u64::from(bits) - 1);
    Ok(if negative { BigInt::from(raw) - (BigInt::from(1u8) << bits) } else { BigInt::from(raw) })
}

fn narrow<T: TryFrom<B>, B: Display + Clone>(value: B, format: impl Display) -> Result<T, Problem> {
    T::try_from(value.clone()).map_err(|_| Problem::range(value, format))
}

impl<T, const N: u16> Format for Uint<T, N>
where
    T: Copy + PartialEq + std::fmt::Debug + Display + Into<u128> + TryFrom<u128> + TryFrom<BigInt>,
{
    type Value = T;

    fn store(value: &T, b: &mut CellBuilder) -> Result<(), AbiError> {
        let wide: u128 = (*value).into();
        if N < 128 && wide >> N != 0 {
            return Err(Problem::range(value, format_args!("uint{N}")).into());
        }
        if N > 64 {
            b.store_uint((wide >> 64) as u64, N - 64)?;
        }
        b.store_uint(wide as u64, N.min(64))?;
        Ok(())
    }

    fn load(s: &mut CellSlice<'_>, _: &mut Budget) -> Result<T, AbiError> {
        let high = if N > 64 { s.load_uint(N - 64)? } else { 0 };
        let wide = u128::from(high) << 64 | u128::from(s.load_uint(N.min(64))?);
        Ok(narrow(wide, format_args!("uint{N}"))?)
    }

    fn pop(r: &mut StackReader) -> Result<T, AbiError> {
        let value = pop_int(r)?;
        if value.bits() > u64::from(N) {
            return Err(Problem::range(value, format_args!("uint{N}")).into());
        }
        Ok(narrow(value, format_args!("uint{N}"))?)
    }

    fn push(value: &T, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        out.push(StackValue::Int(BigInt::from((*value).into())));
        Ok(())
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> T {
        narrow(g.unsigned(N), "sample").unwrap()
    }
}

impl<T, const N: u16> Format for Int<T, N>
where
    T: Copy + PartialEq + std::fmt::Debug + Display + Into<i128> + TryFrom<BigInt>,
{
    type Value = T;

    fn store(value: &T, b: &mut CellBuilder) -> Result<(), AbiError> {
        Ok(store_signed(&BigInt::from((*value).into()), N, b)?)
    }

    fn load(s: &mut CellSlice<'_>, _: &mut Budget) -> Result<T, AbiError> {
        Ok(narrow(load_signed(s, N)?, format_args!("int{N}"))?)
    }

    fn pop(r: &mut StackReader) -> Result<T, AbiError> {
        let value = pop_int(r)?;
        if !fits_signed(&value, N) {
            return Err(Problem::range(value, format_args!("int{N}")).into());
        }
        Ok(narrow(value, format_args!("int{N}"))?)
    }

    fn push(value: &T, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        out.push(StackValue::Int(BigInt::from((*value).into())));
        Ok(())
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> T {
        narrow(g.signed(N), "sample").unwrap()
    }
}

impl<const N: u16> Format for BigUnsigned<N> {
    type Value = BigUint;

    fn store(value: &BigUint, b: &mut CellBuilder) -> Result<(), AbiError> {
        Ok(store_unsigned(value, N, b)?)
    }

    fn load(s: &mut CellSlice<'_>, _: &mut Budget) -> Result<BigUint, AbiError> {
        Ok(load_unsigned(s, N)?)
    }

    fn pop(r: &mut StackReader) -> Result<BigUint, AbiError> {
        let value = pop_int(r)?;
        match value.to_biguint() {
            Some(value) if value.bits() <= u64::from(N) => Ok(value),
            _ => Err(Problem::range(value, format_args!("uint{N}")).into()),
        }
    }

    fn push(value: &BigUint, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        if value.bits() > u64::from(N) {
            return Err(Problem::range(value, format_args!("uint{N}")).into());
        }
        out.push(StackValue::Int(BigInt::from(value.clone())));
        Ok(())
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> BigUint {
        g.signed(N + 1).magnitude() % (BigUint::from(1u8) << N)
    }
}

impl<const N: u16> Format for BigSigned<N> {
    type Value = BigInt;

    fn store(value: &BigInt, b: &mut CellBuilder) -> Result<(), AbiError> {
        Ok(store_signed(value, N, b)?)
    }

    fn load(s: &mut CellSlice<'_>, _: &mut Budget) -> Result<BigInt, AbiError> {
        Ok(load_signed(s, N)?)
    }

    fn pop(r: &mut StackReader) -> Result<BigInt, AbiError> {
        let value = pop_int(r)?;
        if fits_signed(&value, N) { Ok(value) } else { Err(Problem::range(value, format_args!("int{N}")).into()) }
    }

    fn push(value: &BigInt, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        if !fits_signed(value, STACK_BITS.min(N)) {
            return Err(Problem::range(value, format_args!("int{N}")).into());
        }
        out.push(StackValue::Int(value.clone()));
        Ok(())
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> BigInt {
        g.signed(N)
    }
}

impl Format for Uint256 {
    type Value = HashBytes;

    fn store(value: &HashBytes, b: &mut CellBuilder) -> Result<(), AbiError> {
        Ok(b.store_u256(value)?)
    }

    fn load(s: &mut CellSlice<'_>, _: &mut Budget) -> Result<HashBytes, AbiError> {
        Ok(s.load_u256()?)
    }

    fn pop(r: &mut StackReader) -> Result<HashBytes, AbiError> {
        let value = pop_int(r)?;
        HashBytes::from_bigint(&value).ok_or_else(|| Problem::range(value, "uint256").into())
    }

    fn push(value: &HashBytes, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        out.push(StackValue::Int(BigInt::from(value.as_biguint())));
        Ok(())
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> HashBytes {
        HashBytes(g.bytes())
    }
}

impl Format for Coins {
    type Value = Tokens;

    fn store(value: &Tokens, b: &mut CellBuilder) -> Result<(), AbiError> {
        VarUint16::store(&value.into_inner(), b)
    }

    fn load(s: &mut CellSlice<'_>, _: &mut Budget) -> Result<Tokens, AbiError> {
        Ok(Tokens::load_from(s)?)
    }

    fn pop(r: &mut StackReader) -> Result<Tokens, AbiError> {
        VarUint16::pop(r).map(Tokens::new)
    }

    fn push(value: &Tokens, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        VarUint16::push(&value.into_inner(), out)
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> Tokens {
        Tokens::new(g.unsigned(120))
    }
}

/// 120 bits at most.
fn check_var16(value: u128) -> Result<u128, Problem> {
    if value >> 120 == 0 { Ok(value) } else { Err(Problem::range(value, "a variable integer of 15 bytes")) }
}

impl Format for VarUint16 {
    type Value = u128;

    fn store(value: &u128, b: &mut CellBuilder) -> Result<(), AbiError> {
        let value = Tokens::new(check_var16(*value)?);
        Ok(value.store_into(b, Cell::empty_context())?)
    }

    fn load(s: &mut CellSlice<'_>, _: &mut Budget) -> Result<u128, AbiError> {
        Ok(Tokens::load_from(s)?.into_inner())
    }

    fn pop(r: &mut StackReader) -> Result<u128, AbiError> {
        Ok(check_var16(narrow(pop_int(r)?, "a variable integer of 15 bytes")?)?)
    }

    fn push(value: &u128, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        out.push(StackValue::Int(BigInt::from(check_var16(*value)?)));
        Ok(())
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> u128 {
        g.unsigned(120)
    }
}

impl Format for VarUint32 {
    type Value = BigUint;

    fn store(value: &BigUint, b: &mut CellBuilder) -> Result<(), AbiError> {
        let length = value.bits().div_ceil(8);
        if length > 31 {
            return Err(Problem::range(value, "a variable integer of 31 bytes").into());
        }
        b.store_uint(length, 5)?;
        Ok(store_unsigned(value, length as u16 * 8, b)?)
    }

    fn load(s: &mut CellSlice<'_>, _: &mut Budget) -> Result<BigUint, AbiError> {
        let length = s.load_uint(5)? as u16;
        Ok(load_unsigned(s, length * 8)?)
    }

    fn pop(r: &mut StackReader) -> Result<BigUint, AbiError> {
        BigUnsigned::<248>::pop(r)
    }

    fn push(value: &BigUint, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        BigUnsigned::<248>::push(value, out)
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> BigUint {
        BigUnsigned::<248>::sample(g)
    }
}

/// Bytes of the shortest two's complement.
fn signed_length(value: &BigInt) -> u16 {
    (0..=33)
        .find(|bytes| *bytes == 0 && value.sign() == Sign::NoSign || *bytes > 0 && fits_signed(value, bytes * 8))
        .unwrap_or(34)
}

impl Format for VarInt16 {
    type Value = i128;

    fn store(value: &i128, b: &mut CellBuilder) -> Result<(), AbiError> {
        let big = BigInt::from(*value);
        let length = signed_length(&big);
        if length > 15 {
            return Err(Problem::range(value, "a variable integer of 15 bytes").into());
        }
        b.store_uint(u64::from(length), 4)?;
        if length > 0 { Ok(store_signed(&big, length * 8, b)?) } else { Ok(()) }
    }

    fn load(s: &mut CellSlice<'_>, _: &mut Budget) -> Result<i128, AbiError> {
        let length = s.load_uint(4)? as u16;
        Ok(narrow(load_signed(s, length * 8)?, "int120")?)
    }

    fn pop(r: &mut StackReader) -> Result<i128, AbiError> {
        Int::<i128, 120>::pop(r)
    }

    fn push(value: &i128, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        Int::<i128, 120>::push(value, out)
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> i128 {
        Int::<i128, 120>::sample(g)
    }
}

impl Format for VarInt32 {
    type Value = BigInt;

    fn store(value: &BigInt, b: &mut CellBuilder) -> Result<(), AbiError> {
        let length = signed_length(value);
        if length > 31 {
            return Err(Problem::range(value, "a variable integer of 31 bytes").into());
        }
        b.store_uint(u64::from(length), 5)?;
        if length > 0 { Ok(store_signed(value, length * 8, b)?) } else { Ok(()) }
    }

    fn load(s: &mut CellSlice<'_>, _: &mut Budget) -> Result<BigInt, AbiError> {
        let length = s.load_uint(5)? as u16;
        Ok(load_signed(s, length * 8)?)
    }

    fn pop(r: &mut StackReader) -> Result<BigInt, AbiError> {
        BigSigned::<248>::pop(r)
    }

    fn push(value: &BigInt, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        BigSigned::<248>::push(value, out)
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> BigInt {
        BigSigned::<248>::sample(g)
    }
}
