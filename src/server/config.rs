//! The configuration: `wx-jssdk.toml` over the compiled-in defaults, then the environment. Reports all
//! problems at once.
//!
//! Reads and validates; opens only configuration and secret files. The result holds ready-to-use
//! [`Account`]s.
//!
//! Defaults: `wx-jssdk.default.toml`.

mod accounts;
mod api_account;
mod egress;
mod environment;
mod gateway;
mod keys;
mod layers;
mod limits;
mod log;
mod notify;
mod platforms;
mod problems;
mod redact;
mod safe_domains;
mod secret;
mod section;
mod server;
mod store;
mod tls;
mod toml_error;
mod upstream;
mod verify_file;
mod warnings;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::forward::MessageClient;
use super::regular_file;
use crate::account::Account;
use crate::actix::{GatewayOptions, PushRoute};
use crate::credential::Kind;
use crate::endpoint::push::PushReceiver;
use crate::upstream::UpstreamOptions;
use problems::unreadable;
use section::Section;
use server::OwnAddresses;

pub use api_account::AccountDefaults;
pub(super) use api_account::SECRET_IS_SET;
pub use keys::is_key_name;
pub use limits::{LimitSettings, ProxySettings};
pub use log::LogSettings;
pub use notify::{NotifySettings, WebhookKind, WebhookSettings};
pub use platforms::PlatformSettings;
#[cfg(test)]
pub(super) use platforms::is_taken;
pub use problems::{Problem, Problems};
pub(crate) use redact::{ill_written, not_a_path};
pub(crate) use secret::{trimmed, without_mark};
pub use server::{ReadyRule, ServerSettings};
pub use store::{StoreKind, StoreSettings};
pub use tls::TlsSettings;

/// The default configuration, which is also its documentation.
pub const DEFAULTS: &str = include_str!("../../wx-jssdk.default.toml");

/// Returns this file, or the usual one unless it is missing: one that cannot be read is an error, not a missing one.
pub(crate) fn chosen(file: Option<&Path>) -> Option<PathBuf> {
    let is_missing = matches!(Path::new(DEFAULT_PATH).try_exists(), Ok(false));
    file.or((!is_missing).then_some(Path::new(DEFAULT_PATH)))
        .map(Path::to_owned)
}

/// Names the variable in each problem of a value that this process's environment set.
pub(super) fn name_variables(problems: &mut Problems) {
    environment::name_variables(&environment::variables(), problems);
}

/// Returns the text of a configuration file, which is empty without one.
fn text_of(file: Option<&Path>) -> Result<String, Problems> {
    let Some(path) = file else {
        return Ok(String::new());
    };
    std::fs::read_to_string(path).map_err(|error| unreadable(path, regular_file::reason(&error)))
}

/// Returns the path of problems in the text itself.
fn name_of(file: Option<&Path>) -> String {
    file.map_or_else(|| WHOLE.to_owned(), |file| file.display().to_string())
}

/// Returns the directory to which the paths in a configuration file are relative.
fn base_of(file: Option<&Path>) -> &Path {
    file.and_then(Path::parent).unwrap_or(Path::new(""))
}

/// The configuration file that is used if none is given.
pub const DEFAULT_PATH: &str = "wx-jssdk.toml";

/// Path of problems in a configuration text without a file.
const WHOLE: &str = "the configuration";

/// The validated configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[server]`.
    pub server: ServerSettings,
    /// `[log]`.
    pub log: LogSettings,
    /// `[store]`.
    pub store: StoreSettings,
    /// `[upstream]`.
    pub upstream: UpstreamOptions,
    /// `[gateway]`.
    pub gateway: GatewayOptions,
    /// `[limits]`.
    pub limits: LimitSettings,
    /// `[notify]`.
    pub notify: NotifySettings,
    /// `[account_defaults]`, for accounts that are not in the configuration: of the admin API and of the sandbox.
    pub account_defaults: AccountDefaults,
    /// `[accounts.NAME]`, sorted by name.
    pub accounts: Vec<(String, Account)>,
    /// `[platforms.NAME]`, sorted by name.
    pub platforms: Vec<PlatformSettings>,
    /// Files that hold a secret, of the configuration or of a secret itself, and are readable by every user of the machine.
    pub exposed: Vec<PathBuf>,
}

impl Settings {
    /// Reads `file`, or [`DEFAULT_PATH`] if it exists, over the defaults and below the environment.
    ///
    /// # Errors
    /// [`Problems`] holds every problem.
    pub fn load(file: Option<&Path>) -> Result<Self, Problems> {
        let file = chosen(file);
        let text = text_of(file.as_deref())?;
        let (name, base) = (name_of(file.as_deref()), base_of(file.as_deref()));
        let mut settings = Self::read_named(&name, &text, base, environment::variables())?;
        if let Some(path) = file.filter(|path| warnings::is_exposed(path))
            && layers::one_file(&path).is_ok_and(|table| layers::holds_secret(&table))
        {
            settings.exposed.insert(0, path);
        }
        Ok(settings)
    }

    /// Returns the address of the public listener, and whether it has TLS, whatever else is wrong in the configuration:
    /// a running service refused it at a reload and goes on with the previous one. A file that cannot be read or parsed
    /// counts as empty if the environment sets the address; `None` then: the file may have set up TLS.
    ///
    /// # Errors
    /// [`Problems`], if neither the file nor the environment has a valid address.
    pub fn public_listener(file: Option<&Path>) -> Result<(SocketAddr, Option<bool>), Problems> {
        Self::listener(file, "server.listen", server::listen, "tls")
    }

    /// Returns the same of the admin listener, without an address if it is disabled.
    ///
    /// # Errors
    /// As [`Settings::public_listener`].
    pub fn admin_listener(
        file: Option<&Path>,
    ) -> Result<(Option<SocketAddr>, Option<bool>), Problems> {
        Self::listener(
            file,
            "server.admin_listen",
            server::admin_listen,
            "admin_tls",
        )
    }

    fn listener<A>(
        file: Option<&Path>,
        setting: &str,
        read: fn(&mut Section) -> Option<A>,
        tls: &'static str,
    ) -> Result<(A, Option<bool>), Problems> {
        let file = chosen(file);
        let (environment, mut problems) = (environment::variables(), Problems::default());
        let is_in_environment = environment.contains_key(&environment::variable(setting));
        let name = name_of(file.as_deref());
        let merged = |text: &str, problems: &mut Problems| {
            layers::merged(text, &name, environment.clone(), problems)
        };
        let text = text_of(file.as_deref());
        let (table, is_whole) = match text.and_then(|text| merged(&text, &mut problems)) {
            Ok(table) => (table, true),
            Err(_) if is_in_environment => (merged("", &mut problems)?, false),
            Err(problems) => return Err(problems),
        };
        let mut root = Section::root(table, base_of(file.as_deref()), problems);
        let mut server = root.section("server");
        let address = read(&mut server);
        // Also if its files are wrong.
        let has_tls = TlsSettings::read(server.section(tls)).is_none_or(|tls| tls.is_some());
        match address {
            Some(address) => Ok((address, (is_whole || has_tls).then_some(has_tls))),
            None => {
                let mut problems = root.take_problems();
                environment::name_variables(&environment, &mut problems);
                Err(problems)
            }
        }
    }

    /// Reads the defaults and the environment, without any file.
    ///
    /// # Errors
    /// [`Problems`] holds every problem.
    pub fn defaults() -> Result<Self, Problems> {
        Self::read("", Path::new(""), environment::variables())
    }

    /// Reads a configuration text. Relative secret files are resolved against `base`; `environment` is
    /// searched for `WX_JSSDK__…`.
    ///
    /// # Errors
    /// [`Problems`] holds every problem.
    pub fn read(
        text: &str,
        base: &Path,
        environment: HashMap<String, String>,
    ) -> Result<Self, Problems> {
        Self::read_named(WHOLE, text, base, environment)
    }

    fn read_named(
        name: &str,
        text: &str,
        base: &Path,
        environment: HashMap<String, String>,
    ) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let table = layers::merged(text, name, environment.clone(), &mut problems)?;
        let exposed = warnings::exposed_files(&table, base);
        let mut root = Section::root(table, base, problems);
        let settings = Self::from_root(&mut root, exposed);
        let mut problems = root.take_problems();
        environment::name_variables(&environment, &mut problems);
        problems.into_result(settings)
    }

    /// Returns the receivers of the platforms' pushes, with their paths.
    pub(super) fn push_routes(&self, message_client: &MessageClient) -> Vec<PushRoute> {
        let route = |platform: &PlatformSettings| {
            let url = platform.messages_url.as_ref();
            let forwarder = url.map(|url| message_client.to(url));
            let keys = platform.push_keys.clone();
            PushRoute {
                events: platform.callback_path.clone(),
                messages: platform.messages_path.clone(),
                receiver: PushReceiver::new(&platform.name, keys, forwarder),
            }
        };
        self.platforms.iter().map(route).collect()
    }

    /// Returns the names of the accounts that sign pages if there are several and none is the default: then a
    /// request that names no account is rejected.
    pub fn signing_without_default(&self) -> Vec<&str> {
        let signing = self
            .accounts
            .iter()
            .filter(|(_, account)| account.has(Kind::JsapiTicket))
            .map(|(name, _)| name.as_str());
        let names: Vec<_> = signing.collect();
        if names.len() > 1 && self.server.default_account.is_none() {
            names
        } else {
            Vec::new()
        }
    }

    /// Returns `None` only after reporting a problem. `exposed`: as far as the main file names them.
    fn from_root(root: &mut Section, mut exposed: Vec<PathBuf>) -> Option<Self> {
        let mut server = root.section("server");
        let api_keys = server.tables("api_keys");
        let own = OwnAddresses::of(server.unreported());
        let default_account = server::default_account(&mut server.unreported());
        let server = ServerSettings::read(&mut server);
        let log = LogSettings::read(&mut root.section("log"));
        let store = StoreSettings::read(&mut root.section("store"));
        let upstream = upstream::read(&mut root.section("upstream"), &own);
        let gateway = gateway::read(&mut root.section("gateway"));
        let limits = LimitSettings::read(&mut root.section("limits"));
        let notify = NotifySettings::read(&mut root.section("notify"));
        let account_defaults = accounts::defaults(root.section("account_defaults"));
        let section = root.named_sections("accounts");
        let are_sections = section.has_only_sections();
        let mut entries = section.sections();
        let is_read = match root.file_path("accounts_dir").as_deref() {
            None => false,
            Some("") => true,
            Some(directory) => accounts::add_directory(root, directory, &mut entries, &mut exposed),
        };
        // Otherwise an unknown name may be that of an account that could not be read.
        let are_accounts_known = are_sections && is_read;
        // Uses the configured names, not the valid accounts: an account with a problem still exists.
        let names: HashSet<_> = entries.iter().map(|(name, _)| name.clone()).collect();
        let accounts = accounts::read(entries, &account_defaults);
        let section = root.named_sections("platforms");
        let are_all_known = are_accounts_known && section.has_only_sections();
        let sections = section.sections();
        let mut openable = names.clone();
        for (platform, _) in &sections {
            openable.extend([platform.clone(), format!("{platform}/*")]);
        }
        let platforms = platforms::read(sections, &account_defaults, &names, &own);
        root.finish();
        let api_keys = keys::read(api_keys, are_all_known.then_some(&openable));
        let server = server.map(|server| ServerSettings { api_keys, ..server });
        if let Some(name) = default_account.filter(|_| are_accounts_known) {
            server::check_default(&name, &names, &accounts, root);
        }
        exposed.sort();
        exposed.dedup();
        Some(Self {
            server: server?,
            log: log?,
            store: store?,
            upstream: upstream?,
            gateway: gateway?,
            limits: limits?,
            notify: notify?,
            account_defaults,
            accounts,
            platforms,
            exposed,
        })
    }
}
