//! Every generated struct, and the fixture against what the real compiler's code does.

use std::collections::BTreeMap;

use num_bigint::{BigInt, BigUint};
use proptest::prelude::*;
use tycho_types::boc::Boc;
use tycho_types::cell::{Cell, CellBuilder, CellFamily, HashBytes};
use tycho_types::models::StdAddr;
use tycho_types::num::Tokens;

use crate::codec::{AbiError, AbiStruct, Bool, Budget, Format, Map, Problem, Uint, Uint256};
use crate::fixture::everything::{self as fixture, Cells, Data, Empty, Long, Maps, Nested, Numbers, Pair, Point};
use crate::stack::{Shape, StackReader, StackValue};
use crate::testing::Gen;

/// Is shown every generated struct.
pub(crate) trait Visitor {
    fn visit<T: AbiStruct>(&mut self, contract: &'static str);
}

fn visit_all(v: &mut impl Visitor) {
    crate::generated::visit(v);
    crate::fixture::visit(v);
}

struct RoundTrip(Gen);

impl Visitor for RoundTrip {
    fn visit<T: AbiStruct>(&mut self, contract: &'static str) {
        let value = T::sample(&mut self.0);
        let cell = value.to_cell().unwrap_or_else(|e| panic!("{contract} {}: {e}", T::NAME));
        assert_eq!(T::from_cell(&cell).unwrap(), value, "{contract} {}", T::NAME);

        let mut stack = Vec::new();
        value.push(&mut stack).unwrap();
        assert_eq!(stack.len(), T::NESTED, "{contract} {}", T::NAME);
        let mut r = StackReader::new(stack, Shape::Nested);
        assert_eq!(T::pop(&mut r).unwrap(), value, "{contract} {}", T::NAME);
        r.finish().unwrap();
    }
}

struct Trailing(Gen);

impl Visitor for Trailing {
    fn visit<T: AbiStruct>(&mut self, contract: &'static str) {
        let value = T::sample(&mut self.0);
        let cell = value.to_cell().unwrap();
        for reference in [false, true] {
            let mut b = CellBuilder::new();
            b.store_slice(cell.as_slice().unwrap()).unwrap();
            let room = if reference { b.store_reference(Cell::empty_cell()) } else { b.store_bit_zero() };
            if room.is_err() {
                continue;
            }
            // The rest of a cell may be anything.
            if let Ok(longer) = T::from_cell(&b.build().unwrap()) {
                assert!(contract == "Everything" && T::NAME == "Cells", "{contract} {} takes a tail", T::NAME);
                assert_ne!(longer, value);
            }
        }
    }
}

struct Hostile(Gen);

impl Visitor for Hostile {
    fn visit<T: AbiStruct>(&mut self, contract: &'static str) {
        let g = &mut self.0;
        let honest = T::sample(g).to_cell().unwrap();
        let mutated = g.mutate(&honest);
        let twice = g.mutate(&mutated);
        let alien = g.cell(3);
        for cell in [mutated, twice, alien] {
            if let Ok(value) = T::from_cell(&cell) {
                let again = value.to_cell().unwrap_or_else(|e| panic!("{contract} {}: {e}", T::NAME));
                assert_eq!(T::from_cell(&again).unwrap(), value, "{contract} {}", T::NAME);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_struct_survives_its_cell_and_the_stack(seed: u64) {
        visit_all(&mut RoundTrip(Gen(seed)));
    }

    #[test]
    fn attack_26_anything_after_the_last_field_is_refused(seed: u64) {
        visit_all(&mut Trailing(Gen(seed)));
    }

    #[test]
    fn damaged_and_foreign_cells_are_errors_and_never_panic(seed: u64) {
        visit_all(&mut Hostile(Gen(seed)));
    }
}

#[test]
fn code_hashes_are_those_of_the_code() {
    for contract in crate::generated::CONTRACTS.iter().chain(crate::fixture::CONTRACTS) {
        assert_eq!((contract.code)().repr_hash(), &contract.code_hash, "{}", contract.name);
    }
    assert!(crate::generated::CONTRACTS.iter().any(|c| c.name == "PayChannel"));
}

#[test]
fn every_own_error_code_has_a_name_and_only_one_meaning() {
    let mut seen = BTreeMap::new();
    for contract in crate::generated::CONTRACTS {
        for (code, name, meaning) in contract.errors.iter().filter(|(code, ..)| *code >= 256) {
            assert!(!name.is_empty() && !meaning.is_empty(), "{} {code}", contract.name);
            let other = seen.insert(*code, *name).unwrap_or(*name);
            assert_eq!(other, *name, "{code} means two things");
        }
    }
    assert_eq!(
        crate::generated::pay_channel::error_name(crate::generated::pay_channel::ERR_CHANNEL_EXPIRED).unwrap().0,
        "ERR_CHANNEL_EXPIRED"
    );
    assert_eq!(crate::generated::pay_channel::error_name(13).unwrap().1, "Out of gas error");
}

fn vectors() -> serde_json::Value {
    serde_json::from_str(include_str!("../codegen/fixtures/vectors.json")).unwrap()
}

fn boc(value: &serde_json::Value) -> Cell {
    Boc::decode(hex::decode(value.as_str().unwrap_or_else(|| panic!("no such vector"))).unwrap()).unwrap()
}

/// Reads `vm_stack depth:(## 24) stack:(VmStackList depth)`, as @ton/core writes it.
fn stack(cell: &Cell) -> Vec<StackValue> {
    use tycho_types::cell::{CellSlice, Load};
    fn tuple_part(s: &mut CellSlice<'_>, length: u16, out: &mut Vec<StackValue>) {
        // vm_tuple_tcons head:(VmTupleRef n) tail:^VmStackValue
        if length == 0 {
            return;
        }
        if length > 1 {
            let mut head = s.load_reference_as_slice().unwrap();
            if length == 2 { out.push(value(&mut head)) } else { tuple_part(&mut head, length - 1, out) }
        }
        out.push(value(&mut s.load_reference_as_slice().unwrap()));
    }
    fn value(s: &mut CellSlice<'_>) -> StackValue {
        match s.load_u8().unwrap() {
            0 => StackValue::Null,
            1 => StackValue::Int(BigInt::from(s.load_u64().unwrap() as i64)),
            2 => {
                assert_eq!(s.load_small_uint(7).unwrap(), 0, "not a NaN");
                StackValue::Int(s.load_bigint(257, true).unwrap())
            }
            3 => StackValue::Cell(s.load_reference_cloned().unwrap()),
            4 => {
                let cell = s.load_reference_cloned().unwrap();
                let [from, to] = [10, 10].map(|bits| s.load_uint(bits).unwrap() as u16);
                let [from_ref, to_ref] = [3, 3].map(|bits| s.load_uint(bits).unwrap() as u8);
                let mut part = cell.as_slice().unwrap();
                part.only_first(to, to_ref).unwrap();
                part.skip_first(from, from_ref).unwrap();
                let mut b = CellBuilder::new();
                b.store_slice(part).unwrap();
                StackValue::Slice(b.build().unwrap())
            }
            5 => StackValue::Builder(Cell::load_from(s).unwrap()),
            7 => {
                let length = s.load_u16().unwrap();
                let mut out = Vec::new();
                tuple_part(s, length, &mut out);
                StackValue::Tuple(out)
            }
            other => panic!("stack value {other}"),
        }
    }
    let mut current = cell.clone();
    let mut s = current.as_slice().unwrap();
    let depth = s.load_uint(24).unwrap();
    let mut out = Vec::new();
    for level in 0..depth {
        // vm_stk_cons rest:^(VmStackList n) tos:VmStackValue
        let rest = s.load_reference_cloned().unwrap();
        out.push(value(&mut s));
        if level + 1 < depth {
            current = rest;
            s = current.as_slice().unwrap();
        }
    }
    out.reverse();
    out
}

fn address(byte: u8, workchain: i8) -> StdAddr {
    StdAddr::new(workchain, HashBytes([byte; 32]))
}

fn cell(n: u32) -> Cell {
    CellBuilder::build_from(n).unwrap()
}

fn pair() -> Pair {
    Pair { first: Point { x: -5, label: Some(7) }, second: Some(Point { x: i32::MAX, label: None }) }
}

fn lone() -> Pair {
    Pair { first: Point { x: i32::MIN, label: None }, second: None }
}

fn long() -> Long {
    Long {
        a: 1,
        b: 2,
        c: 3,
        d: 4,
        e: 5,
        f: 6,
        pair: pair(),
        g: 7,
        h: 8,
        i: 9,
        j: 10,
        k: 11,
        l: 12,
        m: 13,
        n: 14,
        o: 15,
        p: 16,
    }
}

fn nested() -> Nested {
    Nested { pair: pair(), opair: Some(lone()), long: long() }
}

fn text() -> String {
    format!("Grüße, {}", "x".repeat(300))
}

fn book() -> BTreeMap<u16, Pair> {
    BTreeMap::from([(1, pair()), (65535, lone())])
}

fn pow(bits: u32) -> BigInt {
    BigInt::from(1) << bits
}

fn numbers() -> Numbers {
    Numbers {
        r#type: 255,
        self_: 15,
        u1: 1,
        u63: (1 << 63) - 1,
        u65: (1 << 65) - 1,
        u128: 1 << 127,
        u200: (BigUint::from(1u8) << 200) - 1u8,
        u256: HashBytes::from_biguint(&BigUint::from(0x1f1fu32)).unwrap(),
        i8: -128,
        i33: -(1 << 32),
        i128: i128::MIN,
        i257: -pow(256),
        amount: Tokens::new(123_456_789_012_345),
        vu16: (1 << 120) - 1,
        vu32: (BigUint::from(1u8) << 248) - 1u8,
        vi16: -(1 << 119),
        vi32: BigInt::from(128),
        ou: Some(9),
        oc: None,
        flag: true,
        oflag: Some(false),
    }
}

#[test]
fn messages_have_the_compilers_encoding() {
    let vectors = vectors();
    let check = |name: &str, ours: Result<Cell, AbiError>| {
        assert_eq!(ours.unwrap(), boc(&vectors["messages"][name]), "{name}");
    };
    check(
        "Cells",
        Cells {
            c: cell(1),
            oc: None,
            s: cell(2),
            os: Some(cell(3)),
            b: cell(4),
            text: text(),
            otext: None,
            b32: [5; 32],
            b64: [6; 64],
            to: address(7, -1),
            oto: None,
            rest: cell(8),
        }
        .to_cell(),
    );
    let key = |byte| HashBytes([byte; 32]);
    check(
        "Maps",
        Maps {
            ints: BTreeMap::from([(0, -1), (65535, 1 << 62)]),
            wide: BTreeMap::from([(key(0x2e), true), (key(0), false)]),
            deflt: BTreeMap::from([(BigInt::from(-3), BigInt::from(4)), (BigInt::from(5), BigInt::from(-6))]),
            coins: BTreeMap::from([(address(1, 0), Tokens::new(1000))]),
            cells: BTreeMap::from([(9, cell(9))]),
            points: BTreeMap::from([(-1, pair()), (1, lone())]),
            owners: BTreeMap::from([(address(2, 0), address(3, 0))]),
            varints: BTreeMap::from([(7, -129)]),
        }
        .to_cell(),
    );
    check("Nested", nested().to_cell());
    check("Empty", Empty {}.to_cell());
}

#[test]
fn the_initial_data_gives_the_compilers_address() {
    let data = Data {
        owner: address(1, 0),
        pair: pair(),
        opair: Some(lone()),
        name: text(),
        book: book(),
        key: HashBytes([0x1f; 32]),
        guest: Some(address(4, 0)),
        note: None,
    };
    let expected = vectors()["address"].as_str().unwrap().parse().unwrap();
    assert_eq!(fixture::address(0, &data).unwrap(), expected);
    assert_eq!(Data::from_cell(&data.to_cell().unwrap()).unwrap(), data);
}

#[test]
fn results_of_the_compiled_getters_are_read() {
    let vectors = vectors();
    let run = |name: &str| stack(&boc(&vectors["getters"][name]));
    assert_eq!(fixture::decode_the_pair(run("thePair")).unwrap(), pair());
    assert_eq!(fixture::decode_the_opair(run("theOpair")).unwrap(), Some(lone()));
    assert_eq!(fixture::decode_the_nested(run("theNested")).unwrap(), nested());
    assert_eq!(fixture::decode_maybe_nested(run("maybeNested")).unwrap(), Some(nested()));
    assert_eq!(fixture::decode_maybe_nested(run("maybeNested not")).unwrap(), None);
    assert_eq!(fixture::decode_echo_long(run("echoLong")).unwrap(), Some(long()));
    assert_eq!(fixture::decode_echo_long(run("echoLong not")).unwrap(), None);
    assert_eq!(fixture::decode_the_book(run("theBook")).unwrap(), book());
    assert_eq!(fixture::decode_the_name(run("theName")).unwrap(), text());
    assert_eq!(
        fixture::decode_the_key(run("theKey")).unwrap(),
        BigInt::from_bytes_be(num_bigint::Sign::Plus, &[0x1f; 32])
    );
    assert_eq!(fixture::decode_the_guest(run("theGuest")).unwrap(), Some(address(4, 0)));
    assert_eq!(fixture::decode_the_owner(run("theOwner")).unwrap(), address(1, 0));
    assert_eq!(fixture::decode_the_note(run("theNote")).unwrap(), None);
    assert!(fixture::decode_is_negative(run("isNegative")).unwrap());

    assert_eq!(fixture::decode_numbers(run("numbers")).unwrap(), numbers().to_cell().unwrap());
    let zeros = Numbers {
        r#type: 0,
        self_: 0,
        u1: 0,
        u63: 0,
        u65: 0,
        u128: 0,
        u200: BigUint::ZERO,
        u256: HashBytes::ZERO,
        i8: -1,
        i33: 0,
        i128: 0,
        i257: BigInt::ZERO,
        amount: Tokens::ZERO,
        vu16: 0,
        vu32: BigUint::ZERO,
        vi16: 0,
        vi32: BigInt::from(-1),
        ou: None,
        oc: Some(Tokens::new(5)),
        flag: false,
        oflag: None,
    };
    assert_eq!(fixture::decode_no_numbers(run("noNumbers")).unwrap(), zeros.to_cell().unwrap());
}

#[test]
fn arguments_are_what_the_compiled_getters_take() {
    let vectors = vectors();
    let args = |name: &str| stack(&boc(&vectors["getters"][format!("{name} arguments").as_str()]));
    let call = fixture::get_echo(&pair(), &None, &Some(address(4, 0)), &text(), &book(), &Some(cell(3)), &cell(5));
    let call = call.unwrap();
    assert_eq!((call.name, call.args), ("echo", args("echo")));
    assert_eq!(fixture::get_echo_long(&Some(long())).unwrap().args, args("echoLong"));
    assert_eq!(fixture::get_is_negative(&-pow(200)).unwrap().args, args("isNegative"));
}

#[test]
fn a_number_that_does_not_fit_is_an_error_that_says_where() {
    let refused = |change: fn(&mut Numbers), field: &'static str| {
        let mut value = numbers();
        change(&mut value);
        let error = value.to_cell().unwrap_err();
        assert_eq!(error.path, ["Numbers", field]);
        assert!(matches!(error.problem, Problem::OutOfRange { .. }), "{error}");
    };
    refused(|n| n.self_ = 16, "self");
    refused(|n| n.u1 = 2, "u1");
    refused(|n| n.u63 = 1 << 63, "u63");
    refused(|n| n.u65 = 1 << 65, "u65");
    refused(|n| n.u200 = BigUint::from(1u8) << 200, "u200");
    refused(|n| n.i33 = 1 << 32, "i33");
    refused(|n| n.i33 = -(1 << 32) - 1, "i33");
    refused(|n| n.i257 = pow(256), "i257");
    refused(|n| n.i257 = pow(1 << 17), "i257");
    refused(|n| n.amount = Tokens::new(1 << 120), "amount");
    refused(|n| n.vu16 = 1 << 120, "vu16");
    refused(|n| n.vu32 = BigUint::from(1u8) << 248, "vu32");
    refused(|n| n.vi16 = 1 << 119, "vi16");
    refused(|n| n.vi32 = pow(247), "vi32");
    assert!(fixture::get_is_negative(&pow(256)).is_err());
}

#[test]
fn another_message_is_refused_by_its_op() {
    let error = Empty::from_cell(&nested().to_cell().unwrap()).unwrap_err();
    assert_eq!(error.problem, Problem::Op { expected: Empty::OP, found: Nested::OP });
}

#[test]
fn a_result_of_another_shape_is_an_error() {
    for stack in [
        vec![],
        vec![StackValue::Null],
        vec![StackValue::Int(BigInt::ZERO); 2],
        vec![StackValue::Tuple(vec![]), StackValue::Null],
        vec![StackValue::Tuple(vec![StackValue::Null; 15])],
    ] {
        assert!(fixture::decode_the_pair(stack.clone()).is_err(), "{stack:?}");
        assert!(fixture::decode_the_nested(stack.clone()).is_err(), "{stack:?}");
        assert!(fixture::decode_the_owner(stack.clone()).is_err(), "{stack:?}");
        assert!(fixture::decode_is_negative(stack.clone()).is_err() || stack.len() == 1, "{stack:?}");
    }
    let tall = StackValue::Tuple(vec![StackValue::Int(pow(31)), StackValue::Null]);
    let error = fixture::decode_the_opair(vec![StackValue::Tuple(vec![tall, StackValue::Null])]).unwrap_err();
    assert_eq!(error.to_string(), "theOpair.first.x: 2147483648 does not fit int32");
}

#[test]
fn a_few_cells_that_pretend_to_be_a_huge_map_are_refused() {
    type Wide = Map<Uint256, Bool, 256>;
    // A leaf, then forks whose two branches are one and the same cell: n cells, 2^n entries.
    let mut b = CellBuilder::new();
    b.store_small_uint(0, 2).unwrap(); // an empty label
    b.store_bit_one().unwrap();
    let mut node = b.build().unwrap();
    for _ in 0..256 {
        let mut b = CellBuilder::new();
        b.store_small_uint(0, 2).unwrap();
        b.store_reference(node.clone()).unwrap();
        b.store_reference(node).unwrap();
        node = b.build().unwrap();
    }
    let mut b = CellBuilder::new();
    b.store_bit_one().unwrap();
    b.store_reference(node).unwrap();
    let cell = b.build().unwrap();
    let error = Wide::load(&mut cell.as_slice().unwrap(), &mut Budget::new()).unwrap_err();
    assert_eq!(error.problem, Problem::TooLarge { limit: Budget::LIMIT });

    type Narrow = Map<Uint<u16, 16>, Bool, 16>;
    let full: BTreeMap<u16, bool> = (0..=u16::MAX).map(|k| (k, k % 3 == 0)).collect();
    let mut b = CellBuilder::new();
    Narrow::store(&full, &mut b).unwrap();
    let cell = b.build().unwrap();
    assert_eq!(Narrow::load(&mut cell.as_slice().unwrap(), &mut Budget::new()).unwrap(), full);
}
