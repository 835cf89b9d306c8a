#![allow(clippy::unwrap_used)] // helpers of tests are not in a #[test]

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn answer_of(account: &Account) -> PageAnswer {
    PageAnswer::new(account, &mut Templates::default())
}

/// Fills the template and compares the text with serde's.
fn agree(account: &Account, url: &str, time: u64) {
    let signer = Signer::new(account.app_id(), "a-ticket");
    let json = answer_of(account).fill(&signer, url, UnixTime(time));
    assert_eq!(json.capacity(), json.len());
    let text = String::from_utf8(json).unwrap();
    let read: Value = serde_json::from_str(&text).unwrap();
    let nonce = read["nonceStr"].as_str().unwrap();
    let config = default_config(account, &signer, url, nonce, UnixTime(time));
    assert_eq!(text, serde_json::to_string(&config).unwrap());
}

#[test]
fn the_json_equals_serdes_for_all_platforms_and_field_like_names() {
    let official = Account::official("wx12ab", "s").js_api_list(["chooseImage", "scanQRCode"]);
    let work = Account::work("ww12ab", 7, "s").open_tag_list(["wx-open-audio"]);
    let odd = Account::official(r#"","timestamp":0,"url":""#, "s")
        .js_api_list([r#""signature":""#, r#"\","url":""#]);
    let bound = Account::official("wx12ab", "s")
        .js_safe_domain("example.com/shop")
        .unwrap();
    for account in [official, work, odd, bound, Account::mini("wx12ab", "s")] {
        agree(&account, "https://example.com/p?a=1", 1_767_225_600);
    }
}

#[test]
fn a_template_allows_the_pages_of_its_account() {
    let domains = ["example.com", "shop.example.org/a", "localhost"];
    let pages = [
        ("example.com", "/"),
        ("www.example.com", "/p"),
        ("evilexample.com", "/"),
        ("shop.example.org", "/a/b"),
        ("shop.example.org", "/ab"),
        ("localhost", "/"),
        ("", ""),
    ];
    for account in [Account::official("wx1", "s"), Account::work("ww1", 7, "s")] {
        let bind = |account: Account, domain| account.js_safe_domain(domain).unwrap();
        let bound = domains.into_iter().fold(account.clone(), bind);
        for account in [account, bound] {
            for (host, path) in pages {
                assert_eq!(
                    answer_of(&account).allows(host, path),
                    account.allows_page(host, path),
                    "{host}{path}"
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn the_json_equals_serdes_for_every_printable_address(
        app in "\\PC{1,12}", apis in prop::collection::vec("\\PC{0,8}", 0..4), url in "https://[!-~]{0,80}",
        time in 0u64..4_000_000_000,
    ) {
        agree(&Account::official(app.as_str(), "s").js_api_list(&apis).open_tag_list(apis.iter().rev()), &url, time);
    }
}
