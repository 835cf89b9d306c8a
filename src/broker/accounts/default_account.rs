//! The account of a request that names none, if the configuration names none either.

use std::sync::Arc;

use super::{AccountEntry, Accounts};

/// Returns the only account that signs pages; without one, the only account, unless that is an open platform.
pub(super) fn implied_default(accounts: &Accounts) -> Option<Arc<AccountEntry>> {
    let mut signing = signing(accounts);
    match (signing.next(), signing.next()) {
        (Some(only), None) => Some(only.clone()),
        (None, _) if accounts.by_name.len() == 1 => {
            let only = accounts.all().next();
            only.filter(|entry| entry.open_platform.is_none()).cloned()
        }
        _ => None,
    }
}

/// Returns the present name of the lost default account or, if it was removed, the first name among those
/// that sign pages.
pub(super) fn suggested_default(accounts: &Accounts, lost: &AccountEntry) -> String {
    let app = lost.account.app_key();
    let same_app = signing(accounts).find(|entry| entry.account.app_key() == app);
    same_app
        .or_else(|| signing(accounts).min_by(|a, b| a.name.cmp(&b.name)))
        .map(|entry| entry.name.clone())
        .unwrap_or_default()
}

/// Returns the accounts that sign pages.
fn signing(accounts: &Accounts) -> impl Iterator<Item = &Arc<AccountEntry>> {
    accounts.all().filter(|entry| entry.account.signs_pages())
}
