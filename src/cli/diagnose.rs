//! `diagnose`: explains offline why a signature is refused.

use clap::Args;

use super::{Ended, Unusable, from_stdin, say};
use crate::diagnose::{Answer, Case, Finding, Paste, Role, Target, diagnose};

#[derive(Debug, Args)]
#[command(after_help = "Example · 示例:
  wx-jssdk diagnose --url https://h.cn/p --json answer.json --ticket - < ticket.txt
  wx-jssdk diagnose --url U --nonce N --timestamp S --signature X --ticket @ticket.txt --access-token @token.txt
  wx-jssdk diagnose --paste - --url https://h.cn/p --ticket @ticket.txt < whatever.txt
  wx-jssdk diagnose --error 'config:invalid url domain'")]
pub(super) struct Diagnose {
    /// The page's location.href · 页面地址
    #[arg(long, default_value = "", hide_default_value = true)]
    url: String,
    /// The nonceStr that the page got · 页面收到的随机串
    #[arg(long, default_value = "", hide_default_value = true)]
    nonce: String,
    /// The timestamp that the page got · 页面收到的时间戳
    #[arg(long, default_value = "", hide_default_value = true)]
    timestamp: String,
    /// The signature that the page got · 页面收到的签名
    #[arg(long, default_value = "", hide_default_value = true)]
    signature: String,
    /// The jsapi_ticket (for wx.agentConfig give --agent-ticket): text, @FILE, or - for stdin; the other tickets and the token: text or @FILE · jsapi_ticket（wx.agentConfig 请用 --agent-ticket）：文本、@文件，或 - 表示标准输入；其他 ticket 与 token：文本或 @文件
    #[arg(long, default_value = "", hide_default_value = true)]
    ticket: String,
    /// The ticket before it · 上一个 ticket
    #[arg(long, default_value = "", hide_default_value = true)]
    previous_ticket: String,
    /// The account's wx_card ticket · 卡券 ticket
    #[arg(long, default_value = "", hide_default_value = true)]
    card_ticket: String,
    /// The WeCom app's agent_config ticket, which signs wx.agentConfig · 企业微信应用的 agent_config ticket，用于 wx.agentConfig
    #[arg(long, default_value = "", hide_default_value = true)]
    agent_ticket: String,
    /// The AppID or CorpID of the account that the ticket belongs to · ticket 所属账号的 AppID 或 CorpID
    #[arg(long)]
    app_id: Option<String>,
    /// The access token, to detect that it was used as the ticket · access_token，用于判断是否被误当作 ticket
    #[arg(long, default_value = "", hide_default_value = true)]
    access_token: String,
    /// Another account's ticket; may be given several times · 其他账号的 ticket，可多次
    #[arg(long)]
    other_ticket: Vec<String>,
    /// The signature is for wx.agentConfig · 签名用于 wx.agentConfig
    #[arg(long)]
    agent: bool,
    /// The address of the first page load, if the page changed routes · 首次加载的地址（页面切换过路由时填写）
    #[arg(long)]
    landing: Option<String>,
    /// A host or address of the API or its proxy; repeatable · 接口或代理的主机名，可多次
    #[arg(long)]
    host: Vec<String>,
    /// The client's error message · 客户端的报错文字
    #[arg(long)]
    error: Option<String>,
    /// The backend's answer as JSON; - reads stdin · 后端返回的 JSON，- 表示从标准输入读取
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
    /// Any text (error, JSON, code, log); - reads stdin · 任意内容，- 表示从标准输入读取
    #[arg(long, value_name = "FILE")]
    paste: Option<String>,
}

impl Diagnose {
    pub(super) fn run(self) -> Result<Ended, Unusable> {
        let case = self.case()?;
        if !case.is_whole() && case.error.is_none() {
            return Err(Unusable::Usage(
                "pass --url, --nonce, --timestamp and --signature (or --json FILE with --url), or --error TEXT, or --paste FILE that contains them\n    请提供 --url、--nonce、--timestamp、--signature（或 --json 文件加 --url），或 --error 报错文字，或用 --paste 给出含有这些内容的文件".into(),
            ));
        }
        let findings = diagnose(&case);
        for finding in &findings {
            show(finding);
        }
        show_strings(&findings);
        Ok(Ended::of(findings[0].explains()))
    }

    fn case(self) -> Result<Case, Unusable> {
        let sources = [Some(&self.ticket), self.json.as_ref(), self.paste.as_ref()];
        let from_stdin_count = sources.iter().flatten().filter(|it| **it == "-").count();
        if from_stdin_count > 1 {
            return Err(Unusable::Usage(
                "only one of --ticket -, --json - and --paste - can read stdin\n    --ticket -、--json -、--paste - 只能有一个使用标准输入"
                    .into(),
            ));
        }
        let ticket = match self.ticket.as_str() {
            "-" => without_break(&from_stdin()?),
            _ => secret_in("--ticket", self.ticket)?,
        };
        let mut case = Case {
            landing: self.landing,
            hosts: self.host,
            account_app_id: self.app_id,
            target: if self.agent {
                Target::AgentConfig
            } else {
                Target::Config
            },
            ..Case::new(self.url, self.nonce, self.timestamp, self.signature)
        };
        case = case.ticket(Role::Signing, ticket);
        let named = [
            (Role::Previous, "--previous-ticket", self.previous_ticket),
            (Role::Card, "--card-ticket", self.card_ticket),
            (Role::Agent, "--agent-ticket", self.agent_ticket),
            (Role::AccessToken, "--access-token", self.access_token),
        ];
        let others = (1..).zip(self.other_ticket);
        let others = others.map(|(at, text)| (Role::Other(at.to_string()), "--other-ticket", text));
        for (role, flag, text) in named.into_iter().chain(others) {
            case = case.ticket(role, secret_in(flag, text)?);
        }
        case = case.client_error(self.error);
        if let Some(source) = self.json {
            case = case.answer(answer_in(&source)?);
        }
        if let Some(source) = self.paste {
            case = case.paste(Paste::read(&text_of("--paste", &source)?));
        }
        Ok(case)
    }
}

/// Parses a backend's answer. The error does not quote a text that is not JSON.
fn answer_in(source: &str) -> Result<Answer, Unusable> {
    let json = serde_json::from_str(&text_of("--json", source)?).ok();
    json.as_ref().and_then(Answer::from_json).ok_or_else(|| {
        Unusable::Usage(
            "--json: contains no object with a signature\n    JSON 中没有带 signature 的对象"
                .into(),
        )
    })
}

/// Returns a ticket or token: the text, or the content of `@FILE`, which keeps it out of the process list.
fn secret_in(flag: &str, text: String) -> Result<String, Unusable> {
    match text.strip_prefix('@') {
        Some(file) => file_of(flag, file).map(|text| without_break(&text)),
        None => Ok(text),
    }
}

fn without_break(text: &str) -> String {
    text.trim_end_matches(['\r', '\n']).to_owned()
}

fn text_of(flag: &str, source: &str) -> Result<String, Unusable> {
    let text = match source {
        "-" => from_stdin()?,
        file => file_of(flag, file)?,
    };
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

fn file_of(flag: &str, file: &str) -> Result<String, Unusable> {
    std::fs::read_to_string(file)
        .map_err(|error| Unusable::Usage(format!("{flag} {file}: {error}")))
}

fn show(finding: &Finding) {
    let (cause, fix) = (&finding.cause, &finding.fix);
    let (code, confidence) = (finding.code, finding.confidence.as_str());
    say(&format!(
        "{code} ({confidence})\n  {}\n  {}\n  → {}\n  → {}",
        cause.en, cause.zh, fix.en, fix.zh
    ));
}

/// Shows the string that was signed above the correct one, where they are known and differ.
fn show_strings(findings: &[Finding]) {
    let of_computation = |it: &&Finding| it.evidence.is_some() || it.expected.is_some();
    let Some(finding) = findings.iter().find(of_computation) else {
        return;
    };
    say("");
    if let Some(string) = &finding.evidence {
        say(&format!("signed  · 实际签名的字符串: {string}"));
    }
    if let Some(string) = finding
        .expected
        .as_ref()
        .filter(|_| finding.evidence != finding.expected)
    {
        say(&format!("correct · 应当签名的字符串: {string}"));
    }
}
