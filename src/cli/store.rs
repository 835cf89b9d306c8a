//! `store schema`: prints the statements that create the tables of an SQL store.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Ended, Unusable, file_elsewhere, say};
use crate::error::Text;
use crate::server::config::{Settings, StoreKind};
use crate::store::Store;

#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Print the statements that create the tables, for an administrator · 输出建表语句，供数据库管理员执行
    #[command(
        after_help = "Example · 示例:\n  wx-jssdk store schema --config wx-jssdk.toml | psql wechat"
    )]
    Schema {
        /// The configuration with store.kind = "sql" · 配置文件
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

impl StoreCommand {
    pub(super) fn run(self) -> Result<Ended, Unusable> {
        let Self::Schema { config } = self;
        let settings = Settings::load(config.as_deref())?;
        let StoreKind::Sql { url, table_prefix } = &settings.store.kind else {
            let Text { en, zh } = file_elsewhere(config.as_deref());
            return Err(Unusable::Usage(format!(
                "store.kind is not \"sql\": {en}set it, and store.url\n    store.kind 不是 \"sql\"：{zh}请先设置 store.kind 与 store.url"
            )));
        };
        say(Store::sql_schema(url.expose(), table_prefix)?.trim_end());
        Ok(Ended::Success)
    }
}
