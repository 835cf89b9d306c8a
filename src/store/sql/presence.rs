//! The nodes that share these tables.

use std::time::Duration;

use super::{SqlStore, Text, number};
use crate::clock::UnixTime;
use crate::store::StoreError;
use crate::store::presence::{GONE_AFTER, MOST, Node, PeerNode};
use crate::store::rules::millis;

impl SqlStore {
    /// Ages are measured with the server's clock, since the nodes' clocks may differ.
    pub(in crate::store) async fn announce(
        &self,
        node: &Node,
        now: UnixTime,
    ) -> Result<Vec<PeerNode>, StoreError> {
        let look = self.link.leave_changed_file(self.bound);
        look.await.ok_or_else(|| self.slow())?;
        let time = self.dialect.now();
        let update = format!("UPDATE {{}}nodes SET seen_at = {time} WHERE node = ?");
        let insert = format!("INTO {{}}nodes (node, seen_at) VALUES (?, {time})");
        let remove = format!("DELETE FROM {{}}nodes WHERE seen_at < {time} - ?");
        let select = format!("SELECT node, {time} - seen_at FROM {{}}nodes ORDER BY seen_at DESC");
        let text = node.write();
        let keep = number(millis(GONE_AFTER));
        let rows = self.bounded(async {
            if !self.changed(&update, &[Text(&text)]).await? {
                self.inserted(&insert, &[Text(&text)]).await?;
                self.changed(&remove, &[keep]).await?;
            }
            let rows: Vec<(String, i64)> = self.rows(&select, &[]).await?;
            // Announcements beyond it, for example of a faulty client, displace the oldest.
            for (node, _) in rows.iter().skip(MOST) {
                let delete = "DELETE FROM {}nodes WHERE node = ?";
                self.changed(delete, &[Text(node)]).await?;
            }
            Ok(rows)
        });
        let read = |(node, age): (String, i64)| {
            let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
            (age <= GONE_AFTER).then_some(())?;
            Some(PeerNode {
                node: Node::read(&node)?,
                seen_at: UnixTime(now.0.saturating_sub(age.as_secs())),
            })
        };
        let rows = rows.await?.into_iter();
        let nodes = rows.take(MOST).filter_map(read).collect();
        // Not with the operations of a refresh, which it would delay.
        self.prune(now).await;
        Ok(nodes)
    }
}
