//! What signing and reading cost: `make bench`.
//!
//! A signature is compared with the bare SHA-1 of the same bytes, a read with itself among 1 and 10,000 accounts.

use divan::{Bencher, black_box};
use sha1::{Digest, Sha1};
use wx_jssdk::sandbox::{App, Sandbox};
use wx_jssdk::sign::nonce;
use wx_jssdk::{Account, Broker, Clock, Kind, PageUrl, Signer, UnixTime, UpstreamOptions};

fn main() {
    divan::main();
}

const TICKET: &str = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg";
const PAGE: &str = "https://www.example.com/goods/detail?id=20260101&from=singlemessage&isappinstalled=0";
const NONCE: &str = "9a129eebc4a6ff4c73e9f2fc5031717a";
const TIME: UnixTime = UnixTime(1_767_225_600);

#[divan::bench]
fn bare_sha1_of_the_same_bytes(bencher: Bencher<'_, '_>) {
    let text = format!("jsapi_ticket={TICKET}&noncestr={NONCE}&timestamp={TIME}&url={PAGE}");
    bencher.bench(|| Sha1::digest(black_box(&text)));
}

#[divan::bench]
fn signature(bencher: Bencher<'_, '_>) {
    let signer = Signer::new("wx0123456789abcdef", TICKET);
    bencher.bench(|| signer.signature(black_box(PAGE), black_box(NONCE), black_box(TIME)));
}

#[divan::bench]
fn fresh_nonce() -> String {
    nonce()
}

#[divan::bench]
fn page_address_parsed() -> PageUrl {
    PageUrl::parse(black_box(PAGE)).expect("a good address")
}

/// A broker with so many accounts, the first of which has living credentials.
fn broker(runtime: &tokio::runtime::Runtime, accounts: usize) -> Broker {
    runtime.block_on(async {
        let sandbox = Sandbox::start(Clock::system()).await.expect("a free port");
        let upstream = UpstreamOptions { weixin: sandbox.url().into(), qyapi: sandbox.url().into(), ..Default::default() };
        let mut builder = Broker::builder().upstream(upstream);
        for i in 0..accounts {
            let id = format!("wx{i:016x}");
            sandbox.add_app(App::official(&id, "secret").safe_domain("example.com"));
            let account = Account::official(id.as_str(), "secret").js_safe_domain("example.com").expect("a good domain");
            builder = builder.account(format!("a{i}"), account);
        }
        let broker = builder.build().expect("good accounts");
        broker.credential("a0", Kind::JsapiTicket).await.expect("the sandbox gives one");
        broker
    })
}

#[divan::bench(args = [1, 10_000])]
fn living_ticket_read(bencher: Bencher<'_, '_>, accounts: usize) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let broker = broker(&runtime, accounts);
    bencher.bench_local(|| runtime.block_on(broker.credential(black_box("a0"), Kind::JsapiTicket)));
}

#[divan::bench(args = [1, 10_000])]
fn page_signed_by_the_broker(bencher: Bencher<'_, '_>, accounts: usize) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let broker = broker(&runtime, accounts);
    let page = PageUrl::parse(PAGE).expect("a good address");
    bencher.bench_local(|| runtime.block_on(broker.js_config(black_box("a0"), &page)));
}
