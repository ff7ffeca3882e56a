//! What a command answers: the same facts as a table for people and as one JSON object for programs.

use cocoon_actions::text::printable;
use cocoon_protocol::Nano;
use serde_json::{Map, Value as Json, json};
use std::fmt::Display;
use time::OffsetDateTime;

/// One fact.
#[derive(Clone, PartialEq, Debug)]
enum Value {
    Text(String),
    Number(u64),
    Flag(bool),
    Ton(Nano),
    /// Nano with a sign.
    Change(i128),
    Time(u32),
    Seconds(u32),
    Nothing,
    List(Vec<Report>),
    Section(Report),
}

/// Facts in order, each with a name.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    rows: Vec<(String, Value)>,
    exit: u8,
    silent: bool,
}

impl Report {
    /// No facts yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A command that prints what it has to say itself.
    pub fn silent() -> Self {
        Self { silent: true, ..Self::default() }
    }

    /// The exit code: 0, or why this is an answer and yet no success.
    pub const fn exit(&self) -> u8 {
        self.exit
    }

    /// With this exit code.
    #[must_use]
    pub fn exiting(self, exit: u8) -> Self {
        Self { exit, ..self }
    }

    fn with(mut self, name: impl Into<String>, value: Value) -> Self {
        self.rows.push((name.into(), value));
        self
    }

    /// A text, an address, a hash.
    #[must_use]
    pub fn text(self, name: impl Into<String>, value: impl Display) -> Self {
        self.with(name, Value::Text(value.to_string()))
    }

    /// A text that may be absent.
    #[must_use]
    pub fn maybe(self, name: impl Into<String>, value: Option<impl Display>) -> Self {
        let value = value.map_or(Value::Nothing, |v| Value::Text(v.to_string()));
        self.with(name, value)
    }

    /// A number.
    #[must_use]
    pub fn number(self, name: impl Into<String>, value: impl Into<u64>) -> Self {
        self.with(name, Value::Number(value.into()))
    }

    /// Yes or no.
    #[must_use]
    pub fn flag(self, name: impl Into<String>, value: bool) -> Self {
        self.with(name, Value::Flag(value))
    }

    /// An amount of Toncoin.
    #[must_use]
    pub fn ton(self, name: impl Into<String>, value: Nano) -> Self {
        self.with(name, Value::Ton(value))
    }

    /// By how many nanoton a balance changes.
    #[must_use]
    pub fn change(self, name: impl Into<String>, nano: i128) -> Self {
        self.with(name, Value::Change(nano))
    }

    /// A point in time; 0 is none.
    #[must_use]
    pub fn time(self, name: impl Into<String>, unix: u32) -> Self {
        let value = if unix == 0 { Value::Nothing } else { Value::Time(unix) };
        self.with(name, value)
    }

    /// A span of time.
    #[must_use]
    pub fn seconds(self, name: impl Into<String>, seconds: u32) -> Self {
        self.with(name, Value::Seconds(seconds))
    }

    /// Several things of one kind.
    #[must_use]
    pub fn list(self, name: impl Into<String>, items: Vec<Self>) -> Self {
        self.with(name, Value::List(items))
    }

    /// Facts that belong together.
    #[must_use]
    pub fn section(self, name: impl Into<String>, section: Self) -> Self {
        self.with(name, Value::Section(section))
    }

    /// With the facts of another report after these.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.rows.extend(other.rows);
        self.exit = self.exit.max(other.exit);
        self
    }

    fn to_json(&self) -> Map<String, Json> {
        self.rows.iter().map(|(name, value)| (name.clone(), value.to_json())).collect()
    }

    /// One JSON object in one line.
    pub fn to_json_line(&self) -> String {
        if self.silent {
            return String::new();
        }
        let mut object = Map::from_iter([("ok".to_owned(), Json::Bool(self.exit == 0))]);
        object.extend(self.to_json());
        format!("{}\n", Json::Object(object))
    }

    /// A table.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0);
        text
    }

    fn write(&self, out: &mut String, indent: usize) {
        let width = self.rows.iter().filter(|(_, v)| v.line().is_some()).map(|(n, _)| n.chars().count()).max();
        let width = width.unwrap_or_default();
        let space = " ".repeat(indent);
        for (name, value) in &self.rows {
            let label = name.replace('_', " ");
            match value {
                Value::List(items) if items.is_empty() => out.push_str(&format!("{space}{label}: none\n")),
                Value::List(items) => {
                    out.push_str(&format!("{space}{label}:\n"));
                    for (i, item) in items.iter().enumerate() {
                        if i > 0 && item.rows.len() > 3 {
                            out.push('\n');
                        }
                        if let Some(line) = item.short() {
                            out.push_str(&format!("{space}  {line}\n"));
                        } else {
                            item.write(out, indent + 2);
                        }
                    }
                }
                Value::Section(section) => {
                    out.push_str(&format!("{space}{label}:\n"));
                    section.write(out, indent + 2);
                }
                other => {
                    let line = other.line().unwrap_or_default();
                    out.push_str(&format!("{space}{label:<width$}  {line}\n"));
                }
            }
        }
    }

    /// Three facts or fewer fit a line.
    fn short(&self) -> Option<String> {
        if self.rows.len() > 3 {
            return None;
        }
        let facts: Option<Vec<String>> = self.rows.iter().map(|(_, value)| value.line()).collect();
        facts.map(|facts| facts.join("  "))
    }
}

impl Value {
    fn to_json(&self) -> Json {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(number) => json!(number),
            Self::Flag(flag) => json!(flag),
            Self::Ton(amount) => json!({ "nano": amount.get().to_string(), "ton": digits(*amount) }),
            Self::Change(nano) => json!({ "nano": nano.to_string(), "ton": signed(*nano, "") }),
            Self::Time(unix) => json!({ "unix": unix, "utc": utc(*unix) }),
            Self::Seconds(seconds) => json!(seconds),
            Self::Nothing => Json::Null,
            Self::List(items) => items.iter().map(|item| Json::Object(item.to_json())).collect(),
            Self::Section(section) => Json::Object(section.to_json()),
        }
    }

    /// The value on one line; `None` for what takes more.
    fn line(&self) -> Option<String> {
        Some(match self {
            Self::Text(text) => printable(text),
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
            Self::Ton(amount) => amount.to_string(),
            Self::Change(nano) => signed(*nano, " TON"),
            Self::Time(unix) => utc(*unix),
            Self::Seconds(seconds) => crate::args::duration::in_words(*seconds),
            Self::Nothing => "—".to_owned(),
            Self::List(_) | Self::Section(_) => return None,
        })
    }
}

fn digits(amount: Nano) -> String {
    amount.to_string().trim_end_matches(" TON").to_owned()
}

fn signed(nano: i128, unit: &str) -> String {
    let size = u64::try_from(nano.unsigned_abs()).map_or(Nano::MAX, Nano::new);
    let sign = if nano < 0 { "-" } else { "+" };
    format!("{sign}{}{unit}", digits(size))
}

/// A time as people write it, in UTC.
pub fn utc(unix: u32) -> String {
    OffsetDateTime::from_unix_timestamp(i64::from(unix)).map_or_else(
        |_| unix.to_string(),
        |t| {
            let (date, month) = (t.date(), u8::from(t.month()));
            format!("{}-{month:02}-{:02}T{:02}:{:02}:{:02}Z", date.year(), date.day(), t.hour(), t.minute(), t.second())
        },
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    #[test]
    fn both_forms_tell_the_same() {
        let report =
            Report::new().ton("amount", Nano::new(1_500_000_000)).change("balance", -20).time("at", 1_700_000_000);
        assert_eq!(
            report.to_json_line(),
            concat!(
                r#"{"ok":true,"amount":{"nano":"1500000000","ton":"1.5"},"balance":{"nano":"-20","ton":"-0.00000002"},"#,
                r#""at":{"unix":1700000000,"utc":"2023-11-14T22:13:20Z"}}"#,
                "\n"
            )
        );
        let text = report.to_text();
        assert!(text.contains("amount   1.5 TON") && text.contains("-0.00000002 TON"), "{text}");
    }

    #[test]
    fn what_others_wrote_cannot_play_with_the_terminal() {
        let text = Report::new().text("reason", "fine\u{1b}[2Jevil").to_text();
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
