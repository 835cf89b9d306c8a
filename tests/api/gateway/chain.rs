//! Two gateways in a chain: a second wx-jssdk with the first as upstream, like development behind production.

use super::*;

/// Development behind the base URL `base` of production, with this key of production as the secret of `main`, and a
/// key of its own, [`CRM_KEY`].
async fn development(
    production: &World,
    base: &str,
    secret: &str,
    more: &str,
) -> (Service, TempDir) {
    let hash = KeyHash::of(CRM_KEY);
    let upstream = production.url(base);
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n\
         [[server.api_keys]]\nname = \"dev\"\nsha256 = \"{hash}\"\ncalls = [\"/\"]\n\
         [upstream]\nweixin = \"{upstream}\"\nqyapi = \"{upstream}\"\n\
         [store]\nkind = \"memory\"\n\
         [accounts.main]\napp_id = \"{APP}\"\nsecret = \"{secret}\"\njs_safe_domains = [\"example.com\"]\n\
         {more}"
    );
    let home = TempDir::new().unwrap();
    let settings = settings(&text, home.path());
    let service = Service::start(settings, production.clock.clone()).await;
    (service, home)
}

#[tokio::test]
async fn a_call_passes_two_gateways_with_real_and_virtual_tokens() {
    for production_key in [KEY, VIRTUAL_KEY] {
        let world = World::new().await;
        let (dev, _home) = development(&world, "", production_key, "").await;
        let call =
            |target: String| http::send(dev.admin, get(target).bearer(CRM_KEY).close().text());
        let answer = call(format!("{USERS}?next_openid=")).await.ok();
        assert_eq!(answer["echo"]["path"], USERS, "{answer}");
        world.revoke();
        let answer = call(format!("{USERS}?next_openid=")).await.ok();
        assert_eq!(
            answer["errcode"], 0,
            "the first gateway behind it heals: {answer}"
        );
        let code = world.sandbox.login_code(APP);
        let answer = call(format!(
            "/sns/oauth2/access_token?appid={APP}&code={code}&grant_type=authorization_code"
        ))
        .await
        .ok();
        assert!(answer["openid"].is_string(), "{answer}");
        dev.end().await;
    }
}

#[tokio::test]
async fn a_token_of_production_is_accepted_by_the_development_server() {
    for production_key in [KEY, VIRTUAL_KEY] {
        let world = World::new().await;
        let corp = format!(
            "[accounts.corp]\nplatform = \"work\"\ncorp_id = \"{CORP}\"\nagent_id = 7\nsecret = \"{production_key}\"\njs_safe_domains = [\"example.com\"]\n"
        );
        let (dev, _home) = development(&world, "", production_key, &corp).await;
        let send = |request: Request| http::send(dev.admin, request.close().text());
        for (token_call, ticket_call, call) in [
            (
                format!("/cgi-bin/token?grant_type=client_credential&appid={APP}&secret={CRM_KEY}"),
                "/cgi-bin/ticket/getticket?type=jsapi",
                "/cgi-bin/user/get?next_openid=",
            ),
            (
                format!("/cgi-bin/gettoken?corpid={CORP}&corpsecret={CRM_KEY}"),
                "/cgi-bin/get_jsapi_ticket?type=jsapi",
                "/cgi-bin/user/list?department_id=1",
            ),
        ] {
            let answer = send(get(token_call)).await.ok();
            let token = answer["access_token"].as_str().unwrap().to_owned();
            assert_eq!(
                token.starts_with("wxv_"),
                production_key == VIRTUAL_KEY,
                "{token}"
            );
            for path in [ticket_call, call] {
                let answer = send(get(format!("{path}&access_token={token}"))).await;
                assert_eq!(errcode(&answer), 0, "{path}: {answer:?}");
            }
            let beside_a_key = get(format!("{call}&access_token={token}")).bearer(CRM_KEY);
            let answer = send(beside_a_key).await;
            assert_eq!(errcode(&answer), 0, "{call}: {answer:?}");
        }
        dev.end().await;
    }
}

#[tokio::test]
async fn a_users_token_of_an_unknown_login_passes_two_gateways_with_a_key() {
    let world = World::new().await;
    let (dev, _home) = development(&world, "/wx/main", VIRTUAL_KEY, "").await;
    // As after a restart of both servers.
    let code = world.sandbox.login_code(APP);
    let login = format!(
        "{}/sns/oauth2/access_token?appid={APP}&secret={SECRET}&code={code}&grant_type=authorization_code",
        world.sandbox.url()
    );
    let (_, login) = http::fetch(&login).await;
    let login: Value = serde_json::from_str(&login).unwrap();
    let of = |name: &str| login[name].as_str().unwrap();
    let target = format!(
        "/sns/userinfo?access_token={}&openid={}",
        of("access_token"),
        of("openid")
    );
    let request = get(&target).bearer(CRM_KEY).close().text();
    let user = http::send(dev.admin, request).await.ok();
    assert_eq!(user["openid"], login["openid"], "{user}");
    let received = world.received("/sns/userinfo");
    assert_eq!(received.header("authorization"), None);
    dev.end().await;
}
