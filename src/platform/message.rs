//! Messages and events of the users of authorised accounts (消息与事件接收URL), and the encrypted replies to them.

use std::fmt::Write as _;

use rand::RngExt as _;

use super::push_crypto::PushKeys;
use super::xml::Fields;
use crate::clock::UnixTime;
use crate::credential::Secret;

/// A decrypted message. Only the fields that every message has, and those of texts and events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserMessage {
    /// The account's original id (原始ID), `gh_…`.
    pub to: String,
    /// The user's openid for the account.
    pub from: String,
    /// When WeChat received it, by WeChat's clock.
    pub create_time: UnixTime,
    /// What it says.
    pub content: UserContent,
}

/// What a user's message says. The text is not for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserContent {
    /// MsgType `text`.
    Text(Secret),
    /// MsgType `event`, with its name.
    Event(String),
    /// Any other MsgType.
    Other,
}

impl UserMessage {
    /// Reads a decrypted message; `None` if it is of another form.
    #[must_use]
    pub fn read(message: &str) -> Option<Self> {
        let fields = Fields::read(message)?;
        let text = |name| {
            let text = fields.get(name).filter(|text| !text.is_empty());
            text.map(str::to_owned)
        };
        let content = match fields.get("MsgType")? {
            "" => return None,
            "text" => UserContent::Text(Secret::new(fields.get("Content")?)),
            "event" => UserContent::Event(text("Event")?),
            _ => UserContent::Other,
        };
        Some(Self {
            to: text("ToUserName")?,
            from: text("FromUserName")?,
            create_time: UnixTime(fields.get("CreateTime")?.parse().ok()?),
            content,
        })
    }

    /// Returns what the test of a platform that goes live (全网发布) expects as the answer to this message; `None`
    /// if it is not of that test.
    pub fn going_live(&self) -> Option<GoingLive> {
        if !TEST_ACCOUNTS.contains(&self.to.as_str()) {
            return None;
        }
        match &self.content {
            UserContent::Text(text) if text.expose() == TEST_TEXT => {
                Some(GoingLive::Reply(format!("{TEST_TEXT}_callback")))
            }
            UserContent::Text(text) => {
                let code = Secret::new(text.expose().strip_prefix(TEST_CODE)?.trim());
                code.check().is_ok().then_some(GoingLive::Redeem(code))
            }
            UserContent::Event(event) => Some(GoingLive::Reply(format!("{event}from_callback"))),
            UserContent::Other => None,
        }
    }

    /// Returns the XML of a reply with a text.
    pub fn text_reply(&self, text: &str, at: UnixTime) -> String {
        let (to, from, text) = (cdata(&self.from), cdata(&self.to), cdata(text));
        format!(
            "<xml><ToUserName>{to}</ToUserName><FromUserName>{from}</FromUserName>\
             <CreateTime>{at}</CreateTime><MsgType><![CDATA[text]]></MsgType><Content>{text}</Content></xml>"
        )
    }
}

/// What WeChat's test of a platform that goes live expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoingLive {
    /// This text as the encrypted reply.
    Reply(String),
    /// An empty answer, and `CODE_from_api` through the API, with the token for which this code is redeemed.
    Redeem(Secret),
}

impl PushKeys {
    /// Encrypts and signs a reply: the body of the answer to a message. `self` are the keys that
    /// [`PushKeys::open`] returned.
    pub fn reply(&self, message: &str, at: UnixTime) -> String {
        let nonce: u32 = rand::rng().random_range(100_000_000..1_000_000_000);
        self.reply_with(rand::random(), &nonce.to_string(), message, at)
    }

    fn reply_with(&self, random: [u8; 16], nonce: &str, message: &str, at: UnixTime) -> String {
        let encrypt = self.encrypt(random, message);
        let signature = self.sign(&at.to_string(), nonce, &encrypt);
        let mut xml = String::with_capacity(encrypt.len() + 256);
        let _ = write!(
            xml,
            "<xml><Encrypt><![CDATA[{encrypt}]]></Encrypt><MsgSignature><![CDATA[{signature}]]></MsgSignature>\
             <TimeStamp>{at}</TimeStamp><Nonce><![CDATA[{nonce}]]></Nonce></xml>"
        );
        xml
    }
}

/// Nothing in the text ends the section.
fn cdata(text: &str) -> String {
    format!("<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>"))
}

/// The original ids of WeChat's test accounts: the official account wx570bc396a51b8ff8, and the mini program
/// wxd101a85aa106f53e.
const TEST_ACCOUNTS: [&str; 2] = ["gh_3c884a361561", "gh_8dad206e9538"];

const TEST_TEXT: &str = "TESTCOMPONENT_MSG_TYPE_TEXT";
const TEST_CODE: &str = "QUERY_AUTH_CODE:";

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::platform::push_crypto::{AesKey, Rotating, SignedPush};
    use crate::platform::push_envelope::encrypted;

    fn message(to: &str, fields: &str) -> Option<UserMessage> {
        UserMessage::read(&format!(
            "<xml><ToUserName><![CDATA[{to}]]></ToUserName><FromUserName><![CDATA[o1]]></FromUserName>\
             <CreateTime>1413192760</CreateTime>{fields}</xml>"
        ))
    }

    fn text(to: &str, text: &str) -> UserMessage {
        let fields =
            format!("<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{text}]]></Content>");
        message(to, &fields).unwrap()
    }

    fn keys(vector: &Value) -> PushKeys {
        let of = |name: &str| vector[name].as_str().unwrap_or_default();
        PushKeys {
            token: Secret::new(of("token")).into(),
            aes_key: AesKey::parse(of("encoding_aes_key")).unwrap().into(),
            receive_id: of("receiveid").to_owned(),
        }
    }

    fn vectors() -> Vec<Value> {
        let file: Value =
            serde_json::from_str(include_str!("../../tests/sign/push_vectors.json")).unwrap();
        file["message_crypto"].as_array().unwrap().clone()
    }

    #[test]
    fn texts_events_and_other_messages_are_read() {
        let read = text("gh_1", "hello <b>");
        assert_eq!((read.to.as_str(), read.from.as_str()), ("gh_1", "o1"));
        assert_eq!(read.create_time, UnixTime(1_413_192_760));
        assert_eq!(read.content, UserContent::Text(Secret::new("hello <b>")));
        assert!(!format!("{read:?}").contains("hello"), "{read:?}");
        let event = message("gh_1", "<MsgType>event</MsgType><Event>LOCATION</Event>").unwrap();
        assert_eq!(event.content, UserContent::Event("LOCATION".to_owned()));
        let image = message("gh_1", "<MsgType>image</MsgType><PicUrl>http://x</PicUrl>").unwrap();
        assert_eq!(image.content, UserContent::Other);
        for fields in [
            "",
            "<MsgType/>",
            "<MsgType>text</MsgType>",
            "<MsgType>event</MsgType>",
        ] {
            assert_eq!(message("gh_1", fields), None, "{fields}");
        }
        assert_eq!(message("", "<MsgType>image</MsgType>"), None);
    }

    #[test]
    fn a_published_message_is_read() {
        let mut vectors = vectors().into_iter();
        let vector = vectors
            .find(|vector| vector["id"] == "work-official-msg")
            .unwrap();
        let read = UserMessage::read(vector["msg"].as_str().unwrap()).unwrap();
        assert_eq!(read.content, UserContent::Text(Secret::new("hello")));
        assert_eq!(read.create_time, UnixTime(1_409_659_813));
    }

    #[test]
    fn only_the_test_accounts_get_the_test_replies() {
        for to in TEST_ACCOUNTS {
            let reply = GoingLive::Reply("TESTCOMPONENT_MSG_TYPE_TEXT_callback".to_owned());
            assert_eq!(text(to, TEST_TEXT).going_live(), Some(reply));
            let code = text(to, "QUERY_AUTH_CODE:queryauthcode@@@x").going_live();
            let redeem = GoingLive::Redeem(Secret::new("queryauthcode@@@x"));
            assert_eq!(code, Some(redeem));
            let event = message(to, "<MsgType>event</MsgType><Event>LOCATION</Event>").unwrap();
            let reply = GoingLive::Reply("LOCATIONfrom_callback".to_owned());
            assert_eq!(event.going_live(), Some(reply));
            for other in ["hello", "QUERY_AUTH_CODE:", "QUERY_AUTH_CODE:a b"] {
                assert_eq!(text(to, other).going_live(), None, "{other}");
            }
        }
        assert_eq!(text("gh_1", TEST_TEXT).going_live(), None);
        assert_eq!(text("gh_1", "QUERY_AUTH_CODE:x").going_live(), None);
    }

    #[test]
    fn a_reply_swaps_sender_and_receiver() {
        let reply = text("gh_1", "x").text_reply("a]]>b&c", UnixTime(1_413_192_761));
        let read = UserMessage::read(&reply).unwrap();
        assert_eq!((read.to.as_str(), read.from.as_str()), ("o1", "gh_1"));
        assert_eq!(read.content, UserContent::Text(Secret::new("a]]>b&c")));
    }

    #[test]
    fn a_reply_is_encrypted_and_signed_as_the_published_messages_are() {
        let mut compared = 0;
        for vector in vectors() {
            let of = |name: &str| vector[name].as_str().unwrap_or_default();
            let (signature, hex) = (of("msg_signature"), of("random_hex"));
            let Ok(at) = of("timestamp").parse() else {
                continue;
            };
            let random = std::array::from_fn(|byte| {
                u8::from_str_radix(&hex[2 * byte..2 * byte + 2], 16).unwrap()
            });
            let reply = keys(&vector).reply_with(random, of("nonce"), of("msg"), UnixTime(at));
            let fields = Fields::read(&reply).unwrap();
            assert_eq!(fields.get("Encrypt"), Some(of("encrypt")), "{vector}");
            assert_eq!(fields.get("MsgSignature"), Some(signature), "{vector}");
            assert_eq!(fields.get("TimeStamp"), Some(of("timestamp")));
            assert_eq!(fields.get("Nonce"), Some(of("nonce")));
            compared += 1;
        }
        assert!(compared >= 8, "{compared}");
    }

    #[test]
    fn the_keys_for_the_reply_are_those_that_the_message_used() {
        let all = vectors();
        let find = |id: &str| all.iter().find(|vector| vector["id"] == id).unwrap();
        let (old, new) = (find("open-ticket-2015"), find("work-official-msg"));
        let (old_keys, new_keys) = (keys(old), keys(new));
        let both = PushKeys {
            token: Rotating {
                current: new_keys.token.current.clone(),
                previous: Some(old_keys.token.current.clone()),
            },
            aes_key: Rotating {
                current: new_keys.aes_key.current.clone(),
                previous: Some(old_keys.aes_key.current.clone()),
            },
            receive_id: old_keys.receive_id.clone(),
        };
        let of = |name: &str| old[name].as_str().unwrap();
        let (_, used) = both
            .open(&SignedPush {
                timestamp: of("timestamp"),
                nonce: of("nonce"),
                msg_signature: of("msg_signature"),
                encrypt: of("encrypt"),
            })
            .unwrap();
        let reply = used.reply("<xml></xml>", UnixTime(1_436_881_300));
        let sealed = encrypted(reply.as_bytes()).unwrap();
        let fields = Fields::read(&reply).unwrap();
        let push = SignedPush {
            timestamp: fields.get("TimeStamp").unwrap(),
            nonce: fields.get("Nonce").unwrap(),
            msg_signature: fields.get("MsgSignature").unwrap(),
            encrypt: &sealed,
        };
        let (message, _) = old_keys.open(&push).unwrap();
        assert_eq!(message.expose(), "<xml></xml>");
        let current_only = PushKeys {
            receive_id: both.receive_id,
            ..new_keys
        };
        assert!(current_only.open(&push).is_err());
    }
}
