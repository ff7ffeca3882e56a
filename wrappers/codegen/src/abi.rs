//! The compiler's ABI file, as far as bindings need it.

use serde::Deserialize;
use std::collections::BTreeMap;

/// One contract.
#[derive(Deserialize)]
pub struct Abi {
    /// Name of the contract.
    pub name: String,
    /// Structs and messages that its sources can see.
    pub types: Vec<TypeDef>,
    /// Get methods.
    pub getters: Vec<Getter>,
    /// Exit codes: those of the TVM, those of Tact, and the contract's own.
    pub errors: BTreeMap<i32, ErrorText>,
}

/// A struct, or a message if it has a header.
#[derive(Deserialize, PartialEq)]
pub struct TypeDef {
    /// Name in the source. The data of contract `X` is `X$Data`.
    pub name: String,
    /// The op.
    pub header: Option<u32>,
    /// In order.
    pub fields: Vec<Field>,
}

/// A field of a struct, or an argument of a getter.
#[derive(Deserialize, PartialEq)]
pub struct Field {
    /// Name in the source.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: TypeRef,
}

/// A type where it is used.
#[derive(Deserialize, PartialEq)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum TypeRef {
    /// A built-in type or a struct.
    Simple {
        /// `int`, `uint`, `bool`, `address`, …, or the struct's name.
        #[serde(rename = "type")]
        ty: String,
        /// May be null.
        #[serde(default)]
        optional: bool,
        /// Width or way of storing.
        format: Option<Form>,
    },
    /// A map.
    #[serde(rename_all = "camelCase")]
    Dict {
        /// `int`, `uint` or `address`.
        key: String,
        /// Width of the key.
        key_format: Option<Form>,
        /// As in `Simple`.
        value: String,
        /// As in `Simple`.
        value_format: Option<Form>,
    },
}

/// A width in bits or bytes, or a word such as `coins`.
#[derive(Deserialize, Clone, PartialEq, Debug)]
#[serde(untagged)]
pub enum Form {
    /// A number.
    Width(u16),
    /// A word.
    Word(String),
}

/// A get method.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Getter {
    /// Name.
    pub name: String,
    /// Arguments.
    pub arguments: Vec<Field>,
    /// Result.
    pub return_type: Option<TypeRef>,
}

/// What an exit code means.
#[derive(Deserialize)]
pub struct ErrorText {
    /// For the contracts' named codes: the name, a colon, a space and the description.
    pub message: String,
}
