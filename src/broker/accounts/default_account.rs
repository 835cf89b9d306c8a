//! The account of a request that names none, if the configuration names none either.

use std::collections::HashSet;
use std::sync::Arc;

use super::{AccountEntry, ByName};

/// Returns the only account that signs pages; without one, the only account, unless that is an open platform.
pub(super) fn implied_default(by_name: &HashSet<ByName>) -> Option<Arc<AccountEntry>> {
    let mut signing = signing(by_name);
    match (signing.next(), signing.next()) {
        (Some(only), None) => Some(only.clone()),
        (None, _) if by_name.len() == 1 => {
            let only = by_name.iter().next().map(|ByName(entry)| entry);
            only.filter(|entry| entry.open_platform.is_none()).cloned()
        }
        _ => None,
    }
}

/// Returns the present name of the lost default account or, if it was removed, the first name among those
/// that sign pages.
pub(super) fn suggested_default(by_name: &HashSet<ByName>, lost: &AccountEntry) -> String {
    let app = lost.account.app_key();
    let same_app = signing(by_name).find(|entry| entry.account.app_key() == app);
    same_app
        .or_else(|| signing(by_name).min_by(|a, b| a.name.cmp(&b.name)))
        .map(|entry| entry.name.clone())
        .unwrap_or_default()
}

/// Returns the accounts that sign pages.
fn signing(by_name: &HashSet<ByName>) -> impl Iterator<Item = &Arc<AccountEntry>> {
    let entries = by_name.iter().map(|ByName(entry)| entry);
    entries.filter(|entry| entry.account.signs_pages())
}
