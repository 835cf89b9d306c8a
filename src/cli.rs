//! The command line. Results go to stdout, messages to stderr.
//!
//! Exit codes: 0 done; 1 it ran and the answer is no; 2 wrong usage or configuration; 3 (of the commands for
//! operators) the server does not answer.

mod admin_client;
mod check;
mod connect_error;
mod credential;
mod diagnose;
mod healthcheck;
mod http;
mod keys;
mod notify;
mod operate;
mod sandbox;
mod serve;
mod sign;
mod socket_addr;
mod status;
mod store;
mod tls;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, mpsc};

use clap::{Parser, Subcommand};
use parking_lot::Mutex;
use rand::TryRng as _;
use rand::rngs::SysRng;

use crate::error::Text;
use crate::server::config::{self, DEFAULT_PATH, Problems, Settings};
use crate::server::{EXIT_LIMIT, cannot_start};

/// The WeChat JS-SDK signing backend · 微信 JS-SDK 签名服务
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Start here, without a WeChat account · 无需公众号即可体验:\n  wx-jssdk serve --sandbox"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service · 启动服务
    Serve(serve::Serve),
    /// Run the simulated WeChat alone, for tests of any SDK · 单独运行模拟的微信接口
    Sandbox(sandbox::SandboxCommand),
    /// Check the configuration, then fetch a token for each account, and a ticket if it signs pages · 检查配置，并逐个账号向微信验证
    Check(check::Check),
    /// Sign one page offline with a ticket that you have · 用已有的 ticket 离线签名
    Sign(sign::Sign),
    /// Find out why a signature is refused · 诊断签名为何无效
    Diagnose(diagnose::Diagnose),
    /// Ask a running server for an account's access token · 向运行中的服务获取 access_token
    Token(credential::Token),
    /// Ask a running server for an account's ticket · 向运行中的服务获取 ticket
    Ticket(credential::Ticket),
    /// Report a dead token or ticket to a running server and print the new value · 上报失效的凭证，获取新值
    Reject(credential::Reject),
    /// Show the accounts of a running server: health, remaining time, errors, quota · 查看运行中服务的账号状态
    Status(status::Status),
    /// Refresh one credential now, after a problem was fixed · 排除故障后立即刷新某个凭证
    Refresh(operate::Refresh),
    /// Try again at once what waits for a quota or after a refused IP · 调用次数清零或 IP 加入白名单后立即重试，不等自动恢复
    Unblock(operate::Unblock),
    /// Read the configuration again, as SIGHUP does · 重新加载配置（与 SIGHUP 相同）
    Reload(operate::Reload),
    /// Create an API key for a client server · 为其他服务器生成 API key
    #[command(subcommand)]
    Keys(keys::Keys),
    /// The tables of an SQL store · SQL 存储的数据表
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Notifications: test the webhooks of [notify] · 测试通知 webhook
    #[command(subcommand)]
    Notify(notify::Notify),
    /// Check that a running service is alive, for container orchestrators · 健康检查
    Healthcheck(healthcheck::Healthcheck),
}

/// How a command ended that ran.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// Exit code 0.
    Success,
    /// Exit code 1: the command ran, and the answer is no.
    Failure,
}

/// Why a command has no result: the message for stderr.
#[derive(Debug)]
enum Unusable {
    /// Exit code 1: the running server refused.
    Refused(String),
    /// Exit code 2: wrong usage or configuration.
    Usage(String),
    /// Exit code 3: the running server did not answer.
    NoAnswer(String),
}

impl Ended {
    /// Returns how a command ended that answers a question.
    fn of(is_yes: bool) -> Self {
        match is_yes {
            true => Self::Success,
            false => Self::Failure,
        }
    }
}

impl<E: std::error::Error> From<E> for Unusable {
    fn from(error: E) -> Self {
        Self::Usage(error.to_string())
    }
}

impl Unusable {
    /// Prints the message, and returns the exit code.
    fn report(&self) -> u8 {
        let (code, text) = self.code_and_text();
        eprintln!("{text}");
        code
    }

    /// Returns the exit code and the text to print.
    fn code_and_text(&self) -> (u8, String) {
        let (code, message) = match self {
            Self::Refused(message) => (1, message),
            Self::Usage(message) => (2, message),
            Self::NoAnswer(message) => (3, message),
        };
        (code, format!("wx-jssdk: {}", message.trim_end()))
    }
}

impl Cli {
    /// Runs the parsed command to its end.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let is_service = matches!(self.command, Command::Serve(_));
        let ended = check_random_source().and_then(|()| match self.command {
            Command::Serve(command) => in_runtime(command.run()),
            Command::Sandbox(command) => in_runtime(command.run()),
            Command::Check(command) => in_runtime(command.run()),
            Command::Healthcheck(command) => in_runtime(command.run()),
            Command::Token(command) => in_runtime(command.run()),
            Command::Ticket(command) => in_runtime(command.run()),
            Command::Reject(command) => in_runtime(command.run()),
            Command::Status(command) => in_runtime(command.run()),
            Command::Refresh(command) => in_runtime(command.run()),
            Command::Unblock(command) => in_runtime(command.run()),
            Command::Reload(command) => in_runtime(command.run()),
            Command::Notify(command) => in_runtime(command.run()),
            Command::Sign(command) => command.run(),
            Command::Diagnose(command) => command.run(),
            Command::Keys(command) => command.run(),
            Command::Store(command) => command.run(),
        });
        match ended {
            Ok(Ended::Success) => ExitCode::SUCCESS,
            Ok(Ended::Failure) => ExitCode::from(1),
            Err(unusable) if is_service => {
                let (code, text) = unusable.code_and_text();
                write_briefly(text);
                ExitCode::from(code)
            }
            Err(unusable) => ExitCode::from(unusable.report()),
        }
    }
}

/// Returns an error if the system gives no random numbers. A static binary reads /dev/random and /dev/urandom, which an empty
/// root directory lacks; the random generators would panic.
fn check_random_source() -> Result<(), Unusable> {
    SysRng.try_fill_bytes(&mut [0; 8]).map_err(|error| {
        Unusable::Usage(format!(
            "no random numbers: {error}. In a container or chroot, provide /dev/random and /dev/urandom\n    \
             无法获得随机数：请在容器或 chroot 中提供 /dev/random 与 /dev/urandom"
        ))
    })
}

fn in_runtime(command: impl Future<Output = Result<Ended, Unusable>>) -> Result<Ended, Unusable> {
    // tokio panics if the system refuses it a thread, so as many as it starts are tried at the same time.
    let (hold, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let trial = (0..=WORKERS).map(|_| {
        let held = held.clone();
        std::thread::Builder::new().spawn(move || held.lock().recv().is_ok())
    });
    let trial = trial.collect::<Result<Vec<_>, _>>();
    drop(hold);
    for thread in trial.map_err(cannot_start)? {
        let _ = thread.join();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(cannot_start)?;
    let ended = runtime.block_on(command);
    runtime.shutdown_timeout(EXIT_LIMIT);
    ended
}

/// Writes to stderr, for at most [`EXIT_LIMIT`]: the log's pipe may be full.
fn write_briefly(text: String) {
    let (done, written) = mpsc::channel();
    let line = text.clone();
    let write = move || {
        eprintln!("{line}");
        let _ = done.send(());
    };
    match std::thread::Builder::new().spawn(write) {
        Ok(_) => drop(written.recv_timeout(EXIT_LIMIT)),
        Err(_) => eprintln!("{text}"),
    }
}

/// Threads of the runtime; the listeners have more of their own.
const WORKERS: usize = 2;

/// Writes one line of result. Ignores a closed pipe (`| head -1`).
fn say(line: &str) {
    let _ = write_line(line);
}

/// Writes one line of result. Fails if stdout is closed.
fn write_line(line: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{line}")
}

/// Returns `1 account` or `2 accounts`.
fn accounts(count: u64) -> String {
    counted(count, "account")
}

/// Returns `1 problem` or `2 problems`, for this noun.
fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Reads stdin to its end.
fn from_stdin() -> Result<String, Unusable> {
    Ok(std::io::read_to_string(std::io::stdin())?)
}

/// Loads the configuration for a command that needs an account, a platform or an API key that manages accounts.
fn with_accounts(file: Option<&Path>) -> Result<Settings, Problems> {
    let settings = Settings::load(file)?;
    let has_some = !settings.accounts.is_empty() || !settings.platforms.is_empty();
    if has_some || settings.server.api_keys.has_manager() {
        return Ok(settings);
    }
    let elsewhere = file_elsewhere(file);
    let file = config::chosen(file).unwrap_or_else(|| PathBuf::from(DEFAULT_PATH));
    let file = file.display();
    let what = Text::owned(
        format!(
            "no account is configured: {}add [accounts.main] with app_id, secret_file and js_safe_domains to {file}, or an API key with manage = true for accounts of the admin API, or try wx-jssdk serve --sandbox",
            elsewhere.en
        ),
        format!(
            "没有配置账号：{}请在 {file} 中写 [accounts.main]（app_id、secret_file、js_safe_domains），或设置带 manage = true 的 API key 以通过管理端口添加账号，或先用 wx-jssdk serve --sandbox 体验",
            elsewhere.zh
        ),
    );
    Err(Problems::one("accounts", what))
}

/// Returns the first part of the advice to configure something: empty, unless no file was read. Then the operator may
/// have one in another directory.
fn file_elsewhere(file: Option<&Path>) -> Text {
    if config::chosen(file).is_some() {
        return Text::new("", "");
    }
    let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let directory = directory.display();
    Text::owned(
        format!(
            "{directory} has no {DEFAULT_PATH}: change to the directory of the file, or use --config FILE. For a new one, "
        ),
        format!(
            "{directory} 中没有 {DEFAULT_PATH}：请进入该文件所在的目录，或用 --config 指定文件。如需新建，"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_ends_while_a_thread_of_it_hangs() {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let ended = in_runtime(async {
            tokio::task::spawn_blocking(move || released.recv());
            Ok(Ended::Success)
        });
        assert_eq!(ended.unwrap(), Ended::Success);
        drop(release);
    }
}
