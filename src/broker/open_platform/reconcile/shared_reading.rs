//! One reading of WeChat's list for all who ask about the same time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::platform::authorizer::Listed;
use crate::upstream::AuthorizerPage;

/// The readings of the list, one at a time.
#[derive(Default)]
pub(in crate::broker) struct Readings {
    /// How many have begun.
    begun: AtomicU64,
    /// The result of the last one, with its number. Held while the list is read.
    last: Mutex<(u64, Option<Arc<Reading>>)>,
}

/// The list as it was read.
pub(super) struct Reading {
    pub(super) accounts: HashMap<String, Listed>,
    /// Whether it cannot lack an account: because one moved to another page while the list was read, or the list
    /// ended early.
    pub(super) is_complete: bool,
    /// How many accounts less than its total the list had.
    missing: u64,
}

impl Readings {
    /// Returns a reading that began after this call: the next one, which all who wait for it share. `None` if
    /// the list cannot be read.
    pub(super) async fn next<F: Future<Output = Option<Reading>>>(
        &self,
        read: impl FnOnce() -> F,
    ) -> Option<Arc<Reading>> {
        let before = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if last.0 <= before {
            let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            *last = (number, read().await.map(Arc::new));
        }
        last.1.clone()
    }
}

impl Reading {
    /// Reads the list page by page. An account that comes or goes meanwhile moves the others, of which one may
    /// be missed at the boundary of two pages: then reads it once more.
    pub(super) async fn of<E, F: Future<Output = Result<AuthorizerPage, E>>>(
        page: impl Fn(u64) -> F,
    ) -> Result<Self, E> {
        let first = Self::once(&page).await?;
        if first.is_complete {
            return Ok(first);
        }
        let mut second = Self::once(&page).await?;
        // WeChat's total is wrong if it is so twice.
        second.is_complete |= second.missing > 0
            && second.missing == first.missing
            && second.accounts.len() == first.accounts.len();
        Ok(second)
    }

    async fn once<E, F: Future<Output = Result<AuthorizerPage, E>>>(
        page: &impl Fn(u64) -> F,
    ) -> Result<Self, E> {
        let mut accounts = HashMap::new();
        let mut is_complete = true;
        let (mut offset, mut total) = (0, None);
        loop {
            let page = page(offset).await?;
            is_complete &= *total.get_or_insert(page.total) == page.total;
            let read = page.accounts.len() as u64;
            for (app_id, refresh_token, auth_time) in page.accounts {
                let one = Listed {
                    refresh_token,
                    auth_time,
                };
                is_complete &= accounts.insert(app_id, one).is_none();
            }
            offset += read;
            if read == 0 || offset >= page.total {
                let missing = page.total.saturating_sub(offset);
                return Ok(Self {
                    accounts,
                    is_complete: is_complete && missing == 0,
                    missing,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::convert::Infallible;

    use super::*;
    use crate::clock::UnixTime;

    /// Reads pages that hold these accounts, in this order. Returns the reading and the number of pages read.
    async fn read(pages: &[(u64, &str)]) -> (Reading, usize) {
        let left = RefCell::new(pages.iter());
        let all = pages.len();
        let page = async |_| {
            let (total, names) = *left.borrow_mut().next().unwrap();
            let accounts = names.chars();
            let accounts = accounts.map(|name| (name.to_string(), None, UnixTime(0)));
            Ok::<_, Infallible>(AuthorizerPage {
                total,
                accounts: accounts.collect(),
            })
        };
        let Ok(reading) = Reading::of(page).await;
        (reading, all - left.borrow().len())
    }

    fn names(reading: &Reading) -> String {
        let mut names: Vec<_> = reading.accounts.keys().map(String::as_str).collect();
        names.sort_unstable();
        names.concat()
    }

    #[tokio::test]
    async fn a_list_that_changes_while_being_read_is_read_again() {
        let (reading, pages) = read(&[(4, "ab"), (4, "cd")]).await;
        assert_eq!((names(&reading).as_str(), pages), ("abcd", 2));
        assert!(reading.is_complete);
        // `a` leaves, so that `c` moves to the first page.
        let (reading, pages) = read(&[(4, "ab"), (3, "d"), (3, "bc"), (3, "d")]).await;
        assert_eq!((names(&reading).as_str(), pages), ("bcd", 4));
        assert!(reading.is_complete);
        // One leaves and another comes, to the first page.
        let (reading, pages) = read(&[(3, "ab"), (3, "b"), (3, "xa"), (3, "a"), (3, "")]).await;
        assert_eq!(pages, 4);
        assert!(!reading.is_complete);
        // A page comes back empty, once or always.
        let (reading, _) = read(&[(3, "ab"), (3, ""), (3, "ab"), (3, "c")]).await;
        assert_eq!(names(&reading), "abc");
        assert!(reading.is_complete);
        let (reading, _) = read(&[(3, "ab"), (3, ""), (3, "ab"), (3, "")]).await;
        assert!(reading.is_complete, "the total is wrong");
    }

    #[tokio::test]
    async fn waiting_callers_share_a_read_that_began_after_their_request() {
        let readings = Readings::default();
        let begun = RefCell::new(0);
        let read = || async {
            *begun.borrow_mut() += 1;
            tokio::task::yield_now().await;
            let accounts = HashMap::new();
            Some(Reading {
                accounts,
                is_complete: true,
                missing: 0,
            })
        };
        let ask = || readings.next(read);
        // The others ask while the first one reads: the next reading is for all of them.
        let (first, second, third, fourth) = tokio::join!(ask(), ask(), ask(), ask());
        assert_eq!(*begun.borrow(), 2);
        let [first, second, third, fourth] = [first, second, third, fourth].map(Option::unwrap);
        assert!(!Arc::ptr_eq(&first, &second));
        assert!(Arc::ptr_eq(&second, &third) && Arc::ptr_eq(&second, &fourth));
        assert!(ask().await.is_some());
        assert_eq!(*begun.borrow(), 3);
    }
}
