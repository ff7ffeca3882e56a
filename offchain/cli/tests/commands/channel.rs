//! Channels from the command line, from both ends.

use crate::world::{Person, TON, World, nano};

struct Channel {
    world: World,
    payer: Person,
    payee: Person,
    address: String,
    voucher_key: String,
    payee_key: String,
}

async fn open() -> Channel {
    let world = World::new().await;
    let (payer, payee) = (world.person("payer").await, world.person("payee").await);
    let (voucher_key, _) = world.key("voucher.key").await;
    let (payee_key, payee_public) = world.key("payee.key").await;
    let to = payee.address.to_string();
    let args = ["channel", "open", "--payee", &to, "--payee-key", &payee_public, "--voucher-key", &voucher_key];
    let made = world.pay(&payer, &[&args[..], &["--deposit", "10TON", "--challenge", "1h"]].concat()).await;
    let address = made["channel"].as_str().unwrap().to_owned();
    Channel { world, payer, payee, address, voucher_key, payee_key }
}

impl Channel {
    async fn show(&self) -> serde_json::Value {
        self.world.ok(&["channel", "show", &self.address]).await
    }

    async fn voucher(&self, amount: &str) -> String {
        let file = self.world.file(&format!("voucher-{amount}"));
        let args = ["channel", "sign-voucher", &self.address, amount, "--key", &self.voucher_key, "--out", &file];
        self.world.ok(&args).await;
        file
    }
}

#[tokio::test]
async fn a_channel_is_opened_claimed_closed_and_settled() {
    let c = open().await;
    let state = c.show().await;
    assert_eq!((nano(&state["deposit"]), &state["status"]), (10 * TON, &"open".into()));
    c.world.pay(&c.payer, &["channel", "top-up", &c.address, "5TON"]).await;
    assert_eq!(nano(&c.show().await["deposit"]), 15 * TON);

    let (small, large) = (c.voucher("2TON").await, c.voucher("3TON").await);
    c.world.pay(&c.payee, &["channel", "claim", &small]).await;
    let before = i128::from(c.world.balance(&c.payee.address).await);
    // Anybody may claim; the payee is paid.
    c.world.pay(&c.payer, &["channel", "claim", &large]).await;
    let paid = i128::from(c.world.balance(&c.payee.address).await) - before;
    // The registry asks for one percent, which burns.
    assert!((TON * 99 / 100 - TON / 1_000..=TON * 99 / 100).contains(&paid), "{paid}");
    let stale = c.world.fails(4, &["channel", "claim", &small, "--wallet", &c.payee.wallet, "--yes"]).await;
    assert!(stale.contains("claimed already"), "{stale}");

    let wrong = c.world.fails(4, &["channel", "close", &c.address, "--wallet", &c.payee.wallet, "--yes"]).await;
    assert!(wrong.contains("only the payer"), "{wrong}");
    c.world.pay(&c.payer, &["channel", "close", &c.address]).await;
    assert_eq!(c.show().await["status"], "closing");
    let early = c.world.fails(4, &["channel", "settle", &c.address, "--wallet", &c.payer.wallet, "--yes"]).await;
    assert!(early.contains("challenge period"), "{early}");
    c.world.pass_until(&c.show().await["close_at"]).await;
    let before = i128::from(c.world.balance(&c.payer.address).await);
    c.world.pay(&c.payer, &["channel", "settle", &c.address]).await;
    let back = i128::from(c.world.balance(&c.payer.address).await) - before;
    assert!((11 * TON..=12 * TON + TON / 10).contains(&back), "{back}");
    assert_eq!(c.show().await["status"], "empty");
}

#[tokio::test]
async fn a_channel_ends_at_once_when_both_agree() {
    let c = open().await;
    let consent = c.world.file("consent");
    let sign = ["channel", "sign-close", &c.address, "--key", &c.payee_key, "--out", &consent];
    c.world.ok(&sign).await;
    // A claim after it makes the consent stale (attack 13).
    let voucher = c.voucher("1TON").await;
    c.world.pay(&c.payee, &["channel", "claim", &voucher]).await;
    let args = ["channel", "coop-close", &consent, "--wallet", &c.payer.wallet, "--yes"];
    assert!(c.world.fails(4, &args).await.contains("claimed since"));
    c.world.ok(&sign).await;
    c.world.ok(&args).await;
    assert_eq!(c.show().await["status"], "empty");
}

#[tokio::test]
async fn both_find_their_channels_in_their_history() {
    let c = open().await;
    let (payer, payee) = (c.payer.address.to_string(), c.payee.address.to_string());
    let list = c.world.ok(&["channel", "list", &payer]).await;
    assert_eq!(
        (&list["channels"][0]["channel"], &list["channels"][0]["role"]),
        (&c.address.clone().into(), &"payer".into())
    );
    assert_eq!(nano(&list["unspent_as_payer"]), 10 * TON);
    assert_eq!(c.world.ok(&["channel", "list", &payee]).await["channels"].as_array().unwrap().len(), 0);
    let voucher = c.voucher("1TON").await;
    c.world.pay(&c.payer, &["channel", "claim", &voucher]).await;
    let list = c.world.ok(&["channel", "list", &payee]).await;
    assert_eq!(
        (&list["channels"][0]["channel"], &list["channels"][0]["role"]),
        (&c.address.clone().into(), &"payee".into())
    );
}

#[tokio::test]
async fn attack_25_something_else_is_not_taken_for_a_channel() {
    let c = open().await;
    let registry = c.world.registry.to_string();
    for (address, word) in
        [(registry.as_str(), "no channel of this network"), (&format!("0:{}", "ab".repeat(32)), "there is no channel")]
    {
        let said = c.world.fails(4, &["channel", "show", address]).await;
        assert!(said.contains(word), "{said}");
        let args = ["channel", "top-up", address, "1TON", "--wallet", &c.payer.wallet, "--yes"];
        assert!(c.world.fails(4, &args).await.contains(word));
    }
}

#[tokio::test]
async fn wrong_keys_terms_and_files_are_refused() {
    let c = open().await;
    let (other, other_public) = c.world.key("other.key").await;
    let out = c.world.file("out");
    let sign = ["channel", "sign-voucher", &c.address, "1TON", "--key", &other, "--out", &out];
    assert!(c.world.fails(2, &sign).await.contains("vouchers are signed by"));
    let sign = ["channel", "sign-close", &c.address, "--key", &other, "--out", &out];
    assert!(c.world.fails(2, &sign).await.contains("payee signs with"));
    std::fs::write(&out, r#"{"voucher":"AAAA","signature":"00"}"#).unwrap();
    assert!(
        c.world
            .fails(1, &["channel", "claim", &out, "--wallet", &c.payee.wallet, "--yes"])
            .await
            .contains("no voucher file")
    );
    let to = c.payee.address.to_string();
    let open = |challenge: &'static str, deposit: &'static str| {
        let args = ["channel", "open", "--payee", &to, "--payee-key", &other_public, "--voucher-key", &other];
        let rest = ["--challenge", challenge, "--deposit", deposit, "--wallet", &c.payer.wallet, "--yes"];
        [&args[..], &rest].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    for (challenge, deposit, word) in
        [("5s", "1TON", "challenge period"), ("90d", "1TON", "challenge period"), ("1h", "0TON", "deposit")]
    {
        let args = open(challenge, deposit);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        assert!(c.world.fails(4, &args).await.contains(word), "{challenge} {deposit}");
    }
}
