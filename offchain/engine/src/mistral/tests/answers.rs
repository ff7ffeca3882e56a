//! What is answered, and how a request's fields shape it.

use super::*;
use crate::logprobs_json;

/// What people are told to ask, and what they should read. A new model needs new lines here.
const SNAPSHOT: [(&str, &str); 14] = [
    (
        "What is Cocoon?",
        "Cocoon is a network for private AI. GPU owners serve models inside Intel TDX virtual machines and earn Toncoin, and nobody but the attested worker can read your prompt.",
    ),
    (
        "Who can read my prompt?",
        "Only the attested worker that answers you can read your prompt. The owner of the machine cannot look into its encrypted memory.",
    ),
    (
        "What is TON?",
        "TON, The Open Network, is a blockchain made of a masterchain and many workchains. It uses proof of stake and splits into shards when the load grows.",
    ),
    (
        "What is Toncoin?",
        "Toncoin is the native coin of The Open Network. It pays for fees, storage and computation, and in Cocoon it pays for answers.",
    ),
    (
        "What is a worker?",
        "A worker is a server that runs the model inside a trust domain. It proves its image, answers requests from proxies and is paid for every token.",
    ),
    (
        "What is a proxy?",
        "A proxy accepts requests from clients, chooses a worker that runs the wanted model, checks the vouchers and passes the answer on. It is paid a fee.",
    ),
    (
        "What is a client?",
        "A client sends prompts to a proxy over an attested connection, signs vouchers while the answer arrives, and checks the receipt at the end.",
    ),
    (
        "What does the watcher do?",
        "A watcher follows the chain for the other services. It claims and settles channels when that pays, and defends a closing channel with the latest voucher.",
    ),
    (
        "How does attestation work?",
        "Attestation lets you check what runs on a server. The processor signs a quote with the measurements of the image, and you compare them with the approved ones.",
    ),
    (
        "What is a payment channel?",
        "A payment channel is a contract with a deposit. The payer signs vouchers for growing amounts, and only the last one has to be shown to the chain.",
    ),
    (
        "What is a receipt?",
        "A receipt ends every answer. The attested worker signs the hashes of request and response, the model, the image, the tokens and the price, and anybody can check it.",
    ),
    (
        "What does the DAO do?",
        "The DAO decides by vote which virtual machine images and which models may run. Its members stake Toncoin, and a decision takes effect only after a delay.",
    ),
    ("2+2", "Two plus two is four."),
    (
        "How do I cook rice?",
        "I do not know that. I am a tiny model, so please ask me about Cocoon, TON or confidential computing.",
    ),
];

#[tokio::test]
async fn a_dozen_questions_are_answered_legibly() {
    let engine = engine().await;
    for (question, answer) in SNAPSHOT {
        assert_eq!(say(&engine, question).await, answer);
    }
    assert_eq!(engine.info().context, Tokens(2048));
    assert_eq!(engine.info().concurrency, 1);
}

#[tokio::test]
async fn an_answer_arrives_in_parts_and_nothing_runs_before_the_first_is_asked_for() {
    let engine = engine().await;
    let mut answer = engine.chat(ask("What is Cocoon?", json!({}))).await.unwrap();
    let meter = answer.meter();
    assert_eq!(engine.pool.free_places(), 1);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(meter.sampled(), Tokens(0));
    let Some(Ok(Event::Text { text, completion, .. })) = answer.next().await else { panic!("no text") };
    assert!(completion.0 <= 2 && SNAPSHOT[0].1.starts_with(&text), "{text:?} after {completion}");
    let rest = read_rest(answer).await;
    assert_eq!(text + &rest, SNAPSHOT[0].1);
}

async fn read_rest(mut answer: Answer) -> String {
    let mut rest = String::new();
    while let Some(event) = answer.next().await {
        if let Event::Text { text, .. } = event.unwrap() {
            rest += &text;
        }
    }
    rest
}

#[tokio::test]
async fn a_conversation_is_understood() {
    let engine = engine().await;
    let messages = json!([
        { "role": "developer", "content": "You are a helpful assistant." },
        { "role": "user", "content": "What is TON?" },
        { "role": "assistant", "content": SNAPSHOT[2].1 },
        { "role": "user", "content": [{ "type": "text", "text": "What is " }, { "type": "text", "text": "Toncoin?" }] },
    ]);
    assert_eq!(tell(&engine, with_messages(messages, json!({}))).await.unwrap().text(), SNAPSHOT[3].1);
}

#[tokio::test]
async fn limits_of_tokens_are_exact() {
    let engine = engine().await;
    let full = tell(&engine, ask("What is Toncoin?", json!({}))).await.unwrap();
    assert_eq!(full.reasons[&0], FinishReason::Stop);
    for max in [1, 2, 3, 7] {
        for field in ["max_tokens", "max_completion_tokens"] {
            let told = tell(&engine, ask("What is Toncoin?", json!({ field: max }))).await.unwrap();
            assert_eq!(told.usage.completion, Tokens(max));
            assert_eq!(told.reasons[&0], FinishReason::Length);
            assert!(full.text().starts_with(told.text()) && !told.text().is_empty());
        }
    }
    // Exactly as many as needed: the last is the token that ends the answer.
    let needed = full.usage.completion.0;
    let told = tell(&engine, ask("What is Toncoin?", json!({ "max_tokens": needed }))).await.unwrap();
    assert_eq!((told.reasons[&0], told.text()), (FinishReason::Stop, full.text()));
    let answer = engine.chat(ask("What is Toncoin?", json!({ "max_tokens": 1_000_000_000_000u64 }))).await.unwrap();
    assert_eq!(answer.accepted().max_completion.0 + answer.accepted().prompt.0, 2048);
}

#[tokio::test]
async fn stop_strings_end_the_answer_and_are_not_part_of_it() {
    let engine = engine().await;
    for (stop, expected) in [
        (json!("Open"), "Toncoin is the native coin of The "),
        (json!("coin of The Open Net"), "Toncoin is the native "),
        (json!(["zzz", ". It", "fees"]), "Toncoin is the native coin of The Open Network"),
        (json!("T"), ""),
    ] {
        let told = tell(&engine, ask("What is Toncoin?", json!({ "stop": stop }))).await.unwrap();
        assert_eq!(told.text(), expected);
        assert_eq!(told.reasons[&0], FinishReason::Stop);
    }
    let told = tell(&engine, ask("What is Toncoin?", json!({ "stop": "not there" }))).await.unwrap();
    assert_eq!(told.text(), SNAPSHOT[3].1);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_text() {
    let engine = engine().await;
    let wild =
        |seed: i64| ask("What is Toncoin?", json!({ "temperature": 2.0, "seed": seed, "max_tokens": 40, "n": 2 }));
    let first = tell(&engine, wild(7)).await.unwrap();
    assert_ne!(first.texts[&0], first.texts[&1]);
    assert_eq!(tell(&engine, wild(7)).await.unwrap(), first);
    assert_ne!(tell(&engine, wild(8)).await.unwrap().texts, first.texts);
    assert_ne!(tell(&engine, wild(-1)).await.unwrap().texts, first.texts);
    let unseeded = || ask("What is Toncoin?", json!({ "temperature": 2.0, "max_tokens": 40 }));
    assert_ne!(tell(&engine, unseeded()).await.unwrap().text(), tell(&engine, unseeded()).await.unwrap().text());
}

#[tokio::test]
async fn several_choices_count_all_their_tokens() {
    let engine = engine().await;
    let one = tell(&engine, ask("What is Toncoin?", json!({}))).await.unwrap();
    let request = ask("What is Toncoin?", json!({ "n": 3, "max_tokens": 60 }));
    let answer = engine.chat(request).await.unwrap();
    assert_eq!(answer.accepted().max_completion, Tokens(180));
    let three = read(answer).await.unwrap();
    assert_eq!(three.texts.values().collect::<Vec<_>>(), [SNAPSHOT[3].1; 3]);
    assert_eq!(three.usage.prompt, one.usage.prompt);
    assert_eq!(three.usage.completion.0, 3 * one.usage.completion.0);
    assert_eq!(three.reasons.len(), 3);
}

#[tokio::test]
async fn log_probabilities_belong_to_the_tokens() {
    let engine = engine().await;
    let more = json!({ "logprobs": true, "top_logprobs": 3, "max_tokens": 5 });
    let told = tell(&engine, ask("What is Toncoin?", more)).await.unwrap();
    assert_eq!(told.logprobs.len(), 5);
    let text: String = told.logprobs.iter().map(|l| l.token.text.as_str()).collect();
    assert_eq!(text, told.text());
    for entry in &told.logprobs {
        assert_eq!(entry.top.len(), 3);
        assert_eq!(entry.top[0], entry.token, "temperature 0 takes the likeliest");
        assert!(entry.token.logprob <= 0.0 && entry.token.logprob > -0.5, "a learned answer is likely: {entry:?}");
        assert!(entry.top[1].logprob < -1.0);
    }
    let json = logprobs_json(&told.logprobs).unwrap();
    assert_eq!(json["content"][0]["top_logprobs"].as_array().unwrap().len(), 3);
    assert_eq!(json["content"][0]["bytes"], json!(told.logprobs[0].token.text.as_bytes()));
    assert!(tell(&engine, ask("Hi", json!({}))).await.unwrap().logprobs.is_empty());
}

#[tokio::test]
async fn values_that_cannot_be_served_name_their_field() {
    let engine = engine().await;
    let tool = |name: &str, parameters: Value| json!([{ "type": "function", "function": { "name": name, "parameters": parameters } }]);
    for (param, more) in [
        ("temperature", json!({ "temperature": -0.1 })),
        ("temperature", json!({ "temperature": 2.1 })),
        ("top_p", json!({ "top_p": 0 })),
        ("top_p", json!({ "top_p": 1.1 })),
        ("top_k", json!({ "top_k": 0 })),
        ("presence_penalty", json!({ "presence_penalty": 2.5 })),
        ("frequency_penalty", json!({ "frequency_penalty": -3 })),
        ("max_tokens", json!({ "max_tokens": 0 })),
        ("max_completion_tokens", json!({ "max_completion_tokens": 0 })),
        ("top_logprobs", json!({ "logprobs": true, "top_logprobs": 21 })),
        ("top_logprobs", json!({ "top_logprobs": 2 })),
        ("stop", json!({ "stop": "" })),
        ("stop", json!({ "stop": ["a", "x".repeat(300)] })),
        ("tools[0].function.name", json!({ "tools": tool("a b", json!({})) })),
        ("tools[0].function.parameters", json!({ "tools": tool("f", json!([])) })),
        ("tool_choice", json!({ "tool_choice": "required" })),
        ("tool_choice", json!({ "tool_choice": "whatever" })),
        ("tool_choice", json!({ "tools": tool("f", json!({})), "tool_choice": { "function": { "name": "g" } } })),
        (
            "response_format.json_schema.schema",
            json!({ "response_format": { "type": "json_schema", "json_schema": { "schema": 7 } } }),
        ),
    ] {
        match engine.chat(ask("secret words", more.clone())).await {
            Err(EngineError::BadRequest { param: named, why }) => {
                assert_eq!(named, param, "{more}: {why}");
                assert!(!why.contains("secret"));
            }
            other => panic!("{more}: {other:?}"),
        }
    }
    // JSON has no NaN and no infinity, but another caller than the parser may hand them over.
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut request = ask("Hi", json!({}));
        request.temperature = Some(value);
        assert!(matches!(engine.chat(request.clone()).await, Err(EngineError::BadRequest { .. })));
        request.temperature = None;
        request.top_p = Some(value);
        assert!(matches!(engine.chat(request).await, Err(EngineError::BadRequest { .. })));
    }
    let mut request = ask("Hi", json!({}));
    request.n = Some(u32::MAX);
    assert!(matches!(engine.chat(request).await, Err(EngineError::BadRequest { .. })));
    assert_eq!(engine.pool.free_places(), 1);
}

#[tokio::test]
async fn answers_can_be_made_to_fit_a_form() {
    let engine = engine().await;
    let schema = json!({
        "type": "object",
        "properties": { "name": { "type": "string", "maxLength": 8 }, "age": { "type": "integer", "minimum": 0, "maximum": 99 } },
        "required": ["name", "age"],
        "additionalProperties": false,
    });
    let format = json!({ "type": "json_schema", "json_schema": { "name": "person", "schema": schema } });
    let told =
        tell(&engine, ask("What is Toncoin?", json!({ "response_format": format, "max_tokens": 80 }))).await.unwrap();
    let person: Value = serde_json::from_str(told.text()).unwrap();
    assert!(person["age"].as_u64().unwrap() < 100 && person["name"].is_string());
    assert_eq!(told.reasons[&0], FinishReason::Stop);

    let bad = json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": { "type": "banana" } } });
    let error = tell(&engine, ask("Hi", json!({ "response_format": bad }))).await.unwrap_err();
    assert!(matches!(&error, EngineError::BadRequest { param, .. } if param.starts_with("response_format")), "{error}");
    assert_eq!(say(&engine, "2+2").await, "Two plus two is four.");
}

fn weather() -> Value {
    json!([{ "type": "function", "function": {
        "name": "get_weather",
        "description": "Get the weather in a city",
        "parameters": { "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] },
    } }])
}

#[tokio::test]
async fn functions_are_called_and_their_results_understood() {
    let engine = engine().await;
    let called = vec![("get_weather".to_owned(), "{\"city\":\"Paris\"}".to_owned())];
    let question = "What is the weather in Paris?";
    let told = tell(&engine, ask(question, json!({ "tools": weather() }))).await.unwrap();
    assert_eq!((told.text(), &told.calls, told.reasons[&0]), ("", &called, FinishReason::ToolCalls));

    let call = json!([{ "id": "call_1", "type": "function", "function": { "name": "get_weather", "arguments": "{\"city\": \"Paris\"}" } }]);
    let messages = json!([
        { "role": "user", "content": question },
        { "role": "assistant", "content": null, "tool_calls": call },
        { "role": "tool", "tool_call_id": "call_1", "content": "sunny" },
    ]);
    let told = tell(&engine, with_messages(messages, json!({ "tools": weather() }))).await.unwrap();
    assert_eq!((told.text(), told.reasons[&0]), ("The weather in Paris is sunny.", FinishReason::Stop));

    // `none` hides the functions, `required` and a name force a call even where the model would rather talk.
    let told = tell(&engine, ask(question, json!({ "tools": weather(), "tool_choice": "none" }))).await.unwrap();
    assert!(told.calls.is_empty());
    for choice in [json!("required"), json!({ "type": "function", "function": { "name": "get_weather" } })] {
        let more = json!({ "tools": weather(), "tool_choice": choice, "max_tokens": 60 });
        let told = tell(&engine, ask("What is Toncoin?", more)).await.unwrap();
        assert_eq!(told.calls.len(), 1, "{told:?}");
        let arguments: Value = serde_json::from_str(&told.calls[0].1).unwrap();
        assert!(arguments["city"].is_string());
    }
}

#[tokio::test]
async fn the_prompt_of_a_function_does_not_depend_on_chance() {
    let engine = engine().await;
    let mut tools = weather();
    let parameters = tools[0]["function"]["parameters"].as_object_mut().unwrap();
    parameters.insert("additionalProperties".into(), json!(false));
    parameters.insert("description".into(), json!("where"));
    let vocabulary = &engine.core.vocabulary;
    let mut prompts = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let plan = Plan::of(ask("Hi", json!({ "tools": tools })), vocabulary).unwrap();
        prompts.insert(engine.core.tokenize(plan.messages, plan.tools).await.unwrap());
    }
    assert_eq!(prompts.len(), 1);
}

#[test]
fn the_shipped_model_is_the_one_that_its_readme_names() {
    let readme = std::fs::read_to_string(model_dir().join("../README.md")).unwrap();
    let root = Manifest::of(&model_dir()).unwrap().root();
    assert!(readme.contains(&format!("`{root}`")), "models/README.md does not name {root}");
}
