//! `check`: validates the configuration, opens what it names (a store only if servers share it), and calls WeChat for
//! each account: a token, and a ticket if the account signs pages.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Ended, Unusable, accounts, say, socket_addr, with_accounts};
use crate::account::{Account, Platform, TokenMode};
use crate::clock::Clock;
use crate::credential::Kind;
use crate::error::{Text, UpstreamError};
use crate::server::check_start;
use crate::server::config::{PlatformSettings, Problem, Settings, StoreSettings};
use crate::store::Store;
use crate::upstream::{Route, Upstream, VerifyFileProbe, endpoint};

#[derive(Debug, Args)]
#[command(
    after_help = "Example · 示例:\n  wx-jssdk check\n  wx-jssdk check --config /etc/wx-jssdk.toml --offline"
)]
pub(super) struct Check {
    /// The configuration; wx-jssdk.toml in the working directory if it is there · 配置文件
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Do not call WeChat · 不访问微信
    #[arg(long)]
    offline: bool,
    /// Connect to this address for a domain's verify file, instead of DNS; repeatable · 检查域名校验文件时直接连接此地址，不经 DNS，可多次
    #[arg(long, value_name = "HOST=IP:PORT", value_parser = host_and_address)]
    resolve: Vec<(String, SocketAddr)>,
}

impl Check {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        let settings = with_accounts(self.config.as_deref())?;
        let expiring = check_start(&settings)?;
        let count = settings.accounts.len() + settings.platforms.len();
        say(&format!(
            "configuration: ok, {} · 配置正确，共 {count} 个账号",
            accounts(count as u64)
        ));
        for warning in settings.warnings().into_iter().chain(expiring) {
            let Problem { path, what } = warning;
            say(&format!("warning: {path}: {what}"));
        }
        say_without_default(&settings.signing_without_default());
        if self.offline {
            return Ok(Ended::Success);
        }
        let upstream = Upstream::new(&settings.upstream)?;
        let shared = shared_store(&settings.store);
        let mut routes = Routes::of(&upstream, &settings);
        routes.say();
        let mut is_good = true;
        for (name, account) in &settings.accounts {
            let call = || probe(&upstream, account);
            if !is_accepted(&upstream, name, account, &mut routes, call).await {
                is_good = false;
                continue;
            }
            let is_tokens_only =
                account.safe_domains().is_empty() && account.has(Kind::JsapiTicket);
            let (en, zh) = match is_tokens_only {
                true => (
                    "; tokens only, since js_safe_domains is empty",
                    "；js_safe_domains 为空，仅提供 token，不为页面签名",
                ),
                false => ("", ""),
            };
            say(&format!(
                "{name}: ok, WeChat accepts {}{en} · 微信验证通过{zh}",
                account.app_id()
            ));
            if let Some(store) = &shared {
                lift_blocks(store, name, account).await;
            }
        }
        for platform in &settings.platforms {
            if !check_platform(&upstream, platform, &mut routes).await {
                is_good = false;
            }
        }
        routes.say_addresses();
        for host in upstream.unreachable_hosts() {
            say(&format!(
                "egress: {host} cannot be reached, another host was called instead · 出口：无法访问 {host}，已改用其他域名"
            ));
        }
        Ok(Ended::of(
            self.check_verify_files(&settings).await? && is_good,
        ))
    }

    /// Returns whether every verify file is served under every domain of its account, as WeChat requests it.
    async fn check_verify_files(&self, settings: &Settings) -> Result<bool, Unusable> {
        let reader = VerifyFileProbe::new(settings.upstream.timeout, &self.resolve)?;
        let mut all = true;
        for (name, account) in &settings.accounts {
            for file in account.verify_files() {
                for domain in account.safe_domains() {
                    let domain = domain.to_string();
                    match reader.find(&domain, file).await {
                        Ok(address) => say(&format!(
                            "{name}: ok, the domain verification file is at {address} · 域名校验文件可访问"
                        )),
                        Err(failure) => {
                            let file = file.name();
                            let what = format!(
                                "{name}: the domain verification file is not at {domain}/{file}"
                            );
                            say_failed(&what, &failure.cause(), &failure.fix());
                            all = false;
                        }
                    }
                }
            }
        }
        Ok(all)
    }
}

/// The egress routes of the calls, each with the names of its accounts and platforms and the addresses that WeChat
/// refused.
struct Routes<'a>(BTreeMap<Route, (Vec<&'a str>, Vec<IpAddr>)>);

impl<'a> Routes<'a> {
    fn of(upstream: &Upstream, settings: &'a Settings) -> Self {
        let accounts = settings.accounts.iter();
        let accounts = accounts.map(|(name, account)| (name.as_str(), account));
        let platforms = settings.platforms.iter();
        let platforms = platforms.map(|platform| (platform.name.as_str(), &platform.account));
        let mut routes = BTreeMap::<_, (Vec<_>, _)>::new();
        for (name, account) in accounts.chain(platforms) {
            let (names, _) = routes.entry(upstream.route(account)).or_default();
            names.push(name);
        }
        Self(routes)
    }

    fn say(&self) {
        for (route, (names, _)) in &self.0 {
            let (via, host) = (route.via.text(), &route.base);
            let of = match self.0.len() {
                1 => String::new(),
                _ => format!(" ({})", first_names(names)),
            };
            say(&format!(
                "egress: {} to {host}{of} · 出口：{}",
                via.en, via.zh
            ));
        }
    }

    fn note(&mut self, upstream: &Upstream, account: &Account, error: &UpstreamError) {
        // A host may have been left out since the start: then the route has another host.
        let via = upstream.route(account).via;
        let route = self.0.iter_mut().find(|(route, _)| route.via == via);
        let Some((_, (_, addresses))) = route else {
            return;
        };
        for address in error.ips_to_allow() {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }

    fn say_addresses(&self) {
        for (route, (_, addresses)) in &self.0 {
            if addresses.is_empty() {
                continue;
            }
            let (via, list) = (route.via.text(), addresses.iter().map(ToString::to_string));
            let list: Vec<_> = list.collect();
            let (en, zh) = (list.join(", "), list.join("、"));
            say(&format!(
                "egress: WeChat refuses {en} ({}) · 出口：微信拒绝了 {zh}（{}）",
                via.en, via.zh
            ));
        }
    }
}

/// Asks WeChat to push, which it answers without a ticket and repeats without harm. Returns whether it accepts the
/// platform.
async fn check_platform(
    upstream: &Upstream,
    platform: &PlatformSettings,
    routes: &mut Routes<'_>,
) -> bool {
    let PlatformSettings {
        name,
        account,
        callback_path: path,
        messages_path,
        ..
    } = platform;
    let call = || upstream.start_push(account);
    let is_good = is_accepted(upstream, name, account, routes, call).await;
    if is_good {
        let id = account.app_id();
        say(&format!(
            "{name}: ok, WeChat accepts {id} and pushes its events; the authorisation-event URL must be https://HOST{path}, the message URL https://HOST{messages_path} · 微信验证通过，“授权事件接收URL”应为 https://域名{path}，“消息与事件接收URL”应为 https://域名{messages_path}"
        ));
    }
    is_good
}

/// Prints a note, not a problem: pages can name their account.
fn say_without_default(names: &[&str]) {
    if names.is_empty() {
        return;
    }
    let some = first_names(names);
    say(&format!(
        "note: several accounts sign pages ({some}) and there is no default account: requests without an account are refused (400 account_required); to allow them, write server.default_account = \"NAME\". A running service that still answers them refuses this configuration at a reload\n    注意：有多个可签名的账号（{some}）且没有默认账号，未指定账号的请求会被拒绝（400 account_required）；如果页面不指定账号，请写 server.default_account = \"账号名\"。若运行中的服务目前仍接受这类请求，重新加载时会拒绝此配置"
    ));
}

fn first_names(names: &[&str]) -> String {
    let mut some = names[..names.len().min(3)].join(", ");
    if names.len() > 3 {
        some.push_str(", …");
    }
    some
}

fn host_and_address(text: &str) -> Result<(String, SocketAddr), String> {
    let (host, address) = text
        .split_once('=')
        .ok_or("must be HOST=IP:PORT, such as example.com=10.0.0.5:443\n    应为 主机=IP:端口，例如 example.com=10.0.0.5:443")?;
    Ok((host.to_owned(), socket_addr::like(address, "10.0.0.5:443")?))
}

/// Requests a token, and the ticket if the account signs pages. Uses `stable_token` where the platform has
/// it: that leaves the classic token of a running server valid, while `/cgi-bin/token` would invalidate it.
async fn probe(upstream: &Upstream, account: &Account) -> Result<(), UpstreamError> {
    let harmless = account.clone().token_mode(TokenMode::Stable);
    let token = upstream.token(&harmless, false).await?;
    if account.signs_pages() {
        upstream
            .ticket(account, Kind::JsapiTicket, &token.value)
            .await?;
    }
    Ok(())
}

/// Calls, and twice more if WeChat refused this machine's IP: each connection may use another egress IP. Notes the
/// addresses that WeChat refused. No other failure is tried again, since WeCom blocks an IP that repeats a wrong secret.
/// Returns whether WeChat accepted a call; prints why not.
async fn is_accepted(
    upstream: &Upstream,
    name: &str,
    account: &Account,
    routes: &mut Routes<'_>,
    call: impl AsyncFn() -> Result<(), UpstreamError>,
) -> bool {
    let Err(mut error) = call().await else {
        return true;
    };
    routes.note(upstream, account, &error);
    for _ in 0..2 {
        let seen = error.ips_to_allow();
        if seen.is_empty() {
            break;
        }
        match call().await {
            Ok(()) => return true,
            Err(next) if next.ips_to_allow().is_empty() => break,
            Err(next) => {
                error = UpstreamError {
                    also_seen: seen,
                    ..next
                };
                routes.note(upstream, account, &error);
            }
        }
    }
    let what = format!("{name}: {error}");
    say_failed(&what, &error.cause(), &error.fix_for_check());
    false
}

/// Opens the store if servers share it. An SQLite file that does not exist has no blocks, and would belong to the user
/// of this command, often root.
fn shared_store(settings: &StoreSettings) -> Option<Store> {
    let file = settings.kind.sqlite_file();
    let is_absent = file.is_some_and(|file| !Path::new(&file).exists());
    if is_absent || !settings.kind.is_shared() {
        return None;
    }
    settings.open().ok() // a problem was reported before
}

/// Clears the blocks of the endpoints that have just answered, in a store that servers share. Other stores
/// belong to the running server: its status page has "refresh now", and it retries once an hour.
async fn lift_blocks(store: &Store, name: &str, account: &Account) {
    let (app, now) = (account.app_key(), Clock::system().now());
    let tried = match account.signs_pages() {
        true => &[Kind::AccessToken, Kind::JsapiTicket][..],
        false => &[Kind::AccessToken],
    };
    // The probe of a classic account used another endpoint than its server does.
    let is_other = |kind| {
        kind == Kind::AccessToken && account.mode() == TokenMode::Classic && !is_work(account)
    };
    for kind in tried.iter().filter(|kind| !is_other(**kind)) {
        let (_, called) = endpoint(account, *kind);
        let blocked = store.blocked_until(&app, called, now).await;
        if let Ok(Some(_)) = blocked
            && store.set_block(&app, called, now, now).await.is_ok()
        {
            say(&format!(
                "{name}: the quota of {called} is available again, and the nodes call it again · 额度已恢复，各节点将重新调用 {called}"
            ));
        }
    }
}

fn is_work(account: &Account) -> bool {
    matches!(account.platform(), Platform::Work { .. })
}

/// Prints what failed, with cause and fix.
fn say_failed(what: &str, cause: &Text, fix: &Text) {
    say(&format!(
        "{what}\n    cause: {}\n    fix:   {}\n    原因：{}\n    解决：{}",
        cause.en, fix.en, cause.zh, fix.zh
    ));
}
