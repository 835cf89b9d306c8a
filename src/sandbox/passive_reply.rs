//! Replies to messages: the encrypted answer of a platform, as WeChat reads it.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;

use super::going_live_check::TEST_ACCOUNTS;
use super::push_crypto::{PushKey, signature};

/// A message whose answer may be a reply.
#[derive(Clone)]
pub(super) struct Answered {
    pub(super) component: String,
    pub(super) app_id: String,
    pub(super) user: String,
    /// The push token and the key of the message, which the reply must use too.
    pub(super) token: String,
    pub(super) key: PushKey,
}

impl Answered {
    /// Returns the text of a reply; `None` if the answer is not a reply.
    pub(super) fn read(&self, answer: &str) -> Result<Option<String>, String> {
        if matches!(answer, "" | "success") {
            return Ok(None);
        }
        let fields = fields(answer).ok_or("the reply is not XML")?;
        let field = |name: &str| {
            let found = fields.get(name).map(String::as_str);
            found.ok_or_else(|| format!("the reply has no {name}"))
        };
        let encrypt = field("Encrypt")?;
        let expected = signature(&[&self.token, field("TimeStamp")?, field("Nonce")?, encrypt]);
        if field("MsgSignature")? != expected {
            return Err("the reply's MsgSignature is not that of the message's token".to_owned());
        }
        let (message, receiver) = self
            .key
            .decrypt(encrypt)
            .ok_or("the reply is not encrypted with the message's key")?;
        if receiver != self.component {
            return Err("the reply is encrypted for another platform".to_owned());
        }
        self.text_of(&message)
    }

    fn text_of(&self, message: &str) -> Result<Option<String>, String> {
        let fields = fields(message).ok_or("the decrypted reply is not XML")?;
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        if field("ToUserName") != self.user || field("FromUserName") != original_id(&self.app_id) {
            return Err("ToUserName and FromUserName of the reply are not swapped".to_owned());
        }
        if field("CreateTime").parse::<u64>().is_err() {
            return Err("CreateTime of the reply is not a time".to_owned());
        }
        match field("MsgType") {
            "text" => Ok(Some(field("Content").to_owned())),
            "" => Err("the reply has no MsgType".to_owned()),
            _ => Ok(None),
        }
    }
}

/// Returns an account's original id (原始ID).
pub(super) fn original_id(app_id: &str) -> String {
    let mut tests = TEST_ACCOUNTS.iter();
    match tests.find(|(known, _)| *known == app_id) {
        Some((_, id)) => (*id).to_owned(),
        None => format!("gh_{}", app_id.get(2..14).unwrap_or(app_id)),
    }
}

/// Returns the texts of a flat document by their names.
fn fields(document: &str) -> Option<BTreeMap<String, String>> {
    let mut reader = Reader::from_str(document);
    reader.config_mut().expand_empty_elements = true;
    let (mut fields, mut path) = (BTreeMap::new(), Vec::<String>::new());
    loop {
        let text = match reader.read_event().ok()? {
            Event::Start(tag) => {
                path.push(tag.name().as_ref().to_owned());
                continue;
            }
            Event::End(_) => {
                path.pop()?;
                continue;
            }
            Event::Text(text) => text.to_string(),
            Event::CData(text) => text.to_string(),
            Event::GeneralRef(name) => match name.resolve_char_ref().ok()? {
                Some(character) => character.to_string(),
                None => resolve_xml_entity(&name)?.to_owned(),
            },
            Event::Decl(_) | Event::Comment(_) => continue,
            Event::Eof => return (path.is_empty() && !fields.is_empty()).then_some(fields),
            _ => return None,
        };
        if let [_, name] = path.as_slice() {
            fields
                .entry(name.clone())
                .or_insert_with(String::new)
                .push_str(&text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_may_have_empty_elements_comments_and_character_references() {
        let answered = Answered {
            component: "wx1".to_owned(),
            app_id: TEST_ACCOUNTS[0].0.to_owned(),
            user: "oUser".to_owned(),
            token: "token".to_owned(),
            key: PushKey::read(&"a".repeat(43)).unwrap(),
        };
        let reply = format!(
            "<xml><!-- made by an SDK --><ToUserName>oUser</ToUserName><FromUserName>{}</FromUserName>\
             <CreateTime>1</CreateTime><MsgType>text</MsgType><FuncFlag/><Content>a&#10;b</Content></xml>",
            TEST_ACCOUNTS[0].1
        );
        assert_eq!(answered.text_of(&reply), Ok(Some("a\nb".to_owned())));
    }
}
