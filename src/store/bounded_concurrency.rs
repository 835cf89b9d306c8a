//! Bounded concurrency.

use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// Runs futures as tasks, at most `most` at a time, and returns their results in the order in which they end.
pub(crate) async fn at_most<F>(
    most: usize,
    runtime: &Handle,
    futures: impl IntoIterator<Item = F>,
) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut done = Vec::new();
    for future in futures {
        if running.len() >= most {
            done.extend(running.join_next().await.and_then(Result::ok));
        }
        running.spawn_on(future, runtime);
    }
    done.extend(running.join_all().await);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_result_is_returned_however_few_futures_run_at_once() {
        let numbers = (0..10).map(|n| async move { n });
        let mut results = at_most(3, &Handle::current(), numbers).await;
        results.sort_unstable();
        assert_eq!(results, Vec::from_iter(0..10));
    }
}
