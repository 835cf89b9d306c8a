//! Pushes to an open platform's URL for authorisation events (授权事件接收URL), and how they can be spoilt.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::UnixTime;

use super::open_platform::OpenPlatform;
use super::passive_reply::{Answered, original_id};
use super::push_crypto::{PushKey, signature};

/// A push that WeChat makes now, built like `Push::ticket().wrong_signature()`.
///
/// Its JSON form is the body of `POST /sandbox/push`.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Push {
    pub(super) what: What,
    /// Of an event.
    pub(super) info_type: String,
    /// AppID of the account that a message is for.
    pub(super) app_id: String,
    /// Openid of a message's sender.
    pub(super) from_user: String,
    /// Of an event or a message, besides those that each has.
    pub(super) fields: BTreeMap<String, String>,
    /// CreateTime, if it is not the sandbox's time.
    pub(super) created_at: Option<UnixTime>,
    pub(super) wrong_signature: bool,
    pub(super) wrong_receiver: bool,
    pub(super) previous_keys: bool,
    pub(super) truncated: bool,
    pub(super) twice: bool,
}

/// Content of a push.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// A new component_verify_ticket.
    #[default]
    Ticket,
    Event,
    /// A message or an event of a user, to the URL for messages.
    Message,
    /// The last push again, to the byte.
    Replay,
}

impl Push {
    /// Returns the push of a new component_verify_ticket.
    pub fn ticket() -> Self {
        Self::default()
    }

    /// Returns the push of an event. It changes nothing in the sandbox; see
    /// [`Sandbox::authorize`](super::Sandbox::authorize) and
    /// [`Sandbox::cancel_authorization`](super::Sandbox::cancel_authorization).
    pub fn event(info_type: impl Into<String>) -> Self {
        Self {
            what: What::Event,
            info_type: info_type.into(),
            ..Self::default()
        }
    }

    /// Returns a text that a user writes to an account. It goes to the URL for messages.
    pub fn message(
        app_id: impl Into<String>,
        from_user: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        Self::of_user(app_id.into(), from_user.into())
            .field("MsgType", "text")
            .field("Content", text)
    }

    /// Returns an event of a user, such as `subscribe`. It goes to the URL for messages.
    pub fn user_event(
        app_id: impl Into<String>,
        from_user: impl Into<String>,
        event: impl Into<String>,
    ) -> Self {
        Self::of_user(app_id.into(), from_user.into())
            .field("MsgType", "event")
            .field("Event", event)
    }

    fn of_user(app_id: String, from_user: String) -> Self {
        Self {
            what: What::Message,
            app_id,
            from_user,
            ..Self::default()
        }
    }

    /// Returns the last push again, to the byte.
    pub fn replay() -> Self {
        Self {
            what: What::Replay,
            ..Self::default()
        }
    }

    /// Adds a field to an event or a message, such as `AuthorizerAppid`.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }

    /// Sets the CreateTime.
    pub fn created_at(mut self, time: UnixTime) -> Self {
        self.created_at = Some(time);
        self
    }

    /// Changes one digit of `msg_signature`.
    pub fn wrong_signature(mut self) -> Self {
        self.wrong_signature = true;
        self
    }

    /// Encrypts it for another platform.
    pub fn wrong_receiver(mut self) -> Self {
        self.wrong_receiver = true;
        self
    }

    /// Signs and encrypts with the token and the key before the current ones.
    pub fn previous_keys(mut self) -> Self {
        self.previous_keys = true;
        self
    }

    /// Sends only the first half of the body.
    pub fn truncated(mut self) -> Self {
        self.truncated = true;
        self
    }

    /// Sends it twice, to the byte; the second time after the first answer.
    pub fn twice(mut self) -> Self {
        self.twice = true;
        self
    }
}

/// What a platform answered to a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushReply {
    /// InfoType of the push; MsgType of a message.
    pub info_type: String,
    /// When it was sent.
    pub at: UnixTime,
    /// HTTP status, or `None` without an answer.
    pub status: Option<u16>,
    /// Body of the answer, at most 4 KiB; without an answer the reason.
    pub body: String,
    /// How long the answer took. In JSON as `took_ms`.
    #[serde(
        rename = "took_ms",
        serialize_with = "to_millis",
        deserialize_with = "from_millis"
    )]
    pub took: Duration,
    /// Text of an encrypted reply to a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// What is wrong with the reply to a message, of which the user then sees nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_problem: Option<String>,
}

impl PushReply {
    /// Returns whether WeChat counts the push as received: 200 with the body `success`.
    pub fn is_success(&self) -> bool {
        self.status == Some(200) && self.body == "success"
    }
}

fn to_millis<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
}

fn from_millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

/// An event or a message before its encryption.
pub(super) struct Message {
    info_type: String,
    /// Of a message: the account's AppID and the user's openid.
    users: Option<(String, String)>,
    fields: Vec<(String, String)>,
}

impl Message {
    pub(super) fn new(info_type: &str) -> Self {
        Self {
            info_type: info_type.to_owned(),
            users: None,
            fields: Vec::new(),
        }
    }

    pub(super) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns the AppID of the account that an event is about.
    pub(super) fn authorizer(&self) -> Option<&str> {
        let mut fields = self.fields.iter();
        let field = fields.find(|(name, _)| name == "AuthorizerAppid");
        field.map(|(_, app_id)| app_id.as_str())
    }

    /// Returns the event or message that `push` describes.
    pub(super) fn of(push: &Push) -> Self {
        let mut message = match push.what {
            What::Message => Self {
                users: Some((push.app_id.clone(), push.from_user.clone())),
                ..Self::new(push.fields.get("MsgType").map_or("", String::as_str))
            },
            _ => Self::new(&push.info_type),
        };
        for (name, value) in &push.fields {
            message = message.field(name, value);
        }
        let has_id = message.users.is_some() && message.info_type != "event";
        if has_id && !push.fields.contains_key("MsgId") {
            message = message.field("MsgId", &new_message_id().to_string());
        }
        message
    }

    /// Numbers come without CDATA, as in a captured push.
    fn xml(&self, app_id: &str, created_at: UnixTime) -> String {
        let mut xml = match &self.users {
            None => format!(
                "<xml><AppId>{}</AppId>\n<CreateTime>{created_at}</CreateTime>\n<InfoType>{}</InfoType>\n",
                cdata(app_id),
                cdata(&self.info_type)
            ),
            Some((account, user)) => format!(
                "<xml><ToUserName>{}</ToUserName>\n<FromUserName>{}</FromUserName>\n<CreateTime>{created_at}</CreateTime>\n",
                cdata(&original_id(account)),
                cdata(user)
            ),
        };
        for (name, value) in &self.fields {
            let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            xml += &match is_number {
                true => format!("<{name}>{value}</{name}>\n"),
                false => format!("<{name}>{}</{name}>\n", cdata(value)),
            };
        }
        xml + "</xml>"
    }
}

/// A push as it is sent.
#[derive(Clone)]
pub(super) struct Sealed {
    pub(super) info_type: String,
    /// Without a question mark.
    pub(super) query: String,
    pub(super) body: String,
    /// Of a message.
    pub(super) answered: Option<Answered>,
}

impl Sealed {
    /// Encrypts and signs a message, in the ways that `how` describes.
    pub(super) fn new(
        settings: &OpenPlatform,
        message: &Message,
        how: &Push,
        wall: UnixTime,
    ) -> Result<Self, String> {
        let (token, key) = match how.previous_keys {
            false => (Some(&settings.push_token), Some(&settings.encoding_aes_key)),
            true => (
                settings.previous_push_token.as_ref(),
                settings.previous_encoding_aes_key.as_ref(),
            ),
        };
        let (Some(token), Some(key)) = (token, key) else {
            return Err(format!("\"{}\" has no previous push keys", settings.app_id));
        };
        let key = PushKey::read(key)
            .ok_or_else(|| "the EncodingAESKey must be 43 letters and digits".to_owned())?;
        let app_id = settings.app_id.as_str();
        let receiver = if how.wrong_receiver { OTHER } else { app_id };
        let xml = message.xml(app_id, how.created_at.unwrap_or(wall));
        let encrypt = key.encrypt(rand::random(), &xml, receiver);
        let (timestamp, nonce) = (wall.to_string(), new_nonce());
        let mut msg_signature = signature(&[token, &timestamp, &nonce, &encrypt]);
        if how.wrong_signature {
            let other = if msg_signature.starts_with('0') {
                "1"
            } else {
                "0"
            };
            msg_signature.replace_range(..1, other);
        }
        let signature = signature(&[token, &timestamp, &nonce]);
        let outer = match &message.users {
            None => format!("<AppId>{}</AppId>", cdata(app_id)),
            Some((account, _)) => {
                format!("<ToUserName>{}</ToUserName>", cdata(&original_id(account)))
            }
        };
        let mut body =
            format!("<xml>\n    {outer}\n    <Encrypt><![CDATA[{encrypt}]]></Encrypt>\n</xml>\n");
        if how.truncated {
            body.truncate(body.len() / 2);
        }
        Ok(Self {
            info_type: message.info_type.clone(),
            query: format!(
                "signature={signature}&timestamp={timestamp}&nonce={nonce}&encrypt_type=aes&msg_signature={msg_signature}"
            ),
            body,
            answered: message.users.as_ref().map(|(account, user)| Answered {
                component: app_id.to_owned(),
                app_id: account.clone(),
                user: user.clone(),
                token: token.clone(),
                key,
            }),
        })
    }
}

/// Returns a text as CDATA, in two parts where it contains the end of one.
fn cdata(text: &str) -> String {
    format!("<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>"))
}

/// Returns a number of 19 digits, which fits into a signed one of 64 bits.
fn new_message_id() -> u64 {
    rand::rng().random_range(1_000_000_000_000_000_000..=i64::MAX as u64)
}

/// Returns nine digits, as observed.
fn new_nonce() -> String {
    rand::rng()
        .random_range(100_000_000..1_000_000_000_u32)
        .to_string()
}

/// The receiver of a push that is for another platform.
const OTHER: &str = "wx0000000000000bad";
