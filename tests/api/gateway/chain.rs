//! Two gateways in a chain: a second wx-jssdk with the first as upstream, like development behind production.

use super::*;

#[tokio::test]
async fn a_call_passes_two_gateways_with_real_and_virtual_tokens() {
    for production_key in [KEY, VIRTUAL_KEY] {
        let world = World::new().await;
        let hash = KeyHash::of(CRM_KEY);
        let production = world.url("");
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n\
             [[server.api_keys]]\nname = \"dev\"\nsha256 = \"{hash}\"\ncalls = [\"/\"]\n\
             [upstream]\nweixin = \"{production}\"\nqyapi = \"{production}\"\n\
             [store]\nkind = \"memory\"\n\
             [accounts.main]\napp_id = \"{APP}\"\nsecret = \"{production_key}\"\njs_safe_domains = [\"example.com\"]\n"
        );
        let home = TempDir::new().unwrap();
        let dev = Service::start(settings(&text, home.path()), world.clock.clone()).await;
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
