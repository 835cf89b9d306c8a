//! JSON object bodies.

use serde::de::DeserializeOwned;

/// Parses a JSON object. A derived deserializer would also accept an array (`["…"]`) of the members in
/// declaration order, which is never intended.
pub(crate) fn object<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let is_object = body.trim_ascii_start().starts_with(b"{");
    serde_json::from_slice(body).ok().filter(|_| is_object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Named {
        name: String,
    }

    #[test]
    fn an_array_of_field_values_is_not_an_object() {
        let name = |text: &str| object::<Named>(text.as_bytes()).map(|named| named.name);
        assert_eq!(name(" {\"name\": \"n\"}").as_deref(), Some("n"));
        for text in [r#"["n"]"#, "", "{", "null", r#"{"name": 1}"#] {
            assert_eq!(name(text), None, "{text}");
        }
    }
}
