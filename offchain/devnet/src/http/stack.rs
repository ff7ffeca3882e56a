//! Values on the stack of a getter, as the service writes and reads them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cocoon_wrappers::StackValue;
use num_bigint::{BigInt, Sign};
use serde_json::{Value, json};
use tycho_types::cell::{Cell, CellBuilder, DynCell};
use tycho_types::error::Error;

use super::error::ApiError;
use super::json::bag;
use super::params;

/// A call has at most so many arguments.
const MAX_ARGUMENTS: usize = 64;

/// A cell's tree is written out up to so many cells: each cell that is used twice is written twice.
const MAX_WRITTEN: usize = 1024;

/// A cell that is given as a tree is at most so deep.
const MAX_DEPTH: usize = 32;

/// The arguments of a call: `[["num", 1], ["tvm.Cell", "te6…"]]`.
pub(super) fn arguments(stack: Option<&Value>) -> Result<Vec<StackValue>, ApiError> {
    let list = match stack {
        None => return Ok(vec![]),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(wrong("must be a list of pairs")),
    };
    if list.len() > MAX_ARGUMENTS {
        return Err(wrong(&format!("must have at most {MAX_ARGUMENTS} elements")));
    }
    list.iter().map(argument).collect()
}

/// The results of a call, the deepest first.
pub(super) fn results(stack: &[StackValue]) -> Result<Value, ApiError> {
    Ok(Value::Array(stack.iter().map(result).collect::<Result<_, _>>()?))
}

/// The arguments of a call as tonlib writes them: `[{"@type": "tvm.stackEntryNumber", "number": {…}}]`.
pub(super) fn std_arguments(stack: Option<&Value>) -> Result<Vec<StackValue>, ApiError> {
    let list = match stack {
        None => return Ok(vec![]),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(wrong("must be a list of objects")),
    };
    let mut left = MAX_ARGUMENTS;
    list.iter().map(|entry| std_argument(entry, 0, &mut left)).collect()
}

/// The results of a call as tonlib writes them, the deepest first.
pub(super) fn std_results(stack: &[StackValue]) -> Result<Value, ApiError> {
    Ok(Value::Array(stack.iter().map(element).collect::<Result<_, _>>()?))
}

fn std_argument(entry: &Value, depth: usize, left: &mut usize) -> Result<StackValue, ApiError> {
    *left = left.checked_sub(1).ok_or_else(|| wrong(&format!("must have at most {MAX_ARGUMENTS} elements")))?;
    if depth > MAX_DEPTH {
        return Err(wrong(&format!("has tuples within tuples deeper than {MAX_DEPTH}")));
    }
    let kind = entry.get("@type").and_then(Value::as_str).ok_or_else(|| wrong("has an element without @type"))?;
    let part = |outer: &str, inner: &str| {
        let found = entry.get(outer).and_then(|value| value.get(inner));
        found.ok_or_else(|| wrong(&format!("has a {kind:.40} without {outer}.{inner}")))
    };
    let mut elements = |outer: &str| -> Result<Vec<StackValue>, ApiError> {
        let list = part(outer, "elements")?.as_array().ok_or_else(|| wrong("has elements that are no list"))?;
        list.iter().map(|entry| std_argument(entry, depth + 1, left)).collect()
    };
    Ok(match kind {
        "tvm.stackEntryNumber" => StackValue::Int(number(part("number", "number")?)?),
        "tvm.stackEntryCell" => StackValue::Cell(cell(part("cell", "bytes")?)?),
        "tvm.stackEntrySlice" => StackValue::Slice(cell(part("slice", "bytes")?)?),
        "tvm.stackEntryTuple" => StackValue::Tuple(elements("tuple")?),
        "tvm.stackEntryList" => {
            let pair = |rest, first| StackValue::Tuple(vec![first, rest]);
            elements("list")?.into_iter().rev().fold(StackValue::Null, pair)
        }
        other => return Err(wrong(&format!("has an element of the kind {other:.40}, which is not known"))),
    })
}

fn wrong(why: &str) -> ApiError {
    ApiError::invalid("stack", why)
}

fn argument(pair: &Value) -> Result<StackValue, ApiError> {
    let (kind, value) = match pair.as_array().map(Vec::as_slice) {
        Some([Value::String(kind), value]) => (kind.as_str(), value),
        Some([Value::String(kind)]) => (kind.as_str(), &Value::Null),
        _ => return Err(wrong("must have pairs of a kind and a value")),
    };
    Ok(match kind {
        "num" | "number" | "int" => StackValue::Int(number(value)?),
        "cell" | "tvm.Cell" => StackValue::Cell(cell(value)?),
        "slice" | "tvm.Slice" => StackValue::Slice(cell(value)?),
        "builder" | "tvm.Builder" => StackValue::Builder(cell(value)?),
        "null" => StackValue::Null,
        other => {
            return Err(wrong(&format!("has an element of the kind {other}; num, cell, slice and null are known")));
        }
    })
}

fn number(value: &Value) -> Result<BigInt, ApiError> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return Err(wrong("has a number that is none")),
    };
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (Sign::Minus, digits),
        None => (Sign::Plus, text.as_str()),
    };
    let (digits, radix) = digits.strip_prefix("0x").map_or((digits, 10), |hex| (hex, 16));
    // Long ones are refused before anything is computed: 257 bits are at most 78 digits.
    let well_formed = !digits.is_empty() && digits.len() <= 78 && digits.chars().all(|c| c.is_digit(radix));
    let parsed = if well_formed { BigInt::parse_bytes(digits.as_bytes(), radix) } else { None };
    let parsed = parsed.ok_or_else(|| wrong(&format!("has the number {text:.80}, which is none of 257 bits")))?;
    Ok(if sign == Sign::Minus { -parsed } else { parsed })
}

fn cell(value: &Value) -> Result<Cell, ApiError> {
    match value {
        Value::String(text) => params::cell("stack", text),
        Value::Object(fields) => match fields.get("bytes") {
            Some(Value::String(text)) => params::cell("stack", text),
            _ => tree(value, 0),
        },
        _ => Err(wrong("has a cell that is none")),
    }
}

/// A cell as a tree: `{"data": {"b64": "…", "len": 8}, "refs": [], "special": false}`.
fn tree(value: &Value, depth: usize) -> Result<Cell, ApiError> {
    let bad = || wrong("has a cell that is none: base64 of a bag of cells, or a tree of data and refs");
    if depth > MAX_DEPTH {
        return Err(wrong(&format!("has a cell deeper than {MAX_DEPTH}; give it as a bag of cells")));
    }
    let data = value.get("data").ok_or_else(bad)?;
    let bytes = data.get("b64").and_then(Value::as_str).and_then(|text| STANDARD.decode(text).ok()).ok_or_else(bad)?;
    let bits = data.get("len").and_then(Value::as_u64).and_then(|bits| u16::try_from(bits).ok()).ok_or_else(bad)?;
    if usize::from(bits) > bytes.len() * 8 {
        return Err(bad());
    }
    let mut builder = CellBuilder::new();
    builder.store_raw(&bytes, bits).map_err(|_| bad())?;
    for child in value.get("refs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default() {
        builder.store_reference(tree(child, depth + 1)?).map_err(|_| bad())?;
    }
    builder.build().map_err(|_| bad())
}

/// A value at the top of an answer.
fn result(value: &StackValue) -> Result<Value, ApiError> {
    Ok(match value {
        StackValue::Int(int) => {
            let sign = if int.sign() == Sign::Minus { "-" } else { "" };
            json!(["num", format!("{sign}0x{:x}", int.magnitude())])
        }
        // The service calls a slice a cell, and always has.
        StackValue::Cell(cell) | StackValue::Slice(cell) => json!(["cell", written(cell)?]),
        StackValue::Builder(cell) => json!(["builder", written(cell)?]),
        StackValue::Null | StackValue::Tuple(_) => match list(value) {
            Some(items) => json!(["list", elements("tvm.list", &items)?]),
            None => match value {
                StackValue::Tuple(items) => json!(["tuple", elements("tvm.tuple", &items.iter().collect::<Vec<_>>())?]),
                _ => json!(["list", elements("tvm.list", &[])?]),
            },
        },
    })
}

/// A value within a tuple or a list.
fn element(value: &StackValue) -> Result<Value, ApiError> {
    let bytes = |kind: &str, cell: &Cell| json!({ "@type": kind, "bytes": bag(cell) });
    Ok(match value {
        StackValue::Int(int) => json!({
            "@type": "tvm.stackEntryNumber",
            "number": { "@type": "tvm.numberDecimal", "number": int.to_string() },
        }),
        StackValue::Cell(cell) => json!({ "@type": "tvm.stackEntryCell", "cell": bytes("tvm.cell", cell) }),
        StackValue::Slice(cell) => json!({ "@type": "tvm.stackEntrySlice", "slice": bytes("tvm.slice", cell) }),
        StackValue::Builder(_) => json!({ "@type": "tvm.stackEntryUnsupported" }),
        StackValue::Null | StackValue::Tuple(_) => match list(value) {
            Some(items) => json!({ "@type": "tvm.stackEntryList", "list": elements("tvm.list", &items)? }),
            None => match value {
                StackValue::Tuple(items) => {
                    let items: Vec<_> = items.iter().collect();
                    json!({ "@type": "tvm.stackEntryTuple", "tuple": elements("tvm.tuple", &items)? })
                }
                _ => json!({ "@type": "tvm.stackEntryList", "list": elements("tvm.list", &[])? }),
            },
        },
    })
}

fn elements(kind: &str, items: &[&StackValue]) -> Result<Value, ApiError> {
    let items = items.iter().map(|item| element(item)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "@type": kind, "elements": items }))
}

/// A list in the way of Lisp, which is pairs that end with nothing; none if the value is no list.
fn list(mut value: &StackValue) -> Option<Vec<&StackValue>> {
    let mut items = vec![];
    loop {
        match value {
            StackValue::Null => return Some(items),
            StackValue::Tuple(pair) => match pair.as_slice() {
                [first, rest] => {
                    items.push(first);
                    value = rest;
                }
                _ => return None,
            },
            _ => return None,
        }
    }
}

/// A cell as its bytes and, if it is not too large, as a tree.
fn written(cell: &Cell) -> Result<Value, Error> {
    let mut left = MAX_WRITTEN;
    let mut written = json!({ "bytes": bag(cell) });
    if let (Some(object), Some(fields)) = (object(cell.as_ref(), 0, &mut left)?, written.as_object_mut()) {
        fields.insert("object".to_owned(), object);
    }
    Ok(written)
}

fn object(cell: &DynCell, depth: usize, left: &mut usize) -> Result<Option<Value>, Error> {
    if *left == 0 || depth > MAX_DEPTH {
        return Ok(None);
    }
    *left -= 1;
    let mut refs = vec![];
    for child in cell.references() {
        match object(child, depth + 1, left)? {
            Some(child) => refs.push(child),
            None => return Ok(None),
        }
    }
    let mut slice = cell.as_slice_allow_exotic();
    let mut buffer = [0; 128];
    let bits = slice.size_bits();
    let data = STANDARD.encode(slice.load_raw(&mut buffer, bits)?);
    Ok(Some(json!({ "data": { "b64": data, "len": bits }, "refs": refs, "special": cell.is_exotic() })))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    fn int(n: i64) -> StackValue {
        StackValue::Int(BigInt::from(n))
    }

    #[test]
    fn numbers_are_hexadecimal_with_the_sign_before_them() {
        assert_eq!(result(&int(31)).unwrap(), json!(["num", "0x1f"]));
        assert_eq!(result(&int(-1)).unwrap(), json!(["num", "-0x1"]));
        assert_eq!(result(&int(0)).unwrap(), json!(["num", "0x0"]));
    }

    #[test]
    fn nothing_is_an_empty_list_and_pairs_that_end_with_it_are_lists() {
        let empty = json!(["list", { "@type": "tvm.list", "elements": [] }]);
        assert_eq!(result(&StackValue::Null).unwrap(), empty);
        let pairs = StackValue::Tuple(vec![int(1), StackValue::Tuple(vec![int(2), StackValue::Null])]);
        let list = result(&pairs).unwrap();
        assert_eq!(list[0], "list");
        assert_eq!(list[1]["elements"][1]["number"]["number"], "2");
        let tuple = result(&StackValue::Tuple(vec![int(1), int(2)])).unwrap();
        assert_eq!((&tuple[0], &tuple[1]["@type"]), (&json!("tuple"), &json!("tvm.tuple")));
    }

    #[test]
    fn numbers_come_in_decimal_and_hexadecimal_and_never_longer_than_the_machine_takes() {
        for (text, number) in [("10", 10), ("0x10", 16), ("-0x10", -16), ("-7", -7)] {
            assert_eq!(argument(&json!(["num", text])).unwrap(), int(number));
        }
        assert_eq!(argument(&json!(["int", 5])).unwrap(), int(5));
        for bad in [json!("0x"), json!(""), json!("--1"), json!("1e5"), json!(1.5), json!("9".repeat(79)), json!({})] {
            assert_eq!(argument(&json!(["num", bad])).unwrap_err().code(), 422, "{bad}");
        }
    }

    #[test]
    fn a_cell_survives_in_both_forms_and_a_deep_tree_is_refused() {
        let child = CellBuilder::build_from(7u32).unwrap();
        let mut builder = CellBuilder::new();
        builder.store_u8(1).unwrap();
        builder.store_reference(child).unwrap();
        let cell = builder.build().unwrap();
        let both = written(&cell).unwrap();
        assert_eq!(argument(&json!(["tvm.Cell", both["bytes"]])).unwrap(), StackValue::Cell(cell.clone()));
        assert_eq!(argument(&json!(["cell", both["object"]])).unwrap(), StackValue::Cell(cell));
        let mut deep = json!({ "data": { "b64": "", "len": 0 }, "refs": [] });
        for _ in 0..=MAX_DEPTH {
            deep = json!({ "data": { "b64": "", "len": 0 }, "refs": [deep] });
        }
        assert_eq!(argument(&json!(["cell", deep])).unwrap_err().code(), 422);
    }

    #[test]
    fn a_cell_that_unfolds_without_end_is_given_as_bytes_only() {
        let mut cell = CellBuilder::build_from(0u8).unwrap();
        for _ in 0..30 {
            let mut builder = CellBuilder::new();
            builder.store_reference(cell.clone()).unwrap();
            builder.store_reference(cell).unwrap();
            cell = builder.build().unwrap();
        }
        let written = written(&cell).unwrap();
        assert!(written["bytes"].is_string() && written.get("object").is_none());
    }
}
