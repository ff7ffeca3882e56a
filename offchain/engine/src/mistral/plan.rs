//! From a request to what the engine is told: checked, escaped, with nothing left that could fail another request.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::RandomState;

use cocoon_protocol::Tokens;
use cocoon_protocol::openai::request::{
    ChatCompletionRequest, MAX_CHOICES, MAX_STOPS, Message, MessageRole, ResponseFormat, Tool as RequestTool,
};
use either::Either;
use indexmap::IndexMap;
use mistralrs::{Constraint, Function, MessageContent, Tool, ToolType};
use serde_json::{Map, Value, json};

use crate::api::EngineError;
use crate::sampling::Sampling;
use crate::tools::{CLOSE, OPEN};
use crate::vocabulary::Vocabulary;

const MAX_TOOLS: usize = 128;
const MAX_STOP_BYTES: usize = 256;
const MAX_SCHEMA_BYTES: usize = 64 << 10;
const MAX_NAME_BYTES: usize = 64;

/// A checked request.
pub(crate) struct Plan {
    pub messages: Vec<IndexMap<String, MessageContent>>,
    pub tools: Vec<Tool>,
    /// Names of the functions that may be called.
    pub tool_names: Vec<String>,
    pub constraint: Constraint,
    pub sampling: Sampling,
    pub stops: Vec<String>,
    pub choices: u32,
    /// Most completion tokens per choice that the caller wants.
    pub limit: Option<u64>,
}

enum ToolUse {
    None,
    Auto,
    Required,
    Named(String),
}

impl Plan {
    pub fn of(request: ChatCompletionRequest, vocabulary: &Vocabulary) -> Result<Self, EngineError> {
        let choices = request.n.unwrap_or(1);
        if !(1..=MAX_CHOICES).contains(&choices) {
            return Err(EngineError::bad("n", format!("must be from 1 to {MAX_CHOICES}")));
        }
        let limit = request.completion_limit();
        if limit == Some(0) {
            let name = if request.max_tokens.is_some() { "max_tokens" } else { "max_completion_tokens" };
            return Err(EngineError::bad(name, "must be at least 1"));
        }
        let sampling = Sampling::of(&request, vocabulary.defaults, rand::random())?;
        let offered = request.tools.unwrap_or_default();
        check_tools(&offered)?;
        let tool_use = tool_use(request.tool_choice.as_ref(), &offered)?;
        let offered = if matches!(tool_use, ToolUse::None) { vec![] } else { offered };
        let constraint = constraint(&tool_use, &offered, request.response_format, vocabulary)?;
        let stops = stops(request.stop.map(|s| s.into_vec()).unwrap_or_default())?;
        let escaper = Escaper { vocabulary, tokens: Cell::new(0) };
        Ok(Self {
            messages: escaper.messages(&request.messages)?,
            tools: escaper.tools(&offered)?,
            tool_names: offered.into_iter().map(|t| t.function.name).collect(),
            constraint,
            sampling,
            stops,
            choices,
            limit,
        })
    }
}

fn stops(stops: Vec<String>) -> Result<Vec<String>, EngineError> {
    if stops.len() > MAX_STOPS {
        return Err(EngineError::bad("stop", format!("may have at most {MAX_STOPS} strings")));
    }
    if stops.iter().any(|s| s.is_empty() || s.len() > MAX_STOP_BYTES) {
        return Err(EngineError::bad("stop", format!("must hold strings of 1 to {MAX_STOP_BYTES} bytes")));
    }
    Ok(stops)
}

fn check_tools(tools: &[RequestTool]) -> Result<(), EngineError> {
    if tools.len() > MAX_TOOLS {
        return Err(EngineError::bad("tools", format!("may have at most {MAX_TOOLS} entries")));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    for (i, tool) in tools.iter().enumerate() {
        let name = &tool.function.name;
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(plain) {
            let at = format!("tools[{i}].function.name");
            return Err(EngineError::bad(at, "must have 1 to 64 letters, digits, `_` or `-`"));
        }
        if tools.iter().take(i).any(|t| t.function.name == *name) {
            return Err(EngineError::bad(format!("tools[{i}].function.name"), "is the name of another function too"));
        }
        if tool.function.parameters.as_ref().is_some_and(|p| !p.is_object()) {
            let at = format!("tools[{i}].function.parameters");
            return Err(EngineError::bad(at, "must be a JSON Schema of type object"));
        }
    }
    Ok(())
}

fn tool_use(choice: Option<&Value>, tools: &[RequestTool]) -> Result<ToolUse, EngineError> {
    let bad = |why: &str| Err(EngineError::bad("tool_choice", why));
    let tool_use = match choice {
        None | Some(Value::Null) if tools.is_empty() => ToolUse::None,
        None | Some(Value::Null) => ToolUse::Auto,
        Some(Value::String(s)) if s == "none" => ToolUse::None,
        Some(Value::String(s)) if s == "auto" && tools.is_empty() => ToolUse::None,
        Some(Value::String(s)) if s == "auto" => ToolUse::Auto,
        Some(Value::String(s)) if s == "required" => ToolUse::Required,
        Some(value) => match value.get("function").and_then(|f| f.get("name")).and_then(Value::as_str) {
            Some(name) if tools.iter().any(|t| t.function.name == name) => ToolUse::Named(name.to_owned()),
            Some(_) => return bad("names a function that is not in `tools`"),
            None => {
                return bad(
                    "must be \"none\", \"auto\", \"required\" or {\"type\":\"function\",\"function\":{\"name\":…}}",
                );
            }
        },
    };
    if matches!(tool_use, ToolUse::Required) && tools.is_empty() { bad("needs `tools`") } else { Ok(tool_use) }
}

/// A grammar for the answer, where the request demands a form.
fn constraint(
    tool_use: &ToolUse,
    tools: &[RequestTool],
    format: Option<ResponseFormat>,
    vocabulary: &Vocabulary,
) -> Result<Constraint, EngineError> {
    let (at, schema) = match format {
        None | Some(ResponseFormat::Text) => ("tools", None),
        Some(ResponseFormat::JsonObject) => ("response_format", Some(json!({ "type": "object" }))),
        Some(ResponseFormat::JsonSchema { json_schema }) => {
            ("response_format.json_schema.schema", Some(json_schema.schema))
        }
    };
    let wanted: Vec<&RequestTool> = match tool_use {
        ToolUse::None | ToolUse::Auto => vec![],
        ToolUse::Required => tools.iter().collect(),
        ToolUse::Named(name) => tools.iter().filter(|t| t.function.name == *name).collect(),
    };
    let small = |schema: &Value| {
        if !schema.is_object() {
            return Err(EngineError::bad(at, "must be a JSON object"));
        }
        if schema.to_string().len() > MAX_SCHEMA_BYTES {
            return Err(EngineError::bad(at, format!("must have at most {MAX_SCHEMA_BYTES} bytes")));
        }
        Ok(())
    };
    match (schema, wanted.is_empty()) {
        (None, true) => Ok(Constraint::None),
        (Some(_), false) => {
            Err(EngineError::bad("response_format", "cannot be combined with a `tool_choice` that demands a call"))
        }
        (Some(mut schema), true) => {
            small(&schema)?;
            guide(&mut schema);
            Ok(Constraint::JsonSchema(schema))
        }
        (None, false) => {
            let calls: Vec<Value> = wanted.into_iter().map(call_schema).collect();
            let mut schema = json!({ "anyOf": calls });
            small(&schema)?;
            guide(&mut schema);
            // The grammar names tokens bare and text in quotes.
            let tag = |tag: &str| if vocabulary.is_added(tag) { tag.to_owned() } else { format!("\"{tag}\"") };
            let (open, close) = (tag(OPEN), tag(CLOSE));
            Ok(Constraint::Lark(format!("start: {open} call {close}\ncall: %json {schema}\n")))
        }
    }
}

/// The JSON of a call of this function.
fn call_schema(tool: &RequestTool) -> Value {
    let arguments = tool.function.parameters.clone().unwrap_or_else(|| json!({ "type": "object" }));
    json!({
        "type": "object",
        "properties": { "name": { "const": tool.function.name }, "arguments": arguments },
        "required": ["name", "arguments"],
        "additionalProperties": false,
    })
}

/// Without this a model may fill the answer with white space between tokens of the JSON.
fn guide(schema: &mut Value) {
    if let Some(fields) = schema.as_object_mut() {
        let how = json!({ "whitespace_flexible": false, "item_separator": ", ", "key_separator": ": " });
        fields.insert("x-guidance".to_owned(), how);
    }
}

/// Makes sure that no text of the request acts as a control token (attack 90), and that all of it can fit the context.
struct Escaper<'a> {
    vocabulary: &'a Vocabulary,
    /// Of all texts so far.
    tokens: Cell<usize>,
}

impl Escaper<'_> {
    fn text(&self, text: &str, assistant: bool, at: impl Fn() -> String) -> Result<String, EngineError> {
        let escaped = self.vocabulary.escape(text, assistant);
        let Ok(reading) = self.vocabulary.read(&escaped, assistant) else {
            return Err(EngineError::bad(at(), "cannot be read by the model's tokenizer"));
        };
        if let Some(token) = reading.control {
            let why = format!("has characters that the model reads as its control token {token:?}; leave them out");
            return Err(EngineError::bad(at(), why));
        }
        // Counted here, where it costs only this request, before the engine spends everybody's time on a long prompt.
        self.tokens.set(self.tokens.get().saturating_add(reading.tokens));
        if self.tokens.get() >= self.vocabulary.context {
            let (prompt, context) = (self.tokens.get() as u64, self.vocabulary.context as u64);
            return Err(EngineError::TooLong { prompt: Tokens(prompt), context: Tokens(context) });
        }
        Ok(escaped)
    }

    fn value(&self, value: &Value, at: &dyn Fn() -> String) -> Result<Value, EngineError> {
        Ok(match value {
            Value::String(text) => Value::String(self.text(text, false, at)?),
            Value::Array(list) => Value::Array(list.iter().map(|v| self.value(v, at)).collect::<Result<_, _>>()?),
            Value::Object(map) => {
                let escaped: Result<Map<_, _>, _> =
                    map.iter().map(|(k, v)| Ok((self.text(k, false, at)?, self.value(v, at)?))).collect();
                Value::Object(escaped?)
            }
            other => other.clone(),
        })
    }

    fn messages(&self, messages: &[Message]) -> Result<Vec<IndexMap<String, MessageContent>>, EngineError> {
        if messages.is_empty() {
            return Err(EngineError::bad("messages", "is empty; give at least one message"));
        }
        let mut called: HashMap<&str, &str> = HashMap::new();
        let mut out = Vec::with_capacity(messages.len());
        for (i, message) in messages.iter().enumerate() {
            let assistant = message.role == MessageRole::Assistant;
            let content = self.text(&message.text(), assistant, || format!("messages[{i}].content"))?;
            let mut fields: IndexMap<String, MessageContent> = IndexMap::new();
            fields.insert("role".to_owned(), Either::Left(role(message.role).to_owned()));
            fields.insert("content".to_owned(), Either::Left(content));
            if let Some(calls) = message.tool_calls.as_ref().filter(|c| assistant && !c.is_empty()) {
                let at = || format!("messages[{i}].tool_calls");
                let mut list = Vec::with_capacity(calls.len());
                for call in calls {
                    called.insert(&call.id, &call.function.name);
                    let text = &call.function.arguments;
                    // Templates differ in what they make of text; an object suits them all.
                    let arguments = match serde_json::from_str::<Value>(text) {
                        Ok(object @ Value::Object(_)) => object,
                        _ => Value::String(text.clone()),
                    };
                    let function = json!({ "name": call.function.name, "arguments": arguments });
                    let entry = json!({ "id": call.id, "type": "function", "function": function });
                    if let Value::Object(map) = self.value(&entry, &at)? {
                        list.push(map.into_iter().collect());
                    }
                }
                fields.insert("tool_calls".to_owned(), Either::Right(list));
            }
            if let Some(id) = message.tool_call_id.as_ref().filter(|_| message.role == MessageRole::Tool) {
                let at = || format!("messages[{i}].tool_call_id");
                if let Some(name) = called.get(id.as_str()) {
                    fields.insert("name".to_owned(), Either::Left(self.text(name, false, at)?));
                }
                fields.insert("tool_call_id".to_owned(), Either::Left(self.text(id, false, at)?));
            }
            out.push(fields);
        }
        Ok(out)
    }

    fn tools(&self, tools: &[RequestTool]) -> Result<Vec<Tool>, EngineError> {
        let tool = |(i, tool): (usize, &RequestTool)| {
            let at = || format!("tools[{i}].function");
            let description = tool.function.description.as_ref().map(|d| self.text(d, false, at)).transpose()?;
            let parameters = match &tool.function.parameters {
                None => None,
                Some(value) => match self.value(value, &at)? {
                    Value::Object(map) => Some(in_order(map)),
                    _ => None,
                },
            };
            let function = Function { name: tool.function.name.clone(), description, parameters };
            Ok(Tool { tp: ToolType::Function, function })
        };
        tools.iter().enumerate().map(tool).collect()
    }
}

/// A hash map that happens to iterate in the order of the request. The engine's type is a hash map, its order goes into
/// the prompt, and a prompt must not depend on chance. For a schema's few fields some hundred hash functions are enough.
fn in_order(fields: Map<String, Value>) -> HashMap<String, Value> {
    let mut state = RandomState::new();
    for _ in 0..20_000 {
        let mut trial: HashMap<&str, ()> = HashMap::with_capacity_and_hasher(fields.len(), state.clone());
        trial.extend(fields.keys().map(|k| (k.as_str(), ())));
        if trial.keys().copied().eq(fields.keys().map(String::as_str)) {
            break;
        }
        state = RandomState::new();
    }
    let mut map = HashMap::with_capacity_and_hasher(fields.len(), state);
    map.extend(fields);
    map
}

fn role(role: MessageRole) -> &'static str {
    match role {
        MessageRole::System | MessageRole::Developer => "system",
        MessageRole::User => "user",
        MessageRole::Assistant => "assistant",
        MessageRole::Tool => "tool",
    }
}
