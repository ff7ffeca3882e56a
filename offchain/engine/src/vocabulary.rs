//! The model's tokenizer as the adapter needs it: which tokens end an answer, which act as control, how tokens become text.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::Value;
use tokenizers::Tokenizer;

use crate::identity::{ModelError, SealedModel};

/// Separates the first character of a control token's text from the rest. It shows nothing and joins words, so people
/// read the same, but the tokenizer no longer recognises the token (attack 90).
const SEPARATOR: char = '\u{2060}';
/// Largest JSON file of a model that is read here.
const MAX_JSON: u64 = 64 << 20;
/// Tokens that end an answer when the chat template uses them, whatever the configuration says. As mistral.rs has it.
const TEMPLATE_ENDS: [&str; 8] = [
    "<|im_end|>",
    "<end_of_turn>",
    "<|end_of_text|>",
    "<|end|>",
    "<|eot_id|>",
    "<|message|>",
    "<|start|>",
    "<|channel|>",
];
/// Normalising a text makes it at most this many times shorter; a generous guess, used only to refuse early.
const NORMALISING: usize = 4;
/// A token that never becomes valid text is given up on after this many further ones.
const MAX_UNDECODED: usize = 16;

/// A model's files do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum VocabularyError {
    /// A file could not be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A file that every chat model has is missing.
    #[error("the model has no {file}")]
    Missing {
        /// Which.
        file: &'static str,
    },
    /// A file does not say what it should.
    #[error("the model's {file} is not usable: {why}")]
    Malformed {
        /// Which.
        file: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// What the JSON files of a model say, checked before the engine sees them: it panics on malformed ones.
pub(crate) struct Vocabulary {
    tokenizer: Tokenizer,
    /// End an answer.
    ends: BTreeSet<u32>,
    /// Texts that the tokenizer would read as control tokens. Those of the first kind mark turns; the others are tags
    /// such as `<tool_call>`, which an assistant's message may repeat.
    control: Vec<Control>,
    /// Bytes of the longest token.
    longest: usize,
    /// Most tokens of prompt and completion together.
    pub context: usize,
    /// How the model's makers want it sampled.
    pub defaults: Defaults,
}

struct Control {
    id: u32,
    text: String,
    special: bool,
}

/// What the tokenizer makes of a text.
pub(crate) struct Reading<'a> {
    /// Its tokens; a lower bound where that already is too much.
    pub tokens: usize,
    /// The text of a control token in it.
    pub control: Option<&'a str>,
}

/// Defaults of `generation_config.json`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Defaults {
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u32>,
}

impl Vocabulary {
    pub fn load(model: &SealedModel) -> Result<Self, VocabularyError> {
        let config = json(model, "config.json")?.ok_or(VocabularyError::Missing { file: "config.json" })?;
        let generation = json(model, "generation_config.json")?.unwrap_or(Value::Null);
        let tokenizer_config = json(model, "tokenizer_config.json")?.unwrap_or(Value::Null);
        let tokenizer = load_tokenizer(model)?;

        let positive = |name: &str| config.get(name).and_then(Value::as_u64).filter(|v| *v > 0);
        let malformed = |file, why: String| VocabularyError::Malformed { file, why };
        let context = positive("max_position_embeddings")
            .and_then(|v| usize::try_from(v).ok())
            .ok_or_else(|| malformed("config.json", "`max_position_embeddings` is not a positive number".into()))?;
        let rows = positive("vocab_size")
            .ok_or_else(|| malformed("config.json", "`vocab_size` is not a positive number".into()))?;
        let words = tokenizer.get_vocab_size(true) as u64;
        if words > rows {
            return Err(malformed("tokenizer.json", format!("it has {words} tokens, config.json only {rows}")));
        }

        let template = template_text(model, &tokenizer_config)?;
        let ends = ends(&tokenizer, &tokenizer_config, &generation, &template)?;
        let control = control(&tokenizer, &template);
        let longest = tokenizer.get_vocab(true).keys().map(String::len).max().unwrap_or(1).max(1);
        Ok(Self { tokenizer, ends, control, longest, context, defaults: defaults(&generation) })
    }

    /// Whether the token ends an answer.
    pub fn is_end(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    /// The text with every control token broken, so that it is read as ordinary text. In an assistant's message tags stay.
    pub fn escape(&self, text: &str, assistant: bool) -> String {
        let mut out = text.to_owned();
        for control in self.control.iter().filter(|c| c.special || !assistant) {
            let mut chars = control.text.chars();
            if let Some(first) = chars.next()
                && out.contains(&control.text)
            {
                out = out.replace(&control.text, &format!("{first}{SEPARATOR}{}", chars.as_str()));
            }
        }
        out
    }

    /// Reads the text as the engine will: how many tokens it has, and whether one of them is a control token all the
    /// same, as it can be after normalising.
    pub fn read(&self, text: &str, assistant: bool) -> Result<Reading<'_>, tokenizers::Error> {
        let shortest = text.len() / self.longest / NORMALISING;
        if shortest > self.context {
            // Far too long in any case: not worth the time of reading it.
            return Ok(Reading { tokens: shortest, control: None });
        }
        let encoding = self.tokenizer.encode_fast(text, false)?;
        let ids: BTreeSet<u32> = encoding.get_ids().iter().copied().collect();
        let control = self.control.iter().find(|c| (c.special || !assistant) && ids.contains(&c.id));
        Ok(Reading { tokens: encoding.len(), control: control.map(|c| c.text.as_str()) })
    }

    /// Whether this text is one token that the tokenizer never splits.
    pub fn is_added(&self, text: &str) -> bool {
        self.tokenizer.get_added_vocabulary().get_vocab().contains_key(text)
    }

    /// One token as text.
    pub fn text_of(&self, token: u32) -> String {
        self.tokenizer.decode(&[token], false).unwrap_or_else(|_| char::REPLACEMENT_CHARACTER.to_string())
    }

    /// How often each control token occurs.
    #[cfg(test)]
    pub fn count_control(&self, ids: &[u32]) -> Vec<usize> {
        self.control.iter().map(|c| ids.iter().filter(|id| **id == c.id).count()).collect()
    }
}

/// Turns tokens into text as they come, never splitting a character.
pub(crate) struct Decoder {
    vocabulary: Arc<Vocabulary>,
    /// Tokens from the start of the last piece on; `read` of them have been turned into text.
    window: Vec<u32>,
    read: usize,
}

impl Decoder {
    pub fn new(vocabulary: Arc<Vocabulary>) -> Self {
        Self { vocabulary, window: Vec::new(), read: 0 }
    }

    /// The text that this token completes; empty while a character is incomplete.
    pub fn push(&mut self, token: u32) -> String {
        self.window.push(token);
        self.advance(self.window.len() - self.read > MAX_UNDECODED)
    }

    /// What is left, with replacement characters for what is not text.
    pub fn finish(&mut self) -> String {
        self.advance(true)
    }

    fn advance(&mut self, incomplete: bool) -> String {
        // A token's text may depend on the one before, as with leading spaces: decode both and take the difference.
        let decode =
            |ids: Option<&[u32]>| self.vocabulary.tokenizer.decode(ids.unwrap_or_default(), true).unwrap_or_default();
        let before = decode(self.window.get(..self.read));
        let after = decode(Some(&self.window));
        if after.ends_with(char::REPLACEMENT_CHARACTER) && !incomplete {
            return String::new();
        }
        let new = after.strip_prefix(before.as_str()).unwrap_or_default().to_owned();
        if !new.is_empty() || incomplete {
            self.window.drain(..self.read);
            self.read = self.window.len();
        }
        new
    }
}

fn json(model: &SealedModel, file: &'static str) -> Result<Option<Value>, VocabularyError> {
    let Some(bytes) = model.read(file, MAX_JSON)? else { return Ok(None) };
    let value = serde_json::from_slice(&bytes).map_err(|e| VocabularyError::Malformed { file, why: e.to_string() })?;
    Ok(Some(value))
}

fn load_tokenizer(model: &SealedModel) -> Result<Tokenizer, VocabularyError> {
    let file = "tokenizer.json";
    let bytes = model.read(file, MAX_JSON)?.ok_or(VocabularyError::Missing { file })?;
    let malformed = |why| VocabularyError::Malformed { file, why };
    match catch_unwind(AssertUnwindSafe(|| Tokenizer::from_bytes(&bytes))) {
        Ok(Ok(tokenizer)) => Ok(tokenizer),
        Ok(Err(error)) => Err(malformed(error.to_string())),
        Err(_) => Err(malformed("reading it panics".to_owned())),
    }
}

/// All chat templates of the model, as text.
fn template_text(model: &SealedModel, tokenizer_config: &Value) -> Result<String, VocabularyError> {
    fn collect(value: &Value, text: &mut String) {
        match value {
            Value::String(s) => text.push_str(s),
            Value::Array(list) => list.iter().for_each(|v| collect(v, text)),
            Value::Object(map) => map.values().for_each(|v| collect(v, text)),
            _ => {}
        }
    }
    let mut text = String::new();
    collect(tokenizer_config.get("chat_template").unwrap_or(&Value::Null), &mut text);
    if let Some(value) = json(model, "chat_template.json")? {
        collect(&value, &mut text);
    }
    if let Some(bytes) = model.read("chat_template.jinja", MAX_JSON)? {
        text.push_str(&String::from_utf8_lossy(&bytes));
    }
    if text.is_empty() {
        let why = "there is no chat template, so the model cannot chat".to_owned();
        return Err(VocabularyError::Malformed { file: "tokenizer_config.json", why });
    }
    Ok(text)
}

/// The tokens that end an answer, found as mistral.rs finds them. It panics where this returns an error.
fn ends(
    tokenizer: &Tokenizer,
    tokenizer_config: &Value,
    generation: &Value,
    template: &str,
) -> Result<BTreeSet<u32>, VocabularyError> {
    let mut ends = BTreeSet::new();
    let named = tokenizer_config.get("eos_token").and_then(|v| v.as_str().or_else(|| v.get("content")?.as_str()));
    if let Some(name) = named {
        let id = tokenizer.token_to_id(name).ok_or_else(|| VocabularyError::Malformed {
            file: "tokenizer_config.json",
            why: format!("its eos_token {name:?} is not in tokenizer.json"),
        })?;
        ends.insert(id);
    }
    ends.extend(TEMPLATE_ENDS.iter().filter(|t| template.contains(**t)).filter_map(|t| tokenizer.token_to_id(t)));
    for field in ["eos_token_id", "bos_token_id"] {
        let ids = match generation.get(field) {
            Some(Value::Array(list)) => list.clone(),
            Some(Value::Null) | None => vec![],
            Some(one) => vec![one.clone()],
        };
        for value in ids {
            let id =
                value.as_u64().and_then(|v| u32::try_from(v).ok()).filter(|id| tokenizer.id_to_token(*id).is_some());
            let id = id.ok_or_else(|| VocabularyError::Malformed {
                file: "generation_config.json",
                why: format!("its {field} {value} is not a token of tokenizer.json"),
            })?;
            if field == "eos_token_id" {
                ends.insert(id);
            }
        }
    }
    if ends.is_empty() {
        let why = "no token ends an answer: give `eos_token_id`".to_owned();
        return Err(VocabularyError::Malformed { file: "generation_config.json", why });
    }
    Ok(ends)
}

/// Control tokens are those that the tokenizer calls special and other added ones that look the part (`<|…|>`) or that
/// the chat template writes. Added tokens for mere text, such as runs of spaces, are not.
fn control(tokenizer: &Tokenizer, template: &str) -> Vec<Control> {
    let looks = |t: &str| t.starts_with("<|") && t.ends_with("|>");
    let mut control: Vec<Control> = tokenizer
        .get_added_tokens_decoder()
        .into_iter()
        .filter(|(_, token)| !token.content.trim().is_empty())
        .filter(|(_, token)| token.special || looks(&token.content) || template.contains(&token.content))
        .map(|(id, token)| Control { id, special: token.special || looks(&token.content), text: token.content })
        .collect();
    control.sort_by_key(|c| c.id);
    control
}

fn defaults(generation: &Value) -> Defaults {
    if generation.get("do_sample") == Some(&Value::Bool(false)) {
        return Defaults { temperature: Some(0.0), ..Defaults::default() };
    }
    let number = |name: &str, low: f64, high: f64| {
        generation.get(name).and_then(Value::as_f64).filter(|v| (low..=high).contains(v))
    };
    Defaults {
        temperature: number("temperature", 0.0, 2.0),
        top_p: number("top_p", f64::MIN_POSITIVE, 1.0),
        top_k: number("top_k", 1.0, 1e6).map(|v| v as u32),
    }
}
