//! What a push says: the outer document around the encrypted text, and the event inside.

use super::push_crypto::PushRefusal;
use super::xml::Fields;
use super::{AuthorizationCode, EventKind, MAX_PUSH, PushEvent};
use crate::account::is_app_id;
use crate::clock::UnixTime;
use crate::credential::Secret;

/// Returns the encrypted text in the body of a push, as received. Nothing in it is proven until
/// [`super::PushKeys::open`] has checked it. The body's `AppId` or `ToUserName` is ignored: the message inside says whom
/// it is for.
///
/// # Errors
/// [`PushRefusal`] if the body is too large, or not an encrypted push.
pub fn encrypted(body: &[u8]) -> Result<String, PushRefusal> {
    if body.len() > MAX_PUSH {
        return Err(PushRefusal::TooLarge);
    }
    let fields = std::str::from_utf8(body).ok().and_then(Fields::read);
    let fields = fields.ok_or(PushRefusal::Envelope)?;
    let encrypt = fields.get("Encrypt").filter(|text| !text.is_empty());
    encrypt.map(str::to_owned).ok_or(PushRefusal::Envelope)
}

impl PushEvent {
    /// Reads a decrypted message for the platform with this component_appid.
    ///
    /// # Errors
    /// [`PushRefusal`] if it is for another platform, not an event, or lacks a part of it.
    pub fn read(message: &str, component_app_id: &str) -> Result<Self, PushRefusal> {
        let fields = Fields::read(message).ok_or(PushRefusal::Message)?;
        if fields.get("AppId") != Some(component_app_id) {
            return Err(PushRefusal::OtherReceiver);
        }
        Self::of(&fields).ok_or(PushRefusal::Message)
    }

    fn of(fields: &Fields) -> Option<Self> {
        let kind = match fields.get("InfoType")? {
            "component_verify_ticket" => {
                EventKind::Ticket(secret(fields, "ComponentVerifyTicket")?)
            }
            "authorized" | "updateauthorized" => EventKind::Authorized(authorization(fields)?),
            "unauthorized" => EventKind::Unauthorized {
                authorizer: app_id(fields, "AuthorizerAppid")?,
            },
            "notify_third_fasteregister" => EventKind::FastRegistration(registration(fields)?),
            "" => return None,
            other => EventKind::Unknown(bounded(other)),
        };
        Some(Self {
            create_time: time(fields, "CreateTime")?,
            kind,
        })
    }
}

fn authorization(fields: &Fields) -> Option<AuthorizationCode> {
    Some(AuthorizationCode {
        authorizer: app_id(fields, "AuthorizerAppid")?,
        code: secret(fields, "AuthorizationCode")?,
        expires_at: time(fields, "AuthorizationCodeExpiredTime"),
    })
}

/// A failed registration has a status other than 0, and no code.
fn registration(fields: &Fields) -> Option<Option<AuthorizationCode>> {
    if fields.get("status")? != "0" {
        return Some(None);
    }
    Some(Some(AuthorizationCode {
        authorizer: app_id(fields, "appid")?,
        code: secret(fields, "auth_code")?,
        expires_at: None,
    }))
}

fn app_id(fields: &Fields, name: &str) -> Option<String> {
    let id = fields.get(name).filter(|id| is_app_id(id));
    id.map(str::to_owned)
}

fn secret(fields: &Fields, name: &str) -> Option<Secret> {
    let secret = Secret::new(fields.get(name)?);
    secret.check().is_ok().then_some(secret)
}

fn time(fields: &Fields, name: &str) -> Option<UnixTime> {
    let seconds: u64 = fields.get(name)?.parse().ok()?;
    (1..LATEST).contains(&seconds).then_some(UnixTime(seconds))
}

/// Makes an unknown InfoType safe for the log.
fn bounded(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    name.chars().take(64).map(safe).collect()
}

/// The year 2286: a time beyond it is in other units.
const LATEST: u64 = 10_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const PLATFORM: &str = "wxbbd3f07e2945cf2a";

    fn event(fields: &str) -> Result<EventKind, PushRefusal> {
        let message = format!(
            "<xml><AppId>{PLATFORM}</AppId><CreateTime>1413192760</CreateTime>{fields}</xml>"
        );
        let event = PushEvent::read(&message, PLATFORM)?;
        assert_eq!(event.create_time, UnixTime(1_413_192_760));
        Ok(event.kind)
    }

    fn code(authorizer: &str, code: &str, expires_at: Option<u64>) -> AuthorizationCode {
        AuthorizationCode {
            authorizer: authorizer.to_owned(),
            code: Secret::new(code),
            expires_at: expires_at.map(UnixTime),
        }
    }

    #[test]
    fn each_event_is_read() {
        let grant = "<AuthorizerAppid>wx1</AuthorizerAppid><AuthorizationCode>c@@@1</AuthorizationCode>\
            <AuthorizationCodeExpiredTime>1413196360</AuthorizationCodeExpiredTime><PreAuthCode>p</PreAuthCode>";
        let grant_of = code("wx1", "c@@@1", Some(1_413_196_360));
        for (fields, kind) in [
            (
                "<InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>ticket@@@x</ComponentVerifyTicket>".to_owned(),
                EventKind::Ticket(Secret::new("ticket@@@x")),
            ),
            (
                format!("<InfoType>authorized</InfoType>{grant}"),
                EventKind::Authorized(grant_of.clone()),
            ),
            (
                format!("<InfoType>updateauthorized</InfoType>{grant}"),
                EventKind::Authorized(grant_of),
            ),
            (
                "<InfoType>unauthorized</InfoType><AuthorizerAppid>wx1</AuthorizerAppid>".to_owned(),
                EventKind::Unauthorized { authorizer: "wx1".to_owned() },
            ),
            (
                "<InfoType>notify_third_fasteregister</InfoType><appid>wx2</appid><status>0</status>\
                <auth_code>c2</auth_code><info><name>n</name><appid>wx9</appid></info>".to_owned(),
                EventKind::FastRegistration(Some(code("wx2", "c2", None))),
            ),
            (
                "<InfoType>notify_third_fasteregister</InfoType><status>100001</status>".to_owned(),
                EventKind::FastRegistration(None),
            ),
            (
                "<InfoType>order_path_audit_result_notify</InfoType>".to_owned(),
                EventKind::Unknown("order_path_audit_result_notify".to_owned()),
            ),
        ] {
            assert_eq!(event(&fields), Ok(kind), "{fields}");
        }
    }

    #[test]
    fn infotype_is_trimmed() {
        let fields = "<InfoType> <![CDATA[unauthorized ]]>\n</InfoType><AuthorizerAppid>wx1</AuthorizerAppid>";
        let authorizer = "wx1".to_owned();
        assert_eq!(event(fields), Ok(EventKind::Unauthorized { authorizer }));
    }

    #[test]
    fn an_unknown_infotype_is_bounded_and_printable() {
        let long = format!("<InfoType>a\u{7}中\n{}</InfoType>", "x".repeat(500));
        let Ok(EventKind::Unknown(name)) = event(&long) else {
            panic!("an unknown event");
        };
        assert_eq!(name, format!("a???{}", "x".repeat(60)));
    }

    #[test]
    fn an_event_without_a_required_field_is_refused() {
        for fields in [
            "",
            "<InfoType/>",
            "<InfoType>component_verify_ticket</InfoType>",
            "<InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket/>",
            "<InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>a b</ComponentVerifyTicket>",
            "<InfoType>authorized</InfoType><AuthorizerAppid>wx1</AuthorizerAppid>",
            "<InfoType>authorized</InfoType><AuthorizationCode>c</AuthorizationCode>",
            "<InfoType>unauthorized</InfoType><AuthorizerAppid>wx1:../x</AuthorizerAppid>",
            "<InfoType>notify_third_fasteregister</InfoType>",
        ] {
            assert_eq!(event(fields), Err(PushRefusal::Message), "{fields}");
        }
        for time in ["", "0", "-1", "soon", "1413192760000"] {
            let message = format!(
                "<xml><AppId>{PLATFORM}</AppId><CreateTime>{time}</CreateTime><InfoType>x</InfoType></xml>"
            );
            let refusal = PushEvent::read(&message, PLATFORM).unwrap_err();
            assert_eq!(refusal, PushRefusal::Message, "{time}");
        }
    }

    #[test]
    fn an_event_is_refused_only_if_a_field_that_decides_is_repeated() {
        let other =
            "<InfoType>order_path_apply_result_notify</InfoType><list>1</list><list>2</list>";
        let name = "order_path_apply_result_notify".to_owned();
        assert_eq!(event(other), Ok(EventKind::Unknown(name)));
        let ticket = "<InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>t</ComponentVerifyTicket>";
        let grant = "<InfoType>authorized</InfoType><AuthorizerAppid>wx1</AuthorizerAppid>\
            <AuthorizationCode>c</AuthorizationCode>";
        for (fields, repeated, refusal) in [
            (ticket, "<AppId>wx2</AppId>", PushRefusal::OtherReceiver),
            (
                ticket,
                "<CreateTime>1413192761</CreateTime>",
                PushRefusal::Message,
            ),
            (
                ticket,
                "<InfoType>unauthorized</InfoType>",
                PushRefusal::Message,
            ),
            (
                ticket,
                "<ComponentVerifyTicket>u</ComponentVerifyTicket>",
                PushRefusal::Message,
            ),
            (
                grant,
                "<AuthorizerAppid>wx2</AuthorizerAppid>",
                PushRefusal::Message,
            ),
            (
                grant,
                "<AuthorizationCode>d</AuthorizationCode>",
                PushRefusal::Message,
            ),
        ] {
            assert!(event(fields).is_ok(), "{fields}");
            assert_eq!(
                event(&format!("{fields}{repeated}")),
                Err(refusal),
                "{repeated}"
            );
        }
    }

    #[test]
    fn a_ticket_of_another_platform_is_not_read() {
        let message = "<xml><AppId>wx0000000000000000</AppId><CreateTime>1</CreateTime>\
            <InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>t</ComponentVerifyTicket></xml>";
        let refusal = PushEvent::read(message, PLATFORM).unwrap_err();
        assert_eq!(refusal, PushRefusal::OtherReceiver);
    }

    #[test]
    fn an_envelope_is_read_with_and_without_cdata() {
        for body in [
            "<xml><AppId><![CDATA[wx1]]></AppId><Encrypt><![CDATA[a+/=]]></Encrypt></xml>",
            "<xml>\n    <ToUserName>gh_1</ToUserName>\n    <Encrypt>\na+/=\n</Encrypt>\n</xml>\n",
        ] {
            assert_eq!(encrypted(body.as_bytes()), Ok("a+/=".to_owned()));
        }
    }

    #[test]
    fn a_body_that_is_not_an_encrypted_push_or_is_too_large_is_refused() {
        let large = format!("<xml><Encrypt>{}</Encrypt></xml>", "a".repeat(MAX_PUSH));
        for (body, refusal) in [
            (&b""[..], PushRefusal::Envelope),
            (b"<xml><Encrypt/></xml>", PushRefusal::Envelope),
            (b"<xml><AppId>wx1</AppId></xml>", PushRefusal::Envelope),
            (
                b"<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>",
                PushRefusal::Envelope,
            ),
            (b"<xml><Encrypt>\xff</Encrypt></xml>", PushRefusal::Envelope),
            (large.as_bytes(), PushRefusal::TooLarge),
        ] {
            assert_eq!(encrypted(body), Err(refusal));
        }
    }
}
