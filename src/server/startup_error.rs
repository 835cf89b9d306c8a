//! Startup errors in both languages, with what to do.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;

use super::config::Settings;
use super::notify::NotifyError;
use super::tls::CertificateError;
use crate::broker::BuildError;
use crate::store::StoreError;
use crate::store::error::table_problem;

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartupError {
    /// The port is in use, or binding it is not permitted.
    #[error(
        "{setting}: cannot listen on {address}: {error}{}",
        advice(error, setting)
    )]
    Listen {
        /// The setting or flag that names it.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's error.
        error: io::Error,
    },
    /// The service manager passed a socket that no listener takes: its address, or why it is unusable.
    #[error(
        "the service manager passed a socket that no listener takes: {0}. Pass one for server.listen and one for server.admin_listen, in this order and on different ports, or name them with FileDescriptorName=public and FileDescriptorName=admin\n    服务管理器传入了多余的 socket：{0}。请只为 server.listen 与 server.admin_listen 各传一个（依此顺序，端口不同），或用 FileDescriptorName=public 与 FileDescriptorName=admin 命名"
    )]
    PassedSocket(String),
    /// Two listeners have the same address.
    #[error(
        "{} and {} have the same address {address}: use different ports (0 picks a free port)\n    {} 与 {} 使用了同一地址 {address}：请分别设置（端口 0 表示自动选择）",
        settings[0], settings[1], settings[0], settings[1]
    )]
    SameAddress {
        /// Both settings or flags.
        settings: [&'static str; 2],
        /// The address.
        address: SocketAddr,
    },
    /// `--safe-domain` is not a safe domain.
    #[error("--safe-domain: {0}\n    只写域名或 IP，例如 192.168.1.20，不要协议、端口或通配符")]
    SafeDomain(String),
    /// The limit of open files is too low for the fewest connections of a listener.
    #[error(
        "the limit of open files is {limit}, and at least {need} are needed: raise it (ulimit -n, LimitNOFILE=)\n    可打开文件数的上限为 {limit}，至少需要 {need}：请调高 ulimit -n 或 LimitNOFILE"
    )]
    OpenFiles {
        /// The limit.
        limit: usize,
        /// The minimum that is needed.
        need: usize,
    },
    /// A certificate cannot be used.
    #[error("{setting}: {error}\n    {}", error.zh())]
    Certificate {
        /// The setting that names it.
        setting: &'static str,
        /// The problem.
        error: CertificateError,
    },
    /// The store cannot be opened.
    #[error("store: {error}{}", store_advice(error))]
    Store {
        /// The store's error.
        #[from]
        error: StoreError,
    },
    /// The broker cannot be built.
    #[error(
        "{0}\n    无法启动：请检查 [accounts]、server.default_account 与 [upstream] 的设置，可运行 wx-jssdk check --offline"
    )]
    Broker(#[from] BuildError),
    /// The webhooks cannot be called.
    #[error("{0}\n    无法启动：请检查 [notify] 与 upstream.proxy 的设置")]
    Notify(#[from] NotifyError),
}

impl StartupError {
    pub(crate) fn listen(setting: &'static str, address: SocketAddr, error: io::Error) -> Self {
        Self::Listen {
            setting,
            address,
            error,
        }
    }

    /// Replaces the setting's name by the flag that set the value.
    #[must_use]
    pub fn given_as(mut self, from: &str, flag: &'static str) -> Self {
        let named: &mut [&'static str] = match &mut self {
            Self::Listen { setting, .. } => std::slice::from_mut(setting),
            Self::SameAddress { settings, .. } => settings,
            _ => &mut [],
        };
        for setting in named.iter_mut().filter(|setting| **setting == from) {
            *setting = flag;
        }
        self
    }
}

/// Checks for address conflicts before binding: the system would only report an address as in use,
/// without naming the other listener.
pub(super) fn check_addresses(
    settings: &Settings,
    sandbox: Option<SocketAddr>,
) -> Result<(), StartupError> {
    let listeners = [
        Some(("server.listen", settings.server.listen)),
        settings
            .server
            .admin_listen
            .map(|address| ("server.admin_listen", address)),
        sandbox.map(|address| ("--sandbox-listen", address)),
    ];
    let listeners: Vec<_> = listeners.into_iter().flatten().collect();
    for (at, (setting, address)) in listeners.iter().enumerate() {
        if let Some((first, _)) = listeners[..at]
            .iter()
            .find(|(_, other)| collide(*other, *address))
        {
            return Err(StartupError::SameAddress {
                settings: [first, setting],
                address: *address,
            });
        }
    }
    Ok(())
}

/// Returns whether two addresses conflict: 0.0.0.0:80 includes 127.0.0.1:80.
pub(super) fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port()
        && a.port() != 0
        && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
}

/// Adds what to do when the system refuses a thread, or one of the files that it opens.
pub(crate) fn cannot_start(error: io::Error) -> io::Error {
    if let Some(TOO_MANY_OPEN_FILES | TOO_MANY_OPEN_FILES_IN_SYSTEM) = error.raw_os_error() {
        return io::Error::other(format!(
            "{error}: raise the limit of open files (systemd: LimitNOFILE, containers: --ulimit nofile, shells: ulimit -n; of the machine: fs.file-max)\n    \
             打开的文件过多：请调高可打开文件数的上限（systemd：LimitNOFILE，容器：--ulimit nofile，shell：ulimit -n；整机：fs.file-max）"
        ));
    }
    io::Error::other(format!(
        "{error}: its threads cannot be started: raise the limit of threads (systemd: TasksMax, containers: --pids-limit, shells: ulimit -u)\n    \
         无法启动线程：请调高线程数上限（systemd：TasksMax，容器：--pids-limit，shell：ulimit -u）"
    ))
}

fn advice(error: &io::Error, setting: &str) -> &'static str {
    let is_admin = setting.contains("admin");
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            ". Another program uses this port: stop it, or choose another port (0 picks a free port)\n    端口已被占用：请停止占用它的程序，或换一个端口（0 表示自动选择）"
        }
        io::ErrorKind::PermissionDenied if is_admin => {
            ". This user may not use ports below 1024: choose a higher port\n    没有权限监听该端口：请使用 1024 以上的端口"
        }
        io::ErrorKind::PermissionDenied => {
            ". This user may not use ports below 1024: choose a higher port, behind nginx or Caddy\n    没有权限监听该端口：请使用 1024 以上的端口，前面放 nginx 或 Caddy"
        }
        io::ErrorKind::AddrNotAvailable if is_admin => {
            ". This machine does not have this address: use 127.0.0.1 or an address of this machine in a private network; never expose it to the internet\n    本机没有这个地址：请使用 127.0.0.1 或本机的内网地址，切勿对公网开放"
        }
        io::ErrorKind::AddrNotAvailable => {
            ". This machine does not have this address: use 0.0.0.0 for all its addresses\n    本机没有这个地址：0.0.0.0 表示本机的所有地址"
        }
        _ => "\n    无法监听该地址：请检查地址与端口",
    }
}

fn store_advice(error: &StoreError) -> Cow<'static, str> {
    let advice = match error {
        StoreError::InUse { .. } => {
            ". Stop the other wx-jssdk, choose another store.path, or set store.kind = \"redis\" or \"sql\" to share a store\n    该文件正被另一个 wx-jssdk 使用：请停止它，或换一个 store.path，或改用可共享的 store.kind = \"redis\" 或 \"sql\""
        }
        StoreError::Disk { .. } => {
            " (store.path)\n    无法读写凭证文件：请检查 store.path 所在目录是否存在、是否有读写权限、磁盘是否已满"
        }
        StoreError::NoThread { .. } => {
            "\n    无法创建读写凭证文件的线程：请提高线程数上限（systemd 的 TasksMax、容器的 --pids-limit、ulimit -u）"
        }
        StoreError::Address { problem } => {
            return format!("\n    store.url 无法使用：{}", problem.zh).into();
        }
        StoreError::OtherKey { key: None, .. } => {
            "\n    已设置密钥，但存储中的记录是明文：为已有的存储启用加密时，请设置 store.accept_unencrypted = true，完成后再去掉"
        }
        StoreError::OtherKey { .. } => {
            "\n    存储中的凭证是用另一密钥加密的：请检查 store.encryption_key_file 与 store.previous_encryption_key_file"
        }
        StoreError::Schema { problem, .. } if problem.contains(table_problem::NEWER) => {
            "\n    数据库中的表由更新版本的程序创建：请升级本程序"
        }
        StoreError::Schema { problem, .. } if problem.contains(table_problem::OTHER_COLUMNS) => {
            "\n    数据库中的表与 wx-jssdk store schema 的输出不一致：请删除该表，或换一个 store.table_prefix"
        }
        StoreError::Schema { problem, .. } if problem.contains(table_problem::NO_SEARCH_PATH) => {
            "\n    search_path 中的 schema 不存在：请先创建"
        }
        StoreError::Schema { .. } => {
            "\n    数据库中的表无法创建或使用：请由管理员执行 wx-jssdk store schema 输出的语句，并授予 SELECT、INSERT、UPDATE、DELETE 权限"
        }
        _ => return format!("\n    {UNUSABLE_STORE}").into(),
    };
    advice.into()
}

/// The error numbers EMFILE and ENFILE, which are the same on all Unix systems.
const TOO_MANY_OPEN_FILES: i32 = 24;
const TOO_MANY_OPEN_FILES_IN_SYSTEM: i32 = 23;

/// What to do about an error of the store that has no other advice.
pub(super) const UNUSABLE_STORE: &str = "凭证存储无法使用：请检查 [store] 的设置";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chinese_advice_about_tables_is_that_of_the_problem() {
        for (problem, advice) in [
            (table_problem::NEWER, "升级"),
            (table_problem::OTHER_COLUMNS, "不一致"),
            (table_problem::NO_SEARCH_PATH, "search_path"),
            (table_problem::NOT_ALLOWED, "授予"),
        ] {
            let error = StoreError::Schema {
                place: "postgresql wx at db:5432".to_owned(),
                problem: problem.to_owned(),
            };
            assert!(store_advice(&error).contains(advice), "{problem}");
        }
    }

    #[test]
    fn the_chinese_advice_about_an_address_is_its_problem() {
        let problem = crate::error::Text::new("the host is missing", "缺少主机名");
        let advice = store_advice(&StoreError::Address { problem });
        assert_eq!(advice, "\n    store.url 无法使用：缺少主机名");
    }

    #[test]
    fn the_advice_about_the_admin_listener_never_exposes_it() {
        for (setting, uses_all) in [
            ("server.listen", true),
            ("server.admin_listen", false),
            ("--admin-listen", false),
        ] {
            let failed = |kind: io::ErrorKind| {
                let address = "192.0.2.1:81".parse().unwrap();
                StartupError::listen(setting, address, kind.into()).to_string()
            };
            let text = failed(io::ErrorKind::AddrNotAvailable);
            assert_eq!(text.contains("0.0.0.0"), uses_all, "{text}");
            let text = failed(io::ErrorKind::PermissionDenied);
            assert_eq!(text.contains("nginx"), uses_all, "{text}");
        }
    }

    #[test]
    fn a_start_without_a_free_file_names_the_limit_of_open_files() {
        for (number, limit) in [(24, "LimitNOFILE"), (23, "LimitNOFILE"), (11, "TasksMax")] {
            let text = cannot_start(io::Error::from_raw_os_error(number)).to_string();
            assert_eq!(text.matches(limit).count(), 2, "in both languages: {text}");
        }
    }

    #[test]
    fn an_address_conflicts_with_itself_and_with_the_wildcard() {
        let collide = |a: &str, b: &str| collide(a.parse().unwrap(), b.parse().unwrap());
        assert!(collide("127.0.0.1:80", "127.0.0.1:80") && collide("0.0.0.0:80", "127.0.0.1:80"));
        assert!(collide("127.0.0.1:80", "0.0.0.0:80") && collide("[::]:80", "[::1]:80"));
        assert!(
            !collide("127.0.0.1:0", "127.0.0.1:0"),
            "each port 0 is another port"
        );
        assert!(
            !collide("127.0.0.1:80", "127.0.0.1:81") && !collide("127.0.0.1:80", "127.0.0.2:80")
        );
    }

    #[test]
    fn a_store_that_is_in_use_names_the_settings_to_change() {
        let path = "/var/lib/wx-jssdk/wx-jssdk.redb".to_owned();
        let text = StartupError::from(StoreError::InUse { path }).to_string();
        for setting in ["store.path", "store.kind = \"redis\""] {
            assert_eq!(
                text.matches(setting).count(),
                2,
                "in both languages: {text}"
            );
        }
    }

    #[test]
    fn a_flag_is_named_only_where_it_was_given() {
        let address = "127.0.0.1:80".parse().unwrap();
        let error = StartupError::SameAddress {
            settings: ["server.listen", "server.admin_listen"],
            address,
        };
        let text = error.given_as("server.listen", "--listen").to_string();
        assert_eq!(text.matches("--listen").count(), 2, "{text}");
        assert_eq!(text.matches("server.admin_listen").count(), 2, "{text}");
    }
}
