//! The environment: which variables belong to this program, and which setting a wrong name was meant to be.

use std::collections::{HashMap, HashSet};

use config::{Map, Value, ValueKind};

use super::Problems;
use super::section::{join, nearest};
use crate::error::Text;

/// Returns the environment variables with this program's prefix. Skips names that are not UTF-8; those belong
/// to other programs.
pub(super) fn variables() -> HashMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(OWN))
        .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
        .collect()
}

/// Keeps the variables that set something (`WX_JSSDK__…`). Reports other `WX_JSSDK_…`, which are probably
/// misspelt: a setting that is silently not applied is worse than a refused start.
pub(super) fn settings(
    variables: HashMap<String, String>,
    defaults: &Map<String, Value>,
    problems: &mut Problems,
) -> HashMap<String, String> {
    let (settings, others): (HashMap<_, _>, HashMap<_, _>) = variables
        .into_iter()
        .filter(|(name, _)| name.starts_with(OWN))
        .partition(|(name, _)| name.starts_with(PREFIX));
    let mut unknown: Vec<_> = others
        .into_iter()
        .filter(|(name, value)| {
            !is_service_link(name, value) && !OTHER_USES.contains(&name.as_str())
        })
        .map(|(name, _)| name)
        .collect();
    unknown.sort();
    for name in unknown {
        let (en, zh) = match meant(&name, defaults) {
            Some(meant) => (
                format!("did you mean {meant}?"),
                format!("是否想写 {meant}？"),
            ),
            None => (
                format!(
                    "write {PREFIX} and the setting, two underscores for each dot: {PREFIX}SERVER__LISTEN"
                ),
                format!("应为 {PREFIX} 加配置项，每个点换成两个下划线：{PREFIX}SERVER__LISTEN"),
            ),
        };
        problems.add(
            &name,
            format!("unknown environment variable; {en}"),
            format!("无法识别的环境变量；{zh}"),
        );
    }
    settings
}

/// Names the variable in each problem of a value that the environment set: the file may have another one.
pub(super) fn name_variables(variables: &HashMap<String, String>, problems: &mut Problems) {
    if variables.is_empty() {
        return;
    }
    let names: HashSet<_> = variables.keys().map(|name| name.to_uppercase()).collect();
    for problem in &mut problems.0 {
        let Text { en, zh } = &problem.what;
        let mut variables = variables_of(&problem.path);
        variables.retain(|variable| names.contains(variable) && !en.contains(variable));
        if !variables.is_empty() {
            problem.what = Text::owned(
                format!("{en} (from the environment: {})", variables.join(", ")),
                format!("{zh}（来自环境变量 {}）", variables.join("、")),
            );
        }
    }
}

/// Returns the variables that set what a problem is about: a certificate and its key are one setting.
fn variables_of(path: &str) -> Vec<String> {
    match path {
        "server.tls" | "server.admin_tls" => ["cert", "key"]
            .map(|key| variable(&format!("{path}.{key}")))
            .into(),
        _ => vec![variable(path)],
    }
}

/// Returns the variable that sets the key at a dotted path.
pub(super) fn variable(path: &str) -> String {
    format!("{PREFIX}{}", upper(path))
}

fn upper(path: &str) -> String {
    path.to_uppercase().replace('.', "__")
}

/// Returns the variable that was probably meant. `name` is a variable, or the path that it would set.
pub(super) fn meant(name: &str, defaults: &Map<String, Value>) -> Option<String> {
    let upper_case = upper(name);
    let name = if upper_case.starts_with(OWN) {
        upper_case
    } else {
        variable(name)
    };
    let rest = name
        .strip_prefix(OWN)
        .unwrap_or(&name)
        .trim_start_matches('_');
    // The name of an account or key is the operator's, so only its place can be checked.
    for list in [
        "ACCOUNTS",
        "PLATFORMS",
        "SERVER__API_KEYS",
        "NOTIFY__WEBHOOKS",
    ] {
        let parts = list.split("__").count() + 2;
        if rest.starts_with(list) && rest.split("__").count() == parts {
            return Some(format!("{PREFIX}{rest}")).filter(|meant| *meant != name);
        }
        if flat(rest).starts_with(&flat(list)) {
            return Some(format!("{PREFIX}{list}__NAME__KEY"));
        }
    }
    let mut paths = Vec::new();
    leaves("", defaults, &mut paths);
    let farthest = FARTHEST.min(rest.len() / 3);
    let path = nearest(rest, paths, farthest, |name| flat(&upper(name)))?;
    Some(variable(&path))
}

/// Returns the name with single underscores: most mistakes are in their number.
fn flat(name: &str) -> String {
    name.split('_')
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("_")
}

/// Collects the dotted paths of all settings that are not sections.
fn leaves(path: &str, table: &Map<String, Value>, paths: &mut Vec<String>) {
    for (key, value) in table {
        let path = join(path, key);
        match &value.kind {
            ValueKind::Table(table) => leaves(&path, table, paths),
            _ => paths.push(path),
        }
    }
}

/// Returns whether Kubernetes sets this variable, for a service whose name begins with wx-jssdk.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_address = name.rsplit_once("_PORT_").is_some_and(|(_, port)| {
        let mut parts = port.split('_');
        parts
            .next()
            .is_some_and(|number| number.parse::<u16>().is_ok())
            && parts
                .next()
                .is_some_and(|protocol| ["TCP", "UDP", "SCTP"].contains(&protocol))
    });
    is_address
        || name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && value.contains("://"))
}

/// Prefix of this program's environment variables.
const OWN: &str = "WX_JSSDK_";

/// Prefix of the variables that set something. Longer than `OWN`, because Kubernetes sets `WX_JSSDK_PORT` and
/// the like.
const PREFIX: &str = "WX_JSSDK__";

/// The command line's API key; the service of the examples' development servers; the commit in a build.
const OTHER_USES: [&str; 3] = ["WX_JSSDK_API_KEY", "WX_JSSDK_URL", "WX_JSSDK_COMMIT"];

/// Largest distance of a misspelt name.
const FARTHEST: usize = 3;
