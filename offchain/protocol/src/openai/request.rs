//! The request: `POST /v1/chat/completions`.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::fault::{Fault, FaultCode};

/// Deepest nesting of JSON that is read; anything an application sends in earnest is far below.
const MAX_DEPTH: usize = 64;
/// Most choices per request.
pub const MAX_CHOICES: u32 = 16;
/// Most stop strings per request, as the API has it.
pub const MAX_STOPS: usize = 4;

/// A chat-completion request. Fields that would change the meaning of the answer and are not supported are refused by
/// name; unknown ones are ignored, as the API's own servers do.
#[derive(Clone, Debug, Deserialize)]
pub struct ChatCompletionRequest {
    /// Name of the model.
    pub model: String,
    /// The conversation.
    pub messages: Vec<Message>,
    /// Most completion tokens, older name.
    pub max_tokens: Option<u64>,
    /// Most completion tokens.
    pub max_completion_tokens: Option<u64>,
    /// Number of choices.
    pub n: Option<u32>,
    /// 0 to 2.
    pub temperature: Option<f64>,
    /// Over 0, up to 1.
    pub top_p: Option<f64>,
    /// Not in the OpenAI API but common elsewhere.
    pub top_k: Option<u32>,
    /// For repeatable sampling.
    pub seed: Option<i64>,
    /// Strings that end the answer.
    pub stop: Option<OneOrMany>,
    /// −2 to 2.
    pub presence_penalty: Option<f64>,
    /// −2 to 2.
    pub frequency_penalty: Option<f64>,
    /// Whether to return log probabilities.
    pub logprobs: Option<bool>,
    /// 0 to 20 alternatives per position.
    pub top_logprobs: Option<u8>,
    /// Functions that the model may call.
    pub tools: Option<Vec<Tool>>,
    /// `"none"`, `"auto"`, `"required"` or a named function.
    pub tool_choice: Option<Value>,
    /// `text`, `json_object` or `json_schema`.
    pub response_format: Option<ResponseFormat>,
}

/// A string or a list of strings.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(s) => vec![s],
            Self::Many(v) => v,
        }
    }
}

/// One message of the conversation.
#[derive(Clone, Debug, Deserialize)]
pub struct Message {
    /// Who speaks: `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: MessageRole,
    /// What is said.
    pub content: Option<Content>,
    /// Calls that the assistant made.
    pub tool_calls: Option<Vec<ToolCall>>,
    /// The call that a tool's message answers.
    pub tool_call_id: Option<String>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageRole {
    /// Instructions.
    System,
    /// Instructions, newer name.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
}

/// Text, or a list of parts of which all must be text.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Parts.
    Parts(Vec<Part>),
}

/// One part of a message's content.
#[derive(Clone, Debug, Deserialize)]
pub struct Part {
    /// `text` is the only kind served.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    pub text: Option<String>,
}

/// A function call of the assistant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Names the call.
    pub id: String,
    /// Always `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The call itself.
    pub function: FunctionCall,
}

/// Name and arguments of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionCall {
    /// The function's name.
    pub name: String,
    /// JSON, as text.
    pub arguments: String,
}

/// A function that the model may call.
#[derive(Clone, Debug, Deserialize)]
pub struct Tool {
    /// Always `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The function.
    pub function: Function,
}

/// Description of a function.
#[derive(Clone, Debug, Deserialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub parameters: Option<Value>,
}

/// Form of the answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Anything.
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// The schema with its name.
        json_schema: NamedSchema,
    },
}

/// A JSON Schema with a name.
#[derive(Clone, Debug, Deserialize)]
pub struct NamedSchema {
    /// The schema.
    pub schema: Value,
}

/// What the client itself reads of a request: what it must know to pay for it and to answer in the right form.
#[derive(Clone, Debug, Deserialize)]
pub struct Envelope {
    /// Name of the model.
    pub model: String,
    /// Whether the caller wants server-sent events.
    pub stream: Option<bool>,
    /// Options of streaming.
    pub stream_options: Option<StreamOptions>,
}

/// Options of streaming.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct StreamOptions {
    /// Whether a last chunk tells the usage.
    pub include_usage: Option<bool>,
}

/// Reads JSON; an error names the field and the place.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    check_depth(body)?;
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|e| {
        let path = e.path().to_string();
        // The reader's message may quote what it found, which may be a prompt in the wrong place: keep what it expected.
        let text = e.inner().to_string();
        let why = text
            .find(", expected ")
            .and_then(|at| text.get(at..))
            .map_or(text.clone(), |rest| format!("wrong kind of value{rest}"));
        let fault = Fault::new(FaultCode::BadRequest, format!("the request body is not valid: {why}"));
        if path == "." { fault } else { fault.param(path) }
    })?;
    json.end().map_err(|e| Fault::new(FaultCode::BadRequest, format!("the request body is not valid JSON: {e}")))?;
    Ok(value)
}

/// Refuses deep nesting before any recursive reader sees it (attack 83).
fn check_depth(body: &[u8]) -> Result<(), Fault> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in body {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            let message = format!("the request body is nested more than {MAX_DEPTH} levels deep");
            return Err(Fault::new(FaultCode::BadRequest, message));
        }
    }
    Ok(())
}

/// Fields that would change the answer's meaning and are not served.
const REFUSED: [&str; 6] = ["logit_bias", "audio", "prediction", "functions", "function_call", "web_search_options"];

impl Envelope {
    /// Reads what the client needs.
    pub fn parse(body: &[u8]) -> Result<Self, Fault> {
        read(body)
    }
}

impl ChatCompletionRequest {
    /// Reads and checks a whole request. Ranges that depend on the model are left to the engine.
    pub fn parse(body: &[u8]) -> Result<Self, Fault> {
        let fields: std::collections::BTreeMap<String, Box<RawValue>> = read(body)?;
        for field in REFUSED {
            if fields.get(field).is_some_and(|v| !matches!(v.get(), "null" | "{}" | "[]")) {
                return Err(bad(field, format!("`{field}` is not supported; leave it out")));
            }
        }
        let request: Self = read(body)?;
        request.check()?;
        Ok(request)
    }

    fn check(&self) -> Result<(), Fault> {
        if self.messages.is_empty() {
            return Err(bad("messages", "`messages` is empty; give at least one message"));
        }
        for (i, message) in self.messages.iter().enumerate() {
            message.check(i)?;
        }
        if self.n.is_some_and(|n| n == 0 || n > MAX_CHOICES) {
            return Err(bad("n", format!("`n` must be from 1 to {MAX_CHOICES}")));
        }
        if let Some(OneOrMany::Many(stops)) = &self.stop
            && stops.len() > MAX_STOPS
        {
            return Err(bad("stop", format!("`stop` may have at most {MAX_STOPS} strings")));
        }
        if self.max_tokens.is_some() && self.max_completion_tokens.is_some_and(|m| Some(m) != self.max_tokens) {
            return Err(bad("max_tokens", "`max_tokens` and `max_completion_tokens` differ; give one of them"));
        }
        for tool in self.tools.iter().flatten() {
            if tool.kind != "function" {
                return Err(bad("tools", "only tools of type `function` are served"));
            }
        }
        Ok(())
    }

    /// The limit of completion tokens under either name.
    pub fn completion_limit(&self) -> Option<u64> {
        self.max_completion_tokens.or(self.max_tokens)
    }
}

impl Message {
    fn check(&self, index: usize) -> Result<(), Fault> {
        if let Some(Content::Parts(parts)) = &self.content {
            for (j, part) in parts.iter().enumerate() {
                if part.kind != "text" || part.text.is_none() {
                    let at = format!("messages[{index}].content[{j}]");
                    return Err(bad(&at, "only content parts of type `text` with a `text` are served"));
                }
            }
        }
        let calls = self.tool_calls.as_ref().is_some_and(|c| !c.is_empty());
        if self.content.is_none() && !(self.role == MessageRole::Assistant && calls) {
            return Err(bad(&format!("messages[{index}].content"), "the message has no `content`"));
        }
        Ok(())
    }

    /// The message's text, its parts joined.
    pub fn text(&self) -> String {
        match &self.content {
            None => String::new(),
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => parts.iter().filter_map(|p| p.text.as_deref()).collect(),
        }
    }
}

fn bad(param: &str, message: impl Into<String>) -> Fault {
    Fault::new(FaultCode::BadRequest, message).param(param)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<ChatCompletionRequest, Fault> {
        ChatCompletionRequest::parse(body.as_bytes())
    }

    #[test]
    fn an_ordinary_request_is_read() {
        let r = parse(
            r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"a"},
            {"type":"text","text":"b"}]}],"max_tokens":5,"stop":"x","stream":true,"unknown":{"deep":[1]},"logit_bias":{}}"#,
        )
        .unwrap();
        assert_eq!(r.messages[1].text(), "ab");
        assert_eq!(r.completion_limit(), Some(5));
    }

    #[test]
    fn attack_83_bad_requests_name_the_field_and_quote_no_prompt() {
        let user = r#""model":"m","messages":[{"role":"user","content":"secret"}]"#;
        let cases = [
            (r#"{"model":"m"}"#.to_owned(), None),
            (r#"{"model":"m","messages":[]}"#.to_owned(), Some("messages")),
            (r#"{"model":"m","messages":[{"role":"user"}]}"#.to_owned(), Some("messages[0].content")),
            (r#"{"model":"m","messages":[{"role":"secret","content":"secret"}]}"#.to_owned(), Some("messages[0].role")),
            (
                r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","text":"secret"}]}]}"#
                    .to_owned(),
                Some("messages[0].content[0]"),
            ),
            (format!("{{{user},\"n\":0}}"), Some("n")),
            (format!("{{{user},\"n\":-1}}"), Some("n")),
            (format!("{{{user},\"max_tokens\":1.5}}"), Some("max_tokens")),
            (format!("{{{user},\"temperature\":\"secret\"}}"), Some("temperature")),
            (format!("{{{user},\"max_tokens\":1,\"max_completion_tokens\":2}}"), Some("max_tokens")),
            (format!("{{{user},\"logit_bias\":{{\"1\":5}}}}"), Some("logit_bias")),
            (format!("{{{user},\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}}"), Some("stop")),
            (format!("{{{user}}} trailing"), None),
            ("not json".to_owned(), None),
            ("\u{0}".to_owned(), None),
            (String::new(), None),
            ("[".repeat(100_000), None),
            (format!("{{\"a\":{}", "{\"a\":".repeat(100_000)), None),
        ];
        for (body, param) in cases {
            let fault = parse(&body).unwrap_err();
            assert_eq!(fault.code, FaultCode::BadRequest);
            assert_eq!(fault.param.as_deref(), param, "{body:.80} {fault:?}");
            assert!(!fault.message.contains("secret"), "{fault:?}");
        }
        assert!(ChatCompletionRequest::parse(b"{\"model\":\"\xff\"}").is_err());
    }
}
