//! An account of the admin API: the keys of `[accounts.NAME]` as JSON, validated as those.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use config::{Value, ValueKind};

use super::Problems;
use super::accounts::{APP_SECRET, App, INHERITED, account, check_name};
use super::secret::secret_if_any;
use super::section::Section;
use crate::account::Account;

/// `[account_defaults]`.
#[derive(Clone, Debug, Default)]
pub struct AccountDefaults(pub(super) BTreeMap<String, Value>);

impl AccountDefaults {
    /// Returns the list of this key.
    pub fn list(&self, key: &'static str) -> Vec<String> {
        let table = self.0.clone().into_iter().collect();
        let mut section = Section::root(table, Path::new(""), Problems::default());
        section.list(key).unwrap_or_default()
    }

    /// Reads the account with this name. What is missing comes from the defaults, and a missing secret from the
    /// `stored` account, if that is the same app.
    pub(in crate::server) fn account(
        &self,
        name: &str,
        mut table: HashMap<String, Value>,
        stored: Option<&Account>,
    ) -> Result<Account, Problems> {
        let is_kept = table.get("secret").is_none_or(is_kept);
        if is_kept {
            table.remove("secret");
        }
        let mut section = Section::root(table, Path::new(""), Problems::default());
        check_name(name, "account", &section);
        section.ignore(READ_ONLY);
        for key in ONLY_IN_FILES.iter().filter(|key| section.has(key)) {
            section.report(
                key,
                "is only for accounts of the configuration: remove it",
                "只能用于配置文件中的账号：请删除此项",
            );
        }
        section.ignore(ONLY_IN_FILES);
        section.default_to(self, &INHERITED);
        let kept = stored.filter(|_| is_kept);
        let secret = |section: &mut Section| {
            let kept = kept.map(|stored| stored.secret().clone());
            let secret = section.optional("secret", kept, |section, _| {
                secret_if_any(section, &APP_SECRET).map(Some)
            })?;
            if secret.is_none() {
                section.report(
                    "secret",
                    "is missing: send the AppSecret",
                    "缺少此项：请填写 AppSecret",
                );
            }
            secret
        };
        let app = App::read(&mut section);
        let account = account(&app, &mut section, secret);
        section.finish();
        if let (Some(account), Some(stored)) = (&account, kept)
            && account.app_identity() != stored.app_identity()
        {
            section.report(
                "secret",
                "is missing: the stored one belongs to another app",
                "缺少此项：已保存的 AppSecret 属于另一个应用",
            );
        }
        section.take_problems().into_result(account)
    }
}

/// Whether the value stands for the stored secret, as in an answer that is sent back.
fn is_kept(value: &Value) -> bool {
    matches!(&value.kind, ValueKind::String(text) if text == SECRET_IS_SET)
}

/// What answers contain in the place of a secret.
pub(in crate::server) const SECRET_IS_SET: &str = "set";

/// Members of answers that say nothing when they are sent back.
const READ_ONLY: &[&str] = &["account", "source"];

/// Keys that name files of this machine, or do not fit into a record.
const ONLY_IN_FILES: &[&str] = &[
    "secret_file",
    "proxy",
    "proxy_user",
    "proxy_password",
    "proxy_password_file",
    "verify_files",
];
