//! Measures signing and reading for `make bench`. Prints the medians as JSON, in nanoseconds.
//!
//! All sides are measured in turn in short slices, so that other load on the machine affects them alike.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sha1::{Digest, Sha1};
use wx_jssdk::sign::nonce;
use wx_jssdk::{
    Account, Broker, Clock, Credential, Kind, PageUrl, Secret, Signer, Store, UnixTime,
    UpstreamOptions,
};

const TICKET: &str =
    "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg";
const PAGE: &str =
    "https://www.example.com/goods/detail?id=20260101&from=singlemessage&isappinstalled=0";
const NONCE: &str = "9a129eebc4a6ff4c73e9f2fc5031717a";
const TIME: UnixTime = UnixTime(1_767_225_600);
const MANY: usize = 10_000;

/// Number of slices per side, and approximate duration of one.
const SLICES: usize = 101;
const SLICE: Duration = Duration::from_millis(2);

/// A name, and a function that runs the operation a given number of times.
type Side<'a> = (&'static str, Box<dyn FnMut(usize) + 'a>);

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (one, many) = (runtime.block_on(broker(1)), runtime.block_on(broker(MANY)));
    let names: Vec<_> = (0..MANY).map(|n| format!("a{n}")).collect();
    let signer = Signer::new("wx0123456789abcdef", TICKET);
    let page = PageUrl::parse(PAGE).expect("a good address");
    let text = format!("jsapi_ticket={TICKET}&noncestr={NONCE}&timestamp={TIME}&url={PAGE}");
    let read = |broker: &Broker, name: &str| {
        unused(at_once(broker.credential(name, Kind::JsapiTicket)).expect("living"))
    };
    let sign = |broker: &Broker, name: &str| {
        unused(at_once(broker.js_config(name, &page)).expect("living"))
    };
    let mut sides: Vec<Side<'_>> = vec![
        (
            "bare_sha1",
            each(|_| unused(Sha1::digest(black_box(&text)))),
        ),
        (
            "signature",
            each(|_| unused(signer.signature(black_box(PAGE), black_box(NONCE), black_box(TIME)))),
        ),
        ("nonce", each(|_| unused(nonce()))),
        (
            "page_parsed",
            each(|_| unused(PageUrl::parse(black_box(PAGE)))),
        ),
        ("read_of_1", each(|_| read(&one, "a0"))),
        (
            "read_of_10000",
            each(|n| read(&many, &names[n * 7_919 % MANY])),
        ),
        ("page_signed_of_1", each(|_| sign(&one, "a0"))),
        (
            "page_signed_of_10000",
            each(|n| sign(&many, &names[n * 7_919 % MANY])),
        ),
        (
            "idle_keeper_step_of_10000",
            each(|_| assert!(runtime.block_on(many.tend()).is_empty(), "nothing is due")),
        ),
    ];
    let medians = measure(&mut sides);
    #[allow(clippy::print_stdout)] // prints the result
    {
        println!(
            "{}",
            serde_json::to_string_pretty(&medians).expect("numbers")
        );
    }
}

/// Prevents the compiler from removing the computation.
fn unused<T>(made: T) {
    let _ = black_box(made);
}

fn each<'a>(mut once: impl FnMut(usize) + 'a) -> Box<dyn FnMut(usize) + 'a> {
    let mut n = 0;
    Box::new(move |times| {
        for _ in 0..times {
            once(n);
            n += 1;
        }
    })
}

fn measure(sides: &mut [Side<'_>]) -> serde_json::Map<String, serde_json::Value> {
    let clock = Clock::system();
    let took = |side: &mut Side<'_>, times: usize| {
        let begun = clock.uptime();
        (side.1)(times);
        clock.uptime() - begun
    };
    let times: Vec<_> = sides
        .iter_mut()
        .map(|side| {
            let mut times = 1;
            while took(side, times) < SLICE && times < 1 << 20 {
                times *= 2;
            }
            times
        })
        .collect();
    let mut samples = vec![Vec::with_capacity(SLICES); sides.len()];
    for _ in 0..SLICES {
        for ((side, times), samples) in sides.iter_mut().zip(&times).zip(&mut samples) {
            samples.push(took(side, *times).as_nanos() as f64 / *times as f64);
        }
    }
    let median = |samples: &mut Vec<f64>| {
        samples.sort_by(f64::total_cmp);
        samples[SLICES / 2]
    };
    sides
        .iter()
        .zip(&mut samples)
        .map(|((name, _), samples)| ((*name).to_owned(), median(samples).round().into()))
        .collect()
}

/// Polls once, which completes a read of a current value.
fn at_once<T>(read: impl Future<Output = T>) -> T {
    match pin!(read).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("a read of a living value waits"),
    }
}

/// Returns a broker with this many accounts, all with current credentials.
async fn broker(accounts: usize) -> Broker {
    let (clock, store) = (Clock::system(), Store::memory());
    let upstream = UpstreamOptions::at("http://127.0.0.1:1");
    let mut builder = Broker::builder()
        .store(store.clone())
        .clock(clock.clone())
        .upstream(upstream);
    for n in 0..accounts {
        let account = Account::official(format!("wx{n:016x}"), "secret")
            .js_safe_domain("example.com")
            .expect("a good domain");
        for kind in [Kind::AccessToken, Kind::JsapiTicket] {
            let (issued_at, value) = (clock.now(), Secret::new(format!("{n:0>86}")));
            let expires_at = issued_at.plus(Duration::from_secs(7_200));
            let credential = Credential {
                value,
                issued_at,
                expires_at,
                generation: 1,
            };
            store
                .save(&account.key(kind), &credential)
                .await
                .expect("memory takes it");
        }
        builder = builder.account(format!("a{n}"), account);
    }
    let broker = builder.build().expect("good accounts");
    broker.tend().await;
    broker
}
