//! Why a request for accounts is refused, and what to do.

use std::borrow::Cow;
use std::time::Duration;

use crate::actix::ApiKey;
use crate::broker::ChangeRefused;
use crate::endpoint::Problem;
use crate::error::{Error, ProblemCode, Text};
use crate::server::config::Problems;
use crate::store::StoreError;

/// Returns the problem for the holder of this key, who learns no name of an account that the key does not open.
pub(super) fn refused(refused: ChangeRefused, name: &str, key: &ApiKey) -> Problem {
    let detail = refused.to_string();
    let conflict = |detail, hint| Problem::new(ProblemCode::AccountConflict, detail, hint);
    match refused {
        ChangeRefused::ReadOnly(_) => conflict(
            detail,
            Text::new(
                "Accounts of the configuration are read-only here: change its file and reload, or use another name.",
                "配置文件中的账号在此只读：请修改配置文件并重新加载，或改用其他名称。",
            ),
        ),
        ChangeRefused::Authorizer(_) => conflict(
            detail,
            Text::new(
                "It exists until its owner withdraws the authorisation in WeChat's console.",
                "该账号来自第三方平台授权：管理员在微信后台取消授权后会自动移除。",
            ),
        ),
        ChangeRefused::SameApp { app, other } => conflict(
            match key.opens_account(&other) {
                true => format!(
                    "the accounts \"{other}\" and \"{name}\" are the same app {app}: keep one of them"
                ),
                false => detail,
            },
            Text::new(
                "Two accounts of one app would invalidate each other's tokens: use the other account, or remove it first.",
                "同一应用的两个账号会互相使对方的 token 失效：请使用已有账号，或先删除它。",
            ),
        ),
        ChangeRefused::Contested(_) => conflict(
            detail,
            Text::new(
                "Requests for two accounts of one app came at the same time: GET /accounts shows whether one was added; otherwise send this one again.",
                "两个请求同时添加了同一应用：GET /accounts 可查看是否已有一个添加成功；若没有，请重新发送。",
            ),
        ),
        ChangeRefused::Unknown(name) => unknown(&name),
        ChangeRefused::Restored(_) => retry(Problem::new(
            ProblemCode::StoreUnavailable,
            detail,
            Text::new(
                "Nothing was removed: the other nodes notice the loss within seconds. Send the request again then.",
                "未作删除：其他节点会在几秒内发现存储的数据丢失，届时请重新发送请求。",
            ),
        )),
        ChangeRefused::Missing | ChangeRefused::Exists | ChangeRefused::OtherVersion(_) => {
            bad_version(detail)
        }
        ChangeRefused::Store(error) => store_problem(&error),
    }
}

pub(super) fn unknown(name: &str) -> Problem {
    Problem {
        hint: Text::new(
            "GET /accounts lists the accounts that the key manages.",
            "GET /accounts 会列出该 key 可管理的账号。",
        ),
        ..Problem::for_admin(Error::UnknownAccount {
            account: name.to_owned(),
        })
    }
}

pub(super) fn not_loaded() -> Problem {
    retry(Problem::new(
        ProblemCode::AccountsNotLoaded,
        "the accounts of the store have not been read since the start",
        Text::new(
            "Retry. If this lasts, /status says why the store cannot be read.",
            "请稍后重试；若一直如此，/status 会说明存储为何读不到。",
        ),
    ))
}

pub(super) fn bad_version(detail: impl Into<Cow<'static, str>>) -> Problem {
    Problem::new(
        ProblemCode::VersionConflict,
        detail.into(),
        Text::new(
            "Get the account, and send its ETag as If-Match; If-None-Match: * only adds.",
            "请先获取该账号，以其 ETag 作为 If-Match；If-None-Match: * 表示仅新增。",
        ),
    )
}

pub(super) fn store_problem(error: &StoreError) -> Problem {
    if let StoreError::TooLong { .. } = error {
        return Problem::new(
            ProblemCode::BodyTooLarge,
            format!(
                "the account and what it takes from [account_defaults] exceed {MAX_RECORD} bytes"
            ),
            Text::new(
                "Shorten js_safe_domains, js_api_list and open_tag_list, here or in [account_defaults].",
                "请缩短 js_safe_domains、js_api_list 和 open_tag_list（在请求中，或在 [account_defaults] 中）。",
            ),
        );
    }
    if error.needs_operator() {
        return Problem::new(
            ProblemCode::StoreUnavailable,
            error.to_string(),
            Text::new(
                "Nothing was changed, and a retry does not help: correct [store] as the detail says, and restart.",
                "未作修改，重试无效：请按 detail 修正 [store] 配置并重启。",
            ),
        );
    }
    retry(Problem::new(
        ProblemCode::StoreUnavailable,
        error.to_string(),
        Text::new(
            "Nothing was changed, or it is not known. Retry when the store is reachable.",
            "未作修改或结果未知；请在存储恢复后重试。",
        ),
    ))
}

fn retry(problem: Problem) -> Problem {
    Problem {
        retry_after: Some(RETRY_AFTER),
        ..problem
    }
}

/// Names all problems of an account at once.
pub(super) fn invalid(Problems(problems): &Problems) -> Problem {
    let (mut en, mut zh) = (Vec::new(), Vec::new());
    for problem in problems {
        en.push(format!("{}: {}", problem.path, problem.what.en));
        zh.push(format!("{}：{}", problem.path, problem.what.zh));
    }
    let paths: Vec<_> = problems.iter().map(|one| one.path.as_str()).collect();
    let detail = format!("the account has mistakes: {}", paths.join(", "));
    let hint = Text::owned(en.join("; "), zh.join("；"));
    Problem::new(ProblemCode::BadBody, detail, hint)
}

pub(super) fn bad_body() -> Problem {
    Problem::new(
        ProblemCode::BadBody,
        "the body is not a JSON object",
        BODY_HINT,
    )
}

pub(super) const BODY_HINT: Text = Text::new(
    r#"Send the keys of [accounts.NAME] as JSON: {"platform": "official", "app_id": "wx…", "secret": "…", "js_safe_domains": ["example.com"]}."#,
    r#"请以 JSON 发送 [accounts.名称] 中的配置项：{"platform": "official", "app_id": "wx…", "secret": "…", "js_safe_domains": ["example.com"]}。"#,
);

/// As often as a node looks for accounts in its store.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What a store keeps of an account, in bytes.
const MAX_RECORD: usize = 5_500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_error_that_ends_by_itself_asks_for_a_retry() {
        let place = "redis://h".to_owned();
        let other_key = StoreError::OtherKey {
            place: place.clone(),
            key: None,
        };
        assert_eq!(store_problem(&other_key).retry_after, None);
        let slow = StoreError::Slow {
            place,
            within: Duration::from_millis(250),
        };
        assert_eq!(store_problem(&slow).retry_after, Some(RETRY_AFTER));
    }
}
