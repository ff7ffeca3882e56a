//! Attack 89: two tenants at once; and what one caller's behaviour does to the others.

use futures::future::join_all;

use super::*;

const QUESTIONS: [&str; 24] = [
    "Hi",
    "What is Toncoin?",
    "Tell me a story.",
    "Explain confidential computing",
    "What is attestation?",
    "What is a smart contract?",
    "Who are you?",
    "What is TON?",
    "What is Intel TDX?",
    "What is Cocoon?",
    "Who can read my prompt?",
    "What is a worker?",
    "What is a proxy?",
    "What is a voucher?",
    "What is a receipt?",
    "What does the DAO do?",
    "Write a poem.",
    "2+2",
    "What is the capital of Japan?",
    "What is the capital of Italy?",
    "Name three colors.",
    "Count from one to ten.",
    "What is a hash?",
    "How do I cook rice?",
];

fn weather(city: &str) -> ChatCompletionRequest {
    let parameters = json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
    let function =
        json!({ "name": "get_weather", "description": "Get the weather in a city", "parameters": parameters });
    let tools = json!([{ "type": "function", "function": function }]);
    ask(&format!("What is the weather in {city}?"), json!({ "tools": tools }))
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_89_many_tenants_at_once_get_exactly_what_each_gets_alone() {
    for engines in [1, 2] {
        let config = MistralConfig { engines, cpu: true, queue: 1000, ..MistralConfig::default() };
        let engine = Arc::new(engine_with(config).await);
        assert_eq!(engine.info().concurrency, engines);
        let requests = |i: usize| match QUESTIONS.get(i) {
            Some(question) => ask(question, json!({})),
            None => weather(["Paris", "Berlin", "Rome", "Tokyo"][i % 4]),
        };
        let kinds = QUESTIONS.len() + 4;
        let mut alone = vec![];
        for i in 0..kinds {
            alone.push(tell(&engine, requests(i)).await.unwrap());
        }
        let distinct: std::collections::BTreeSet<String> = alone.iter().map(|t| format!("{t:?}")).collect();
        assert!(distinct.len() >= kinds - 1, "answers differ, so a mix-up would show");

        let together = (0..4 * kinds).map(|i| {
            let (engine, request) = (engine.clone(), requests(i * 5 % kinds));
            tokio::spawn(async move {
                let mut answer = engine.chat(request).await.unwrap();
                if i % 3 == 1 {
                    // Leaves somewhere in the middle.
                    for _ in 0..i % 7 {
                        answer.next().await;
                    }
                    return None;
                }
                Some((i * 5 % kinds, read(answer).await.unwrap()))
            })
        });
        let mut compared = 0;
        for told in join_all(together).await {
            if let Some((i, told)) = told.unwrap() {
                assert_eq!(told, alone[i]);
                compared += 1;
            }
        }
        assert!(compared > 2 * kinds);
        eventually("all places are free", || engine.pool.free_places() == engines).await;
    }
}

/// Lets the library batch on CPU, which mixes answers. If this fails because concurrency stays at eight, the library
/// may have been mended; the rule of one sequence per engine on CPU can then be looked at again.
#[tokio::test(flavor = "multi_thread")]
async fn attack_89_the_self_check_finds_the_librarys_own_mix_up() {
    let config = MistralConfig { cpu: true, ..MistralConfig::default() };
    let engine = MistralEngine::load_with_batch(model(), &config, 8).await.unwrap();
    assert_eq!(engine.info().concurrency, 1);
    let configured = MistralConfig { cpu: true, batch: 8, ..MistralConfig::default() };
    assert_eq!(engine_with(configured).await.info().concurrency, 1);
}

#[tokio::test]
async fn attack_79_a_reader_that_leaves_ends_its_generation_and_frees_its_place() {
    let engine = engine().await;
    let full = tell(&engine, ask("Tell me a story.", json!({}))).await.unwrap().usage.completion;
    let mut answer = engine.chat(ask("Tell me a story.", json!({}))).await.unwrap();
    let meter = answer.meter();
    let mut seen = Tokens(0);
    for _ in 0..5 {
        if let Some(Ok(Event::Text { completion, .. })) = answer.next().await {
            seen = completion;
        }
    }
    assert_eq!(engine.pool.free_places(), 0);
    drop(answer);
    eventually("the place is free", || engine.pool.free_places() == 1).await;
    let sampled = meter.sampled();
    assert!(sampled >= seen && sampled.0 < full.0 / 2, "{sampled} of {full}, {seen} seen");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(meter.sampled(), sampled, "nothing runs on");
}

#[tokio::test]
async fn the_meter_is_exact() {
    let engine = engine().await;
    for more in [json!({}), json!({ "n": 3 }), json!({ "max_tokens": 4 })] {
        let answer = engine.chat(ask("What is TON?", more)).await.unwrap();
        let meter = answer.meter();
        assert_eq!(read(answer).await.unwrap().usage.completion, meter.sampled());
    }
    // With a grammar the engine may ask twice for a token.
    let schema = json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": { "type": "object", "maxProperties": 1 } } });
    let answer =
        engine.chat(ask("What is TON?", json!({ "response_format": schema, "max_tokens": 30 }))).await.unwrap();
    let meter = answer.meter();
    assert_eq!(read(answer).await.unwrap().usage.completion, meter.sampled());
}

#[tokio::test]
async fn attack_82_a_slow_reader_delays_nobody() {
    let engine = engine().await;
    let mut slow = vec![];
    for _ in 0..3 {
        let mut answer = engine.chat(ask("Tell me a story.", json!({ "n": 2 }))).await.unwrap();
        assert!(answer.next().await.unwrap().is_ok());
        slow.push(answer);
        // Nobody reads on, and yet the next is answered.
        let quick = tokio::time::timeout(Duration::from_secs(30), say(&engine, "2+2")).await;
        assert_eq!(quick.unwrap(), "Two plus two is four.");
    }
    // What was generated meanwhile is all there.
    let story = say(&engine, "Tell me a story.").await;
    let mut told = String::new();
    while let Some(event) = slow[0].next().await {
        if let Event::Text { choice: 1, text, .. } = event.unwrap() {
            told += &text;
        }
    }
    assert_eq!(told, story);
}

#[tokio::test]
async fn over_the_queue_requests_are_turned_away_and_the_others_served_in_order() {
    let engine = engine_with(MistralConfig { queue: 2, cpu: true, ..MistralConfig::default() }).await;
    let mut answers = vec![];
    for question in ["Tell me a story.", "2+2", "Name three colors."] {
        answers.push(engine.chat(ask(question, json!({}))).await.unwrap());
    }
    let error = engine.chat(ask("Hi", json!({}))).await.unwrap_err();
    let EngineError::Overloaded { retry_after } = &error else { panic!("{error}") };
    assert!(*retry_after >= Duration::from_millis(100));
    let fault = cocoon_protocol::Fault::from(error);
    assert!(fault.retry_after_ms.is_some_and(|ms| ms >= 100));
    let told = join_all(answers.into_iter().map(read)).await;
    assert_eq!(told[1].as_ref().unwrap().text(), "Two plus two is four.");
    assert_eq!(told[2].as_ref().unwrap().text(), "Red, green and blue.");
    assert_eq!(say(&engine, "Thank you").await, "You are welcome!");
}
