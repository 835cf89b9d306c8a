//! Reads the flat XML documents of pushes: `<xml>` with fields that contain text or CDATA.
//!
//! No DTD, no entities but the five of XML itself, no comments or processing instructions, limited depth and
//! size. Fields below another field (`<info><name>`) are skipped, so they cannot pass for fields of the document.

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;

/// The fields of a document, the last one read at the end. A field that occurs twice has no value, because readers
/// differ in which one counts.
#[derive(Default)]
pub(super) struct Fields(Vec<(String, Option<String>)>);

impl Fields {
    /// Reads a document; `None` if it is not of the described form.
    pub(super) fn read(document: &str) -> Option<Self> {
        let mut reader = Reader::from_str(document);
        let mut fields = Self::default();
        let mut depth = 0;
        let mut ended = false;
        let mut parts = 0;
        loop {
            let event = reader.read_event().ok()?;
            if let Event::Start(_) | Event::Empty(_) | Event::GeneralRef(_) = event {
                parts += 1;
                if parts > MOST_PARTS {
                    return None;
                }
            }
            match event {
                Event::Start(_) if ended => return None,
                Event::Start(tag) => {
                    match depth {
                        0 if tag.name().as_ref() != "xml" => return None,
                        1 => fields.begin(tag.name().as_ref())?,
                        DEEPEST.. => return None,
                        _ => {}
                    }
                    depth += 1;
                }
                Event::Empty(_) if depth == 0 || depth >= DEEPEST => return None,
                Event::Empty(tag) if depth == 1 => fields.begin(tag.name().as_ref())?,
                Event::Empty(_) => {}
                Event::End(_) => {
                    depth -= 1;
                    ended = depth == 0;
                }
                Event::Text(text) => fields.append(&text, depth)?,
                Event::CData(text) if depth > 1 => fields.append(&text, depth)?,
                Event::GeneralRef(name) if depth > 1 => {
                    let character = name.resolve_char_ref().ok()?;
                    match character {
                        Some(character) => {
                            fields.append(character.encode_utf8(&mut [0; 4]), depth)?;
                        }
                        None => fields.append(resolve_xml_entity(&name)?, depth)?,
                    }
                }
                Event::Decl(_) if depth == 0 && !ended => {}
                Event::Eof => break,
                _ => return None,
            }
        }
        for (_, value) in &mut fields.0 {
            *value = value.as_deref().map(|value| value.trim().to_owned());
        }
        ended.then_some(fields)
    }

    /// Returns a field's text without surrounding blanks; `None` if the document does not have the field exactly
    /// once. Names are case-sensitive.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0[self.position(name)?].1.as_deref()
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|(field, _)| field == name)
    }

    fn begin(&mut self, name: &str) -> Option<()> {
        let value = match self.position(name) {
            Some(first) => {
                self.0.remove(first);
                None
            }
            None => Some(String::new()),
        };
        let has_room = self.0.len() < MOST_FIELDS;
        has_room.then(|| self.0.push((name.to_owned(), value)))
    }

    /// Adds text to the field that is open. Outside of fields, only white space is allowed.
    fn append(&mut self, text: &str, depth: usize) -> Option<()> {
        match depth {
            0 | 1 => return text.trim().is_empty().then_some(()),
            2 => {
                if let Some(value) = &mut self.0.last_mut()?.1 {
                    value.push_str(text);
                }
            }
            _ => {}
        }
        Some(())
    }
}

const DEEPEST: usize = 8;

const MOST_FIELDS: usize = 64;

/// Maximum number of elements and references together. Each takes a microsecond or two, and the sender is not
/// known yet. An event that lists a hundred accounts has less than a thousand elements.
const MOST_PARTS: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::Fields;

    fn read(document: &str, name: &str) -> Option<String> {
        Fields::read(document)?.get(name).map(str::to_owned)
    }

    #[test]
    fn text_cdata_white_space_and_the_five_entities_are_read() {
        for document in [
            "<xml><A>x&lt;y</A></xml>",
            "<xml>\n  <A><![CDATA[x<y]]></A>\n</xml>\n",
            "<xml><A> <![CDATA[x<]]>y </A></xml>",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<xml a=\"1\"><B/><A>x&#60;y</A></xml>",
        ] {
            assert_eq!(read(document, "A").as_deref(), Some("x<y"), "{document}");
        }
        assert_eq!(
            read("<xml><A>&lt;&gt;&amp;&quot;&apos;</A></xml>", "A").as_deref(),
            Some("<>&\"'")
        );
        assert_eq!(read("<xml><A/></xml>", "A").as_deref(), Some(""));
        assert_eq!(read("<xml><a>1</a></xml>", "A"), None, "case-sensitive");
    }

    #[test]
    fn fields_below_another_field_are_not_fields_of_the_document() {
        let document = "<xml><info><A>inner</A><B/>text</info><A>outer</A></xml>";
        assert_eq!(read(document, "A").as_deref(), Some("outer"));
        assert_eq!(read(document, "B"), None);
        let hidden = "<xml><info><![CDATA[</info><A>x</A>]]></info></xml>";
        assert_eq!(read(hidden, "A"), None);
    }

    #[test]
    fn a_repeated_field_has_no_value_and_leaves_the_others_readable() {
        for repeated in ["<A>1</A><A>2</A>", "<A/><A>2</A>", "<A>1</A><A>1</A><A/>"] {
            let document = format!("<xml>{repeated}<B>b</B><A>3</A><C>c</C></xml>");
            assert_eq!(read(&document, "A"), None, "{document}");
            assert_eq!(read(&document, "B").as_deref(), Some("b"), "{document}");
            assert_eq!(read(&document, "C").as_deref(), Some("c"), "{document}");
        }
        let list = "<list><A>1</A></list>".repeat(100);
        let document = format!("<xml><A>a</A>{list}</xml>");
        assert_eq!(read(&document, "A").as_deref(), Some("a"));
    }

    #[test]
    fn a_document_of_too_many_elements_or_references_is_refused() {
        let list = |items| {
            let item = "<list><appid>a</appid><path>p</path><status>0</status></list>";
            format!("<xml><A>a</A>{}</xml>", item.repeat(items))
        };
        assert_eq!(read(&list(500), "A").as_deref(), Some("a"));
        for document in [
            list(512),
            format!("<xml>{}</xml>", "<A/>".repeat(2_048)),
            format!("<xml><A>{}</A></xml>", "&#65;".repeat(2_047)),
            format!("<xml><A>{}</A></xml>", "&lt;".repeat(2_047)),
        ] {
            assert!(Fields::read(&document).is_none(), "{}", &document[..40]);
        }
    }

    #[test]
    fn anything_but_a_flat_document_is_refused() {
        let deep = format!("<xml>{}{}</xml>", "<a>".repeat(9), "</a>".repeat(9));
        let many: String = (0..65).map(|n| format!("<f{n}/>")).collect();
        let many = format!("<xml>{many}</xml>");
        for document in [
            "",
            "success",
            "{\"A\":1}",
            "<xml>",
            "<xml><A>1</A>",
            "<xml><A>1</B></xml>",
            "<xml><A>1</A></xml><xml></xml>",
            "<xml><A>1</A></xml>tail",
            "head<xml><A>1</A></xml>",
            "<xml>text<A>1</A></xml>",
            "<xml>&lt;<A>1</A></xml>",
            "<xml><![CDATA[text]]></xml>",
            "<html><A>1</A></html>",
            "<xml/>",
            "<!DOCTYPE xml [<!ENTITY a \"b\">]><xml><A>&a;</A></xml>",
            "<!DOCTYPE xml SYSTEM \"file:///etc/passwd\"><xml><A>1</A></xml>",
            "<xml><A>&a;</A></xml>",
            "<xml><A>&</A></xml>",
            "<xml><A>&#0;</A></xml>",
            "<xml><A>1<!-- c -->2</A></xml>",
            "<xml><?php x ?><A>1</A></xml>",
            "<xml><A>1</A></xml><!-- c -->",
            &deep,
            &many,
        ] {
            assert!(Fields::read(document).is_none(), "{document}");
        }
    }

    #[test]
    fn the_unclosed_element_of_the_official_sample_is_refused() {
        assert!(Fields::read("<xml><AppId>a</AppId><xml>").is_none());
    }
}
