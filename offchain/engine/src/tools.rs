//! Function calls in a model's answer, in the form of Hermes and Qwen: `<tool_call>{"name": …, "arguments": …}</tool_call>`.
//!
//! The engine's own parser can panic and can fail a whole batch, so it is never used. Here whatever is not a proper call of
//! an offered function stays text.

use cocoon_protocol::openai::request::{FunctionCall, ToolCall};
use serde_json::Value;

use crate::text::{overlap, release};

pub(crate) const OPEN: &str = "<tool_call>";
pub(crate) const CLOSE: &str = "</tool_call>";

/// A part of an answer.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    Text(String),
    /// With its place in the list of calls.
    Call(u32, ToolCall),
}

/// Splits an answer into text and calls.
pub(crate) struct ToolFilter {
    /// Names of the functions on offer; with none, everything is text.
    names: Vec<String>,
    held: String,
    inside: bool,
    calls: u32,
}

impl ToolFilter {
    pub fn new(names: Vec<String>) -> Self {
        Self { names, held: String::new(), inside: false, calls: 0 }
    }

    /// How many calls there were.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    pub fn push(&mut self, text: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if self.names.is_empty() {
            push_text(&mut pieces, text.to_owned());
            return pieces;
        }
        self.held.push_str(text);
        loop {
            if self.inside {
                let Some(at) = self.held.find(CLOSE) else { break };
                let rest = self.held.split_off(at + CLOSE.len());
                let whole = std::mem::replace(&mut self.held, rest);
                self.inside = false;
                pieces.push(self.call_or_text(whole));
            } else if let Some(at) = self.held.find(OPEN) {
                let rest = self.held.split_off(at);
                let before = std::mem::replace(&mut self.held, rest);
                self.inside = true;
                // White space between text and call, or between calls, is layout.
                push_text(&mut pieces, before.trim_end().to_owned());
            } else {
                // A tag may be coming, and white space before it would be layout.
                let tag = overlap(&self.held, OPEN);
                let before = self.held.len() - tag;
                let space = before - self.held.get(..before).map_or(before, |t| t.trim_end().len());
                push_text(&mut pieces, release(&mut self.held, tag + space));
                break;
            }
        }
        pieces
    }

    /// The answer has ended. A call without its closing tag counts when it is complete.
    pub fn finish(&mut self) -> Vec<Piece> {
        let held = std::mem::take(&mut self.held);
        let mut pieces = Vec::new();
        if std::mem::take(&mut self.inside) {
            pieces.push(self.call_or_text(held));
        } else if self.calls == 0 || !held.trim().is_empty() {
            push_text(&mut pieces, held);
        }
        pieces
    }

    fn call_or_text(&mut self, whole: String) -> Piece {
        let inner = whole.strip_prefix(OPEN).unwrap_or(&whole);
        let inner = inner.strip_suffix(CLOSE).unwrap_or(inner);
        match parse(inner, &self.names) {
            Some(function) => {
                let index = self.calls;
                self.calls += 1;
                let id = format!("call_{:032x}", rand::random::<u128>());
                Piece::Call(index, ToolCall { id, kind: "function".to_owned(), function })
            }
            None => Piece::Text(whole),
        }
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: String) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
}

/// `{"name": an offered function, "arguments": an object, or an object as text}`; other fields are ignored.
fn parse(text: &str, names: &[String]) -> Option<FunctionCall> {
    let call: Value = serde_json::from_str(text.trim()).ok()?;
    let name = call.get("name")?.as_str()?;
    let arguments = match call.get("arguments").or_else(|| call.get("parameters")) {
        None => "{}".to_owned(),
        Some(object @ Value::Object(_)) => object.to_string(),
        Some(Value::String(text)) => {
            serde_json::from_str::<Value>(text).ok().filter(Value::is_object)?;
            text.clone()
        }
        Some(_) => return None,
    };
    names.iter().any(|n| n == name).then(|| FunctionCall { name: name.to_owned(), arguments })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    /// Text as it is, calls as `name(arguments)`.
    fn run(text: &str, size: usize) -> Vec<String> {
        let mut filter = ToolFilter::new(vec!["f".into(), "g".into()]);
        let chars: Vec<char> = text.chars().collect();
        let mut pieces: Vec<Piece> = vec![];
        for piece in chars.chunks(size) {
            pieces.extend(filter.push(&piece.iter().collect::<String>()));
        }
        pieces.extend(filter.finish());
        let mut out: Vec<String> = vec![];
        let mut joining = false;
        for piece in pieces {
            match piece {
                Piece::Text(t) if joining => out.last_mut().unwrap().push_str(&t),
                Piece::Text(t) => {
                    out.push(t);
                    joining = true;
                }
                Piece::Call(_, c) => {
                    assert!(c.id.starts_with("call_") && c.kind == "function");
                    out.push(format!("{}({})", c.function.name, c.function.arguments));
                    joining = false;
                }
            }
        }
        out
    }

    #[test]
    fn calls_and_text_are_told_apart_however_they_arrive() {
        let cases: [(&str, &[&str]); 14] = [
            ("no call", &["no call"]),
            ("", &[]),
            ("ends with space \n", &["ends with space \n"]),
            (r#"<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>"#, &[r#"f({"a":1})"#]),
            ("<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n", &["f({})"]),
            (r#"Let me see.  <tool_call>{"name":"g"}</tool_call>"#, &["Let me see.", "g({})"]),
            (
                "<tool_call>{\"name\":\"f\",\"arguments\":{\"é\":\"<tool_call>\"}}</tool_call>\n<tool_call>{\"name\":\"g\",\"arguments\":\"{}\"}</tool_call>",
                &["f({\"é\":\"<tool_call>\"})", "g({})"],
            ),
            (r#"<tool_call>{"name":"f","arguments":{}}"#, &["f({})"]),
            (r#"<tool_call>{"name":"f","arguments":{"#, &[r#"<tool_call>{"name":"f","arguments":{"#]),
            ("<tool_call>é</tool_call> after", &["<tool_call>é</tool_call> after"]),
            (
                r#"<tool_call>{"name":"unknown","arguments":{}}</tool_call>"#,
                &[r#"<tool_call>{"name":"unknown","arguments":{}}</tool_call>"#],
            ),
            (
                r#"<tool_call>{"name":"f","arguments":[1]}</tool_call>"#,
                &[r#"<tool_call>{"name":"f","arguments":[1]}</tool_call>"#],
            ),
            (
                r#"<tool_call>{"name":"f","arguments":"{"}</tool_call>"#,
                &[r#"<tool_call>{"name":"f","arguments":"{"}</tool_call>"#],
            ),
            ("a < b <tool b", &["a < b <tool b"]),
        ];
        for (text, expected) in cases {
            for size in [1, 2, 3, 7, 1000] {
                assert_eq!(run(text, size), expected, "{text:?} by {size}");
            }
        }
    }

    #[test]
    fn without_functions_on_offer_everything_is_text() {
        let text = r#"<tool_call>{"name":"f"}</tool_call>"#;
        assert_eq!(ToolFilter::new(vec![]).push(text), [Piece::Text(text.into())]);
    }
}
