//! Coupons: `card-ext` for `wx.addCard`, `choose-card` for `wx.chooseCard`.

use serde_json::Value;
use wx_jssdk::sign::card_signature;

use crate::app::{APP, TestApp, spawn, spawn_app};

fn ticket(app: &TestApp) -> String {
    app.sandbox
        .ticket(APP, "wx_card")
        .expect("a card ticket was fetched")
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {value}"))
}

#[tokio::test]
async fn card_ext_is_one_entry_of_the_card_list_signed_with_the_card_ticket() {
    let app = spawn_app().await;
    let answer = app
        .get("/jssdk/card-ext?cardId=pjZ8Yt1XGILfi&code=1434008071&openid=oABC&outer_str=shelf%203")
        .await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let card = answer.ok();
    assert_eq!(card.as_object().unwrap().len(), 2);
    assert_eq!(text(&card, "cardId"), "pjZ8Yt1XGILfi");
    let ext: Value = serde_json::from_str(text(&card, "cardExt")).unwrap();
    assert_eq!(
        (
            text(&ext, "code"),
            text(&ext, "openid"),
            text(&ext, "outer_str")
        ),
        ("1434008071", "oABC", "shelf 3")
    );
    assert!(text(&ext, "nonce_str").len() <= 32);
    let ticket = ticket(&app);
    let values = [
        &ticket,
        text(&ext, "timestamp"),
        "pjZ8Yt1XGILfi",
        "1434008071",
        "oABC",
        text(&ext, "nonce_str"),
    ];
    assert_eq!(text(&ext, "signature"), card_signature(values).to_string());
    assert!(
        !card.to_string().contains(&ticket),
        "the ticket is not in the answer"
    );
}

#[tokio::test]
async fn time_and_nonce_are_new_for_each_card() {
    let app = spawn_app().await;
    let ext = async || {
        let card = app.get("/jssdk/card-ext?cardId=p1").await.ok();
        serde_json::from_str::<Value>(text(&card, "cardExt")).unwrap()
    };
    let (a, b) = (ext().await, ext().await);
    assert_ne!(a["nonce_str"], b["nonce_str"]);
    assert!(
        a.get("code").is_none() && a.get("openid").is_none(),
        "empty fields are omitted: {a}"
    );
}

#[tokio::test]
async fn choose_card_has_the_fields_of_wx_choose_card() {
    let app = spawn_app().await;
    let choice = app
        .get("/jssdk/choose-card?cardType=GROUPON&shopId=7")
        .await
        .ok();
    let names: Vec<_> = choice
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        names,
        [
            "cardId",
            "cardSign",
            "cardType",
            "nonceStr",
            "shopId",
            "signType",
            "timestamp"
        ]
    );
    let time = choice["timestamp"].as_u64().unwrap().to_string();
    let values = [
        &ticket(&app),
        APP,
        "7",
        &time,
        text(&choice, "nonceStr"),
        "GROUPON",
    ];
    assert_eq!(
        text(&choice, "cardSign"),
        card_signature(values).to_string()
    );
}

#[tokio::test]
async fn a_card_without_an_id_is_refused() {
    let app = spawn_app().await;
    app.get("/jssdk/card-ext?code=1")
        .await
        .assert_problem(400, "missing_card_id");
}

#[tokio::test]
async fn invalid_card_fields_are_refused() {
    let app = spawn_app().await;
    for query in [
        format!("cardId={}", "a".repeat(129)),
        "cardId=a%0Ab".to_owned(),
        "cardId=p1&fixed_begintimestamp=tomorrow".to_owned(),
        "cardId=p1&fixed_begintimestamp=-1".to_owned(),
    ] {
        app.get(&format!("/jssdk/card-ext?{query}"))
            .await
            .assert_problem(400, "bad_card");
    }
    app.get("/jssdk/card-ext?cardId=a&cardId=b")
        .await
        .assert_problem(400, "duplicate_parameter");
    assert_eq!(
        app.sandbox.ticket(APP, "wx_card"),
        None,
        "and no ticket was fetched for them"
    );
}

#[tokio::test]
async fn a_mini_program_has_no_coupons() {
    let app = spawn(
        "[accounts.shop]\nplatform = \"mini\"\napp_id = \"wx2222222222222222\"\nsecret = \"s\"\n",
        |_| (),
    )
    .await;
    for path in ["card-ext?cardId=p1", "choose-card"] {
        let problem = app
            .get(&format!("/jssdk/{path}"))
            .await
            .assert_problem(404, "unsupported_credential");
        assert!(
            text(&problem["hint"], "en").contains("official accounts"),
            "{problem}"
        );
    }
}
