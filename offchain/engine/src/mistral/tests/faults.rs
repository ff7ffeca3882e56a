//! Faults of the engine, of callers and of model files: each is one error in one place.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// A copy of the shipped model with one file changed.
pub(super) fn changed(file: &str, change: impl FnOnce(String) -> String) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(model_dir()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let path = dir.path().join(file);
    let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
    fs::write(path, change(text)).unwrap();
    dir
}

pub(super) fn seal(dir: &Path) -> SealedModel {
    SealedModel::open(dir, &[Manifest::of(dir).unwrap().root()]).unwrap()
}

fn edit(file: &str, change: impl FnOnce(&mut Value)) -> tempfile::TempDir {
    changed(file, |text| {
        let mut value: Value = serde_json::from_str(&text).unwrap();
        change(&mut value);
        value.to_string()
    })
}

#[tokio::test]
async fn model_files_that_do_not_fit_are_named() {
    let without = |file: &str| {
        let dir = changed(file, |text| text);
        fs::remove_file(dir.path().join(file)).unwrap();
        dir
    };
    let cases = [
        (changed("tokenizer.json", |t| t[..t.len() / 2].to_owned()), "tokenizer.json"),
        (changed("tokenizer.json", |_| "{}".into()), "tokenizer.json"),
        (changed("tokenizer.json", |_| "\u{0}\u{1}".into()), "tokenizer.json"),
        (edit("tokenizer.json", |v| v["model"]["merges"] = json!([["no", "such"]])), "tokenizer.json"),
        (changed("config.json", |_| "[]".into()), "config.json"),
        (edit("config.json", |v| v["max_position_embeddings"] = json!(-1)), "max_position_embeddings"),
        (edit("config.json", |v| v["vocab_size"] = json!(7)), "tokens"),
        (edit("config.json", |v| v["architectures"] = json!(["Nothing"])), "mistral.rs"),
        (edit("tokenizer_config.json", |v| v["eos_token"] = json!("<none>")), "eos_token"),
        (edit("tokenizer_config.json", |v| v["chat_template"] = json!(null)), "chat template"),
        (edit("generation_config.json", |v| v["eos_token_id"] = json!([2, 999_999])), "eos_token_id"),
        (changed("model.safetensors", |_| "nothing".into()), "mistral.rs"),
        (without("tokenizer.json"), "tokenizer.json"),
        (without("config.json"), "config.json"),
        (without("model.safetensors"), "safetensors"),
    ];
    for (dir, named) in cases {
        let config = MistralConfig { cpu: true, ..MistralConfig::default() };
        match MistralEngine::load(seal(dir.path()), config).await {
            Err(error) => assert!(error.to_string().contains(named), "{named}: {error}"),
            Ok(_) => panic!("{named}: loaded"),
        }
    }
}

/// What the library does when whoever asked for a count goes away.
async fn kill(engine: &MistralEngine) {
    let (response, gone) = mpsc::channel(1);
    drop(gone);
    let request = || {
        Request::Tokenize(TokenizationRequest {
            text: Either::Right("x".into()),
            tools: None,
            add_generation_prompt: false,
            add_special_tokens: false,
            enable_thinking: None,
            reasoning_effort: None,
            response: response.clone(),
        })
    };
    send(&engine.core.models[0], request).await.unwrap();
}

#[tokio::test]
async fn an_engine_that_dies_fails_its_answer_and_is_started_again() {
    let engine = engine().await;
    let mut answer = engine.chat(ask("Tell me a story.", json!({}))).await.unwrap();
    assert!(matches!(answer.next().await, Some(Ok(_))));
    kill(&engine).await;
    let end = loop {
        match answer.next().await {
            Some(Ok(_)) => {}
            other => break other,
        }
    };
    assert!(matches!(end, Some(Err(EngineError::Failed { .. }))), "{end:?}");
    assert!(answer.next().await.is_none());
    assert_eq!(say(&engine, "2+2").await, "Two plus two is four.");
    eventually("the place of the dead sequence is free", || engine.pool.free_places() == 1).await;
}

#[tokio::test]
async fn callers_that_leave_while_their_prompt_is_counted_harm_nobody() {
    let engine = engine().await;
    let story = say(&engine, "Tell me a story.").await;
    let mut answer = engine.chat(ask("Tell me a story.", json!({}))).await.unwrap();
    let Some(Ok(Event::Text { mut text, .. })) = answer.next().await else { panic!("no text") };
    for i in 0..40 {
        let call = engine.chat(ask("What is TON?", json!({})));
        // Long enough to be anywhere between checking the request and reading the count.
        let _ = tokio::time::timeout(Duration::from_micros(i * 50), call).await;
    }
    while let Some(event) = answer.next().await {
        if let Event::Text { text: more, .. } = event.unwrap() {
            text += &more;
        }
    }
    assert_eq!(text, story);
    // None of them keeps a place in the queue.
    let mut all = vec![];
    for _ in 0..1 + engine.info().queue {
        all.push(engine.chat(ask("Hi", json!({}))).await.unwrap());
    }
    assert!(matches!(engine.chat(ask("Hi", json!({}))).await, Err(EngineError::Overloaded { .. })));
}

#[tokio::test]
async fn a_sampler_that_fails_fails_one_sequence() {
    let engine = engine().await;
    let prompt =
        engine.core.tokenize(Plan::of(ask("Hi", json!({})), &engine.core.vocabulary).unwrap().messages, vec![]);
    let prompt = prompt.await.unwrap();
    // A maximum of nothing makes the sampler refuse the first token.
    let job =
        Job { prompt, max: 0, sampling: Sampling::greedy(), constraint: Constraint::None, meter: Meter::default() };
    let mut sequence = engine.core.begin(&engine.pool, job).await.unwrap();
    assert!(matches!(sequence.next().await, Some(Err(EngineError::Failed { .. }))));
    assert_eq!(say(&engine, "2+2").await, "Two plus two is four.");
}

#[tokio::test]
async fn a_context_that_is_full_ends_only_its_own_answer() {
    let engine = engine_with(MistralConfig { engines: 2, cpu: true, ..MistralConfig::default() }).await;
    let story = say(&engine, "Tell me a story.").await;
    let long = |times| "What is TON? ".repeat(times);
    let context = engine.info().context;

    let too_long = engine.chat(ask(&long(2000), json!({}))).await.unwrap_err();
    assert!(
        matches!(too_long, EngineError::TooLong { prompt, context: c } if prompt > c && c == context),
        "{too_long}"
    );

    // Fills the context to the last token: the form that is asked for has no end.
    let endless = json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": { "type": "string", "minLength": 9999 } } });
    let count = engine.chat(ask(&long(100), json!({}))).await.unwrap().accepted().prompt.0;
    let each = (count - engine.chat(ask("", json!({}))).await.unwrap().accepted().prompt.0) / 100;
    let times = (context.0 - 60) / each.max(1);
    let answer = engine.chat(ask(&long(times as usize), json!({ "response_format": endless }))).await.unwrap();
    let room = answer.accepted().max_completion;
    assert!(room.0 < 200 && room.0 > 0, "{room}");
    let (full, neighbour) = tokio::join!(read(answer), say(&engine, "Tell me a story."));
    let full = full.unwrap();
    assert_eq!((full.usage.completion, full.reasons[&0]), (room, FinishReason::Length));
    assert_eq!(full.usage.prompt.0 + full.usage.completion.0, context.0);
    assert_eq!(neighbour, story);
}

#[tokio::test]
async fn attack_83_odd_and_huge_texts_are_answered_or_refused() {
    let engine = engine().await;
    for text in
        ["", "\0", "a\0b", "\u{ffff}\u{10ffff}", "🎉🇫🇷", "שלום", "\r\n\t", "\u{2060}", "e\u{301}\u{301}", "<|im_", "|>"]
    {
        tell(&engine, ask(text, json!({ "max_tokens": 8 }))).await.unwrap();
    }
    for size in [20_000, 400_000, 8_000_000] {
        for unit in ["a", " ", "<|im_end|>", "né "] {
            let request =
                with_messages(json!([{ "role": "user", "content": unit.repeat(size / unit.len()) }]), json!({}));
            match engine.chat(request).await {
                Err(EngineError::TooLong { .. }) => {}
                // Spaces may be few tokens.
                Ok(_) => assert!(size < 100_000, "{size} of {unit:?}"),
                Err(other) => panic!("{size} of {unit:?}: {other}"),
            }
        }
    }
    assert_eq!(say(&engine, "2+2").await, "Two plus two is four.");
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// All that this process logs, at the highest level, the library's own lines included.
fn captured() -> &'static Captured {
    static LOG: OnceLock<Captured> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Captured::default();
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone());
        subscriber.finish().try_init_global();
        log
    })
}

trait TryInitGlobal {
    fn try_init_global(self);
}

impl<S: tracing::Subscriber + Send + Sync + 'static> TryInitGlobal for S {
    fn try_init_global(self) {
        tracing_subscriber::util::SubscriberInitExt::try_init(self).unwrap();
    }
}

#[tokio::test]
async fn attack_88_no_log_line_tells_a_prompt_or_an_answer() {
    let log = captured();
    let engine = engine().await;
    let secret = "xyzzyplugh";
    tell(&engine, ask(&format!("What is Toncoin? {secret}"), json!({ "max_tokens": 30 }))).await.unwrap();
    let answer = say(&engine, "What is the capital of Japan?").await;
    assert!(answer.contains("Tokyo"));
    // Failures are the likeliest to quote.
    let schema = json!({ "type": "json_schema", "json_schema": { "name": secret, "schema": { "type": secret } } });
    tell(&engine, ask(secret, json!({ "response_format": schema }))).await.unwrap_err();
    engine.chat(ask(&secret.repeat(2000), json!({}))).await.unwrap_err();
    let unknown_role_order = json!([{ "role": "tool", "content": secret, "tool_call_id": secret }]);
    let _ = tell(&engine, with_messages(unknown_role_order, json!({ "max_tokens": 3 }))).await;
    let mut cut = engine.chat(ask(secret, json!({}))).await.unwrap();
    cut.next().await;
    drop(cut);
    eventually("the cancelled sequence is gone", || engine.pool.free_places() == 1).await;

    std::io::stdout().flush().unwrap();
    let text = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(text.contains("engine ready") && text.contains("mistralrs"), "the log was captured");
    for line in text.lines() {
        assert!(!line.contains(secret) && !line.contains("capital of Japan is"), "{line}");
    }
}
