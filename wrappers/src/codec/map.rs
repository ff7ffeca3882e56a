//! Maps: dictionaries with keys of fixed width.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use tycho_types::cell::{Cell, CellBuilder, CellSlice};
use tycho_types::dict::RawDict;

use super::{AbiError, Address, BigSigned, BigUnsigned, Budget, Format, Int, Problem, Uint, Uint256, expect_end};
use crate::stack::{StackReader, StackValue};

/// A map from `K` to `V`, whose keys have `N` bits. Read in full: fit for the bounded maps of our contracts.
pub struct Map<K, V, const N: u16>(PhantomData<(K, V)>);

/// Formats that can be keys.
pub trait KeyFormat: Format<Value: Ord> {}

impl<T, const N: u16> KeyFormat for Uint<T, N> where Self: Format<Value: Ord> {}
impl<T, const N: u16> KeyFormat for Int<T, N> where Self: Format<Value: Ord> {}
impl<const N: u16> KeyFormat for BigUnsigned<N> {}
impl<const N: u16> KeyFormat for BigSigned<N> {}
impl KeyFormat for Uint256 {}
impl KeyFormat for Address {}

impl<K: KeyFormat, V: Format, const N: u16> Map<K, V, N> {
    fn to_dict(map: &BTreeMap<K::Value, V::Value>) -> Result<Option<Cell>, AbiError> {
        let mut dict = RawDict::<N>::new();
        for (key, value) in map {
            let (mut k, mut v) = (CellBuilder::new(), CellBuilder::new());
            K::store(key, &mut k)?;
            V::store(value, &mut v)?;
            dict.set(k.as_full_slice(), v)?;
        }
        Ok(dict.into_root())
    }

    fn from_dict(root: Option<Cell>, budget: &mut Budget) -> Result<BTreeMap<K::Value, V::Value>, AbiError> {
        let dict = RawDict::<N>::from(root);
        let mut map = BTreeMap::new();
        for entry in dict.iter() {
            budget.spend()?;
            let (key, mut value) = entry.map_err(Problem::from)?;
            let mut key = key.as_data_slice();
            let k = K::load(&mut key, budget)?;
            expect_end(&key)?;
            let v = V::load(&mut value, budget)?;
            expect_end(&value)?;
            map.insert(k, v);
        }
        Ok(map)
    }
}

impl<K: KeyFormat, V: Format, const N: u16> Format for Map<K, V, N> {
    type Value = BTreeMap<K::Value, V::Value>;

    fn store(value: &Self::Value, b: &mut CellBuilder) -> Result<(), AbiError> {
        let root = Self::to_dict(value)?;
        b.store_bit(root.is_some())?;
        root.map_or(Ok(()), |root| Ok(b.store_reference(root)?))
    }

    fn load(s: &mut CellSlice<'_>, budget: &mut Budget) -> Result<Self::Value, AbiError> {
        let root = if s.load_bit()? { Some(s.load_reference_cloned()?) } else { None };
        Self::from_dict(root, budget)
    }

    fn pop(r: &mut StackReader) -> Result<Self::Value, AbiError> {
        match r.next("map")? {
            StackValue::Null => Ok(BTreeMap::new()),
            StackValue::Cell(root) => Self::from_dict(Some(root), &mut Budget::new()),
            other => Err(Problem::StackKind { expected: "map", found: other.kind() }.into()),
        }
    }

    fn push(value: &Self::Value, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        out.push(Self::to_dict(value)?.map_or(StackValue::Null, StackValue::Cell));
        Ok(())
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> Self::Value {
        let size = g.below(5);
        (0..size).map(|_| (K::sample(g), V::sample(g))).collect()
    }
}
