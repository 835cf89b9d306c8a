//! No secret of a gateway call appears in the log at trace level, in metrics, on the status page, or at WeChat.

use std::collections::BTreeSet;

use super::*;
use crate::common::http::post;
use crate::common::process::alone;
use crate::secrets::Log;
use wx_jssdk::sandbox::{Fault, FaultKind};

#[tokio::test]
async fn no_secret_of_a_call_is_logged_or_shown() {
    if !alone(no_secret_of_a_call_is_logged_or_shown) {
        return;
    }
    let log = Log::default();
    log.listen();
    let world = World::new().await;
    let mut secrets = BTreeSet::from(
        [KEY, CRM_KEY, NO_CALLS_KEY, VIRTUAL_KEY, SECRET, CORP_SECRET].map(str::to_owned),
    );
    let token = world.token(KEY).await;
    let virtual_token = world.token(VIRTUAL_KEY).await;
    let mut shown = String::new();
    for target in [
        format!("{USERS}?access_token={token}"),
        format!("{USERS}?access_token={virtual_token}"),
        format!("/wx/main{USERS}?access_token={KEY}"),
        format!("/wx/corp/cgi-bin/user/list?access_token={KEY}"),
        format!("{USERS}?access_token={NO_CALLS_KEY}"),
        format!("/cgi-bin/%2e%2e/x?access_token={KEY}"),
        format!("{USERS}?access_token={token}&x={CRM_KEY}"),
        format!("/cgi-bin/token?grant_type=client_credential&appid={APP}&secret={SECRET}"),
    ] {
        world.send(get(target)).await;
    }
    let misplaced = get(format!("/credentials/{KEY}/access_token"));
    world.send(misplaced.bearer(KEY)).await;
    let bearer = post(format!("/wx/main{USERS}"))
        .bearer(KEY)
        .close()
        .body("a body that is private");
    world.send_text(bearer).await;
    secrets.insert("a body that is private".into());
    secrets.insert(world.current());
    world.revoke();
    assert_eq!(
        world.get(&format!("{USERS}?access_token={token}")).await["errcode"],
        0
    );
    secrets.insert(world.current());
    for fault in [
        FaultKind::LostReply,
        FaultKind::Status(502),
        FaultKind::NotJson,
    ] {
        world.sandbox.fault(Fault::once(USERS, fault));
        shown += &world
            .send(get(format!("{USERS}?access_token={token}")))
            .await
            .text;
    }
    let code = world.sandbox.login_code(APP);
    let login = world
        .get(&format!("/sns/oauth2/access_token?appid={APP}&secret={KEY}&code={code}&grant_type=authorization_code"))
        .await;
    let user = login["access_token"].as_str().unwrap();
    world
        .get(&format!("/sns/userinfo?access_token={user}&openid=o"))
        .await;
    secrets.extend([user.to_owned(), code]);
    secrets.insert(login["refresh_token"].as_str().unwrap().to_owned());
    secrets.extend([token, virtual_token]);
    for target in ["/metrics", "/status", "/status.json", "/readyz"] {
        shown += &world.send(get(target)).await.text;
    }
    // The sandbox masks credentials in its record; an API key there would have been sent upstream.
    let (_, received) = http::fetch(&format!("{}/sandbox/requests", world.sandbox.url())).await;
    assert!(
        !received.contains("wxk_") && !received.contains("wxv_"),
        "{received}"
    );
    world.sandbox.stop().await;
    world.service.end().await;
    let log = log.text();
    assert!(
        log.contains("TRACE") && log.contains("call repeated"),
        "all levels are there"
    );
    assert!(log.contains("/cgi-bin/user"), "the calls are there");
    for secret in &secrets {
        let found = log
            .lines()
            .chain(shown.lines())
            .find(|line| line.contains(secret));
        assert_eq!(found, None, "{secret}");
    }
}
