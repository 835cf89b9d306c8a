//! The examples' configurations are valid, and their proxies forward the client address.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use wx_jssdk::server::config::{Settings, StoreKind};

use super::support::*;

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(path)
}

/// The cluster's configuration, in a copy that has the AppSecret.
fn cluster() -> Settings {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("accounts")).unwrap();
    for file in ["cluster.toml", "accounts/main.toml"] {
        fs::copy(example("cluster").join(file), home.path().join(file)).unwrap();
    }
    fs::write(home.path().join("accounts/main.secret"), SECRET).unwrap();
    Settings::load(Some(&home.path().join("cluster.toml")))
        .unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn the_cluster_trusts_its_nginx_for_client_addresses() {
    let proxies = cluster().server.proxies;
    let nginx = IpAddr::V4(Ipv4Addr::LOCALHOST);
    assert!(
        proxies.trusted.iter().any(|net| net.contains(&nginx)),
        "{proxies:?}"
    );
    assert_eq!(proxies.header.as_str(), "x-forwarded-for");
}

#[test]
fn the_compose_files_environment_is_a_valid_configuration() {
    let text = fs::read_to_string(example("cluster/compose.yaml")).unwrap();
    let variables = text.lines().filter_map(|line| {
        let (name, value) = line.trim().split_once(": ")?;
        name.starts_with("WX_JSSDK__")
            .then(|| (name.to_owned(), value.replace("&secret ", "")))
    });
    // `${NAME:-DEFAULT}`, as without a profile.
    let variables = variables.map(|(name, value)| match value.split_once(":-") {
        Some((_, default)) => (name, default.trim_end_matches('}').to_owned()),
        None => (name, value),
    });
    let settings = Settings::read("", Path::new(""), variables.collect())
        .unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(settings.accounts[0].0, "main");
    assert!(settings.server.api_keys.find("wxk_compose").is_some());
    assert!(matches!(settings.store.kind, StoreKind::Redis(_)));
    let nginx = text.split_once("ipv4_address: ").unwrap().1;
    let nginx = nginx.split(' ').next().unwrap().parse::<IpAddr>().unwrap();
    assert!(
        settings
            .server
            .proxies
            .trusted
            .iter()
            .any(|net| net.contains(&nginx))
    );
}

#[test]
fn the_kubernetes_manifest_holds_a_valid_configuration() {
    let text = fs::read_to_string(example("kubernetes/wx-jssdk.yaml")).unwrap();
    let map = text.split_once("  wx-jssdk.toml: |\n").unwrap().1;
    let lines = map.split("---").next().unwrap().lines();
    let lines: Vec<_> = lines.map(|line| line.trim_start()).collect();
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("main"), SECRET).unwrap();
    let text = lines.join("\n");
    let there = text.replace("/run/secrets/wx-jssdk", home.path().to_str().unwrap());
    assert_ne!(text, there);
    good(&there);
}

/// Headers that a block passes to nested blocks without their own headers.
fn before_any_server(conf: &str) -> &str {
    let http = conf.split_once("http {").expect("an http block").1;
    http.split_once("server {").expect("a server").0
}

#[test]
fn each_nginx_location_forwards_the_client_address_and_the_admin_host() {
    const FORWARDS: &str = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;";
    const HOST: &str = "proxy_set_header Host $http_host;";
    for file in [
        "cluster/nginx.conf",
        "cluster/compose.nginx.conf",
        "nginx/nginx.conf",
    ] {
        let conf = fs::read_to_string(example(file)).unwrap();
        assert!(before_any_server(&conf).contains(FORWARDS), "{file}");
        // The admin listener checks the name that the browser opened.
        assert!(
            !conf.contains("nodes_admin") || before_any_server(&conf).contains(HOST),
            "{file}"
        );
        // A block with its own headers inherits none from the enclosing block.
        let own = conf
            .split("location ")
            .skip(1)
            .map(|rest| rest.split('}').next().unwrap());
        for location in own.filter(|location| location.contains("proxy_set_header")) {
            assert!(
                location.contains("Host api.weixin.qq.com")
                    || location.contains("Host qyapi.weixin.qq.com"),
                "{file}: {location}"
            );
        }
    }
}
