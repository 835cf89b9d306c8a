//! An account of the admin API: the keys of `[accounts.NAME]` as JSON, validated as those.

use std::collections::HashMap;
use std::path::Path;

use config::{Value, ValueKind};

use super::Problems;
use super::accounts::{APP_SECRET, App, account_with, check_letters};
use super::secret::secret_if_any;
use super::section::Section;
use crate::account::Account;

/// `[account_defaults]`.
#[derive(Clone, Default)]
pub struct AccountDefaults(pub(super) Section);

impl AccountDefaults {
    /// Reads the account with this name. What is missing comes from the defaults, and a missing secret from the
    /// `stored` account, if that is the same app.
    pub(in crate::server) fn account(
        &self,
        name: &str,
        mut table: HashMap<String, Value>,
        stored: Option<&Account>,
    ) -> Result<Account, Problems> {
        let mut problems = Problems::default();
        check_letters(name, "account", &mut problems);
        let is_kept = table.get("secret").is_none_or(is_kept);
        if is_kept {
            table.remove("secret");
        }
        let mut section = Section::root(table);
        section.ignore(READ_ONLY);
        for key in ONLY_IN_FILES.iter().filter(|key| section.has(key)) {
            problems.add(
                key,
                "is only for accounts of the configuration: remove it".into(),
                "只能用于配置文件中的账号：请删除此项".into(),
            );
        }
        section.ignore(ONLY_IN_FILES);
        section.default_to(&self.0);
        let kept = stored.filter(|_| is_kept);
        let secret = |section: &mut Section, problems: &mut Problems| {
            let kept = kept.map(|stored| stored.secret().clone());
            let secret = section.optional("secret", kept, problems, |section, _, problems| {
                secret_if_any(section, Path::new(""), &APP_SECRET, problems).map(Some)
            })?;
            if secret.is_none() {
                problems.add(
                    "secret",
                    "is missing: send the AppSecret".into(),
                    "缺少此项：请填写 AppSecret".into(),
                );
            }
            secret
        };
        let app = App::read(&mut section, &mut problems);
        let account = account_with(&app, &mut section, Path::new(""), secret, &mut problems);
        section.finish(&mut problems);
        if let (Some(account), Some(stored)) = (&account, kept)
            && account.app_identity() != stored.app_identity()
        {
            problems.add(
                "secret",
                "is missing: the stored one belongs to another app".into(),
                "缺少此项：已保存的 AppSecret 属于另一个应用".into(),
            );
        }
        problems.into_result(account)
    }
}

/// Whether the value stands for the stored secret, as in an answer that is sent back.
fn is_kept(value: &Value) -> bool {
    matches!(&value.kind, ValueKind::String(text) if text == SECRET_IS_SET)
}

impl std::fmt::Debug for AccountDefaults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountDefaults").finish_non_exhaustive()
    }
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
