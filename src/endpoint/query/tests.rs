use super::*;

fn code(raw: &str) -> &'static str {
    ConfigQuery::parse(raw).unwrap_err().code.as_str()
}

#[test]
fn the_address_is_decoded_once() {
    let query =
        ConfigQuery::parse("url=https%3A%2F%2Fh.cn%2Fp%3Fa%3D%25E4%25B8%25AD%26b%3D1%252B1%23x")
            .unwrap();
    assert_eq!(query.url.as_str(), "https://h.cn/p?a=%E4%B8%AD&b=1%2B1");
}

#[test]
fn an_unencoded_address_is_distinguished_from_an_encoded_one() {
    assert_eq!(code("url=https://h.cn/p?a=1&b=2"), "url_not_encoded");
    assert_eq!(code("url=https://h.cn/p?a=1+2"), "url_not_encoded");
    assert_eq!(
        code("account=main&url=https://h.cn/&from=singlemessage"),
        "url_not_encoded"
    );
    assert!(
        ConfigQuery::parse("url=https://h.cn/p?a=1").is_ok(),
        "nothing was lost"
    );
    assert!(
        ConfigQuery::parse("url=https%3A%2F%2Fh.cn%2F&_=1700000000").is_ok(),
        "a cache buster is not part of the address"
    );
    assert_eq!(
        code("url=https%3A%2F%2Fh.cn%2F%3Fto%3Dhttps://x&b=2"),
        "url_not_encoded",
        "encodeURI is not enough"
    );
}

#[test]
fn lists_are_split_trimmed_and_deduplicated() {
    let query =
        ConfigQuery::parse("url=http%3A%2F%2Fh&jsApiList=scanQRCode,%20chooseImage,,scanQRCode&openTagList=wx-open-audio")
            .unwrap();
    assert_eq!(
        query.options.js_api_list.unwrap(),
        ["scanQRCode", "chooseImage"]
    );
    assert_eq!(query.options.open_tag_list.unwrap(), ["wx-open-audio"]);
    let query = ConfigQuery::parse("url=http%3A%2F%2Fh&jsApiList=").unwrap();
    assert_eq!(query.options.js_api_list.unwrap(), Vec::<String>::new());
    assert!(query.options.open_tag_list.is_none());
}

#[test]
fn a_misspelt_parameter_is_ignored_with_a_warning() {
    for raw in [
        "jsapilist=a",
        "js_api_list=a",
        "JsApiList[]=a",
        "openTaglist=a",
        "Debug=1",
    ] {
        let raw = format!("url=https://h.cn/&{raw}");
        let options = ConfigQuery::parse(&raw).unwrap().options;
        assert_eq!(options.warning.unwrap().code, "parameter_ignored", "{raw}");
        assert_eq!(options.js_api_list, None);
    }
    let raw = "url=http%3A%2F%2Fh&_=1&from=x";
    assert_eq!(ConfigQuery::parse(raw).unwrap().options.warning, None);
}

#[test]
fn form_encoding_is_decoded_as_browsers_do() {
    for text in [
        "",
        "a",
        "%41%5a",
        "a+b%2B",
        "%",
        "%4",
        "%4G%4",
        "%E4%B8%AD",
        "%FF%",
        "%%41",
    ] {
        let whole = url::form_urlencoded::parse(text.as_bytes()).next();
        assert_eq!(decode(text), whole.unwrap_or_default().0, "{text}");
    }
}

#[test]
fn more_than_200_names_are_refused_even_if_they_repeat() {
    let parse = |query: String| {
        let query = format!("url=http%3A%2F%2Fh&{query}");
        let parsed = ConfigQuery::parse(&query);
        parsed.map(drop).map_err(|problem| problem.code.as_str())
    };
    for name in ["a,", ","] {
        assert_eq!(parse(format!("jsApiList={}", name.repeat(199))), Ok(()));
        assert_eq!(
            parse(format!("jsApiList={}", name.repeat(200))),
            Err("bad_list")
        );
    }
    assert_eq!(parse("openTagList=a&".repeat(201)), Err("bad_list"));
}

#[test]
fn a_query_of_too_many_parameters_is_refused_and_only_the_first_are_read() {
    let with = |more: usize| format!("url=http%3A%2F%2Fh{}&account=a", "&".repeat(more));
    let (most, more) = (with(MAX_PARAMETERS - 2), with(MAX_PARAMETERS - 1));
    assert!(ConfigQuery::parse(&most).is_ok() && CardQuery::parse(&most).is_ok());
    assert_eq!(account_of(&most), "a");
    assert_eq!(code(&more), "bad_query");
    let refused = CardQuery::parse(&more).unwrap_err();
    assert_eq!(refused.code.as_str(), "bad_query");
    assert_eq!(account_of(&more), "");
    let encoded = "%26".repeat(MAX_PARAMETERS);
    let page = format!("url=http%3A%2F%2Fh%2F%3Fa{encoded}");
    assert!(ConfigQuery::parse(&page).is_ok(), "one parameter");
}

#[test]
fn no_answer_grows_with_the_names_of_the_parameters() {
    let long = "%00".repeat(20_000);
    let query = format!("url=http%3A%2F%2Fh&url[{long}");
    let warning = ConfigQuery::parse(&query).unwrap().options.warning.unwrap();
    assert!(warning.en.len() < 200 && warning.zh.len() < 200);
    let query = format!("url=http%3A%2F%2Fh&jsApiList[{long}]=*");
    let refused = ConfigQuery::parse(&query);
    assert!(refused.unwrap_err().detail.len() < 200);
}
