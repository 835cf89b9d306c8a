//! Push encryption, byte for byte: published vectors in both directions, and inputs that must be refused.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use serde_json::Value;
use wx_jssdk::credential::Secret;
use wx_jssdk::platform::push_crypto::{AesKey, InvalidAesKey, Rotating, SignedPush};
use wx_jssdk::platform::push_envelope::encrypted;
use wx_jssdk::platform::{EventKind, MAX_PUSH, PushEvent, PushKeys, PushRefusal};

fn list(name: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("push_vectors.json")).unwrap();
    let list = file[name].as_array().unwrap().clone();
    assert!(!list.is_empty(), "vectors exist: {name}");
    list
}

fn vector(id: &str) -> Value {
    let mut vectors = list("message_crypto").into_iter();
    vectors.find(|vector| vector["id"] == id).unwrap()
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {}", vector["id"]))
}

fn keys(vector: &Value) -> PushKeys {
    PushKeys {
        token: Secret::new(text(vector, "token")).into(),
        aes_key: AesKey::parse(text(vector, "encoding_aes_key"))
            .unwrap()
            .into(),
        receive_id: text(vector, "receiveid").to_owned(),
    }
}

fn push(vector: &Value) -> SignedPush<'_> {
    SignedPush {
        timestamp: text(vector, "timestamp"),
        nonce: text(vector, "nonce"),
        msg_signature: text(vector, "msg_signature"),
        encrypt: text(vector, "encrypt"),
    }
}

fn random(vector: &Value) -> [u8; 16] {
    let hex = text(vector, "random_hex");
    let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
    std::array::from_fn(byte)
}

fn refusal(keys: &PushKeys, push: &SignedPush<'_>) -> PushRefusal {
    keys.open(push).unwrap_err()
}

/// Decodes the 32 bytes of the key, strictly except for the trailing bits.
fn aes_key_bytes(key: &str) -> [u8; 32] {
    let last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let index = last.find(&key[42..]).unwrap() & !3;
    let canonical = format!("{}{}=", &key[..42], &last[index..=index]);
    BASE64_STANDARD
        .decode(canonical)
        .unwrap()
        .try_into()
        .unwrap()
}

/// Encrypts these bytes without any rule of the format: the length must be a multiple of 16.
fn raw(key: &str, mut bytes: Vec<u8>) -> String {
    use cbc::cipher::block_padding::NoPadding;
    use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
    let key = aes_key_bytes(key);
    let iv: [u8; 16] = key[..16].try_into().unwrap();
    let length = bytes.len();
    cbc::Encryptor::<aes::Aes256>::new(&key.into(), &iv.into())
        .encrypt_padded::<NoPadding>(&mut bytes, length)
        .unwrap();
    BASE64_STANDARD.encode(bytes)
}

#[test]
fn every_push_vector_is_decrypted() {
    for vector in list("message_crypto") {
        let opened = keys(&vector).open(&push(&vector));
        let (message, _) = opened.unwrap_or_else(|reason| panic!("{}: {reason}", vector["id"]));
        assert_eq!(message.expose(), text(&vector, "msg"), "{}", vector["id"]);
    }
}

#[test]
fn every_push_vector_is_encrypted_and_signed_to_the_byte() {
    for vector in list("message_crypto") {
        let keys = keys(&vector);
        let encrypted = keys.encrypt(random(&vector), text(&vector, "msg"));
        assert_eq!(encrypted, text(&vector, "encrypt"), "{}", vector["id"]);
        let signature = keys.sign(
            text(&vector, "timestamp"),
            text(&vector, "nonce"),
            &encrypted,
        );
        assert_eq!(
            signature,
            text(&vector, "msg_signature"),
            "{}",
            vector["id"]
        );
    }
}

#[test]
fn every_negative_push_vector_is_refused() {
    for negative in list("negative") {
        let vector = vector(text(&negative, "of"));
        let (mut keys, mut push) = (keys(&vector), push(&vector));
        let upper = push.msg_signature.to_uppercase();
        let expected = match text(&negative, "id") {
            "neg-wrong-receiveid" => {
                keys.receive_id = text(&negative, "expect_receiveid").to_owned();
                PushRefusal::OtherReceiver
            }
            "neg-flipped-byte-signature-kept" => {
                push.encrypt = text(&negative, "encrypt");
                PushRefusal::Signature
            }
            "neg-signature-uppercase" => {
                push.msg_signature = &upper;
                PushRefusal::Signature
            }
            other => panic!("no test reads {other}"),
        };
        assert_eq!(refusal(&keys, &push), expected, "{}", negative["id"]);
    }
}

#[test]
fn the_plain_signature_proves_nothing() {
    for vector in list("message_crypto") {
        let push = SignedPush {
            msg_signature: text(&vector, "signature_plain"),
            ..push(&vector)
        };
        assert_eq!(refusal(&keys(&vector), &push), PushRefusal::Signature);
    }
}

#[test]
fn the_last_character_of_the_aes_key_may_have_trailing_bits() {
    let sample = vector("open-ticket-2015");
    for entry in list("aes_keys_with_trailing_bits") {
        let key = text(&entry, "key");
        let keys = PushKeys {
            aes_key: AesKey::parse(key).unwrap().into(),
            ..keys(&sample)
        };
        let mut bytes = [&[7; 16][..], &[0, 0, 0, 2], b"hi", b"wxbbd3f07e2945cf2a"].concat();
        bytes.resize(64, 24);
        let encrypt = raw(key, bytes);
        assert_eq!(keys.encrypt([7; 16], "hi"), encrypt, "{key}");
    }
}

#[test]
fn an_aes_key_is_43_letters_and_digits_and_is_not_printed() {
    for bad in [
        "",
        &"a".repeat(42),
        &"a".repeat(44),
        &format!("{}=", "a".repeat(42)),
        &format!("{}+", "a".repeat(42)),
        &format!("{} ", "a".repeat(42)),
        &format!("{}中", "a".repeat(40)),
    ] {
        assert_eq!(AesKey::parse(bad).unwrap_err(), InvalidAesKey, "{bad}");
    }
    let keys = keys(&vector("open-ticket-2015"));
    let printed = format!("{keys:?}");
    assert!(
        !printed.contains("senparc") && !printed.contains("0123"),
        "{printed}"
    );
}

#[test]
fn pads_from_17_to_32_are_accepted() {
    let sample = vector("open-ticket-2015");
    let keys = keys(&sample);
    let mut pads = Vec::new();
    for length in 0..32 {
        let message = "x".repeat(length);
        let encrypt = keys.encrypt([7; 16], &message);
        let msg_signature = keys.sign("1", "n", &encrypt);
        let push = SignedPush {
            timestamp: "1",
            nonce: "n",
            msg_signature: &msg_signature,
            encrypt: &encrypt,
        };
        assert_eq!(keys.open(&push).unwrap().0.expose(), message);
        pads.push(32 - (20 + length + 18) % 32);
    }
    pads.sort_unstable();
    assert_eq!(pads, (1..=32).collect::<Vec<_>>());
}

/// Opens an encrypted text that is signed correctly.
fn refusal_of(keys: &PushKeys, encrypt: &str) -> PushRefusal {
    let msg_signature = keys.sign("1", "n", encrypt);
    let push = SignedPush {
        timestamp: "1",
        nonce: "n",
        msg_signature: &msg_signature,
        encrypt,
    };
    refusal(keys, &push)
}

#[test]
fn each_check_refuses_with_its_reason_in_the_order_of_the_checks() {
    let sample = vector("open-ticket-2015");
    let keys = keys(&sample);
    let key = text(&sample, "encoding_aes_key");
    let receiver = b"wxbbd3f07e2945cf2a";
    let sealed = |length: u32, message: &[u8], receiver: &[u8], pad: &[u8]| {
        let bytes = [&[7; 16][..], &length.to_be_bytes(), message, receiver, pad].concat();
        raw(key, bytes)
    };
    let pad = [24; 24];
    for (encrypt, expected) in [
        ("a".repeat(MAX_PUSH + 1), PushRefusal::TooLarge),
        ("a b".to_owned(), PushRefusal::Base64),
        ("a".to_owned(), PushRefusal::Base64),
        (String::new(), PushRefusal::Length),
        (BASE64_STANDARD.encode([1; 40]), PushRefusal::Length),
        (sealed(2, b"hi", receiver, &[0; 24]), PushRefusal::Padding),
        (sealed(2, b"hi", receiver, &[33; 24]), PushRefusal::Padding),
        (
            sealed(2, b"hi", receiver, &[&[23; 1][..], &[24; 23]].concat()),
            PushRefusal::Padding,
        ),
        (raw(key, vec![24; 16]), PushRefusal::Padding),
        (raw(key, vec![32; 32]), PushRefusal::TextLength),
        (raw(key, vec![16; 32]), PushRefusal::TextLength),
        (sealed(21, b"hi", receiver, &pad), PushRefusal::TextLength),
        (
            sealed(u32::MAX, b"hi", receiver, &pad),
            PushRefusal::TextLength,
        ),
        (sealed(2, b"\xff\xff", receiver, &pad), PushRefusal::Utf8),
        (sealed(1, b"hi", receiver, &pad), PushRefusal::OtherReceiver),
        (sealed(3, b"hi", receiver, &pad), PushRefusal::OtherReceiver),
        (
            sealed(2, b"hi", b"wx0000000000000000", &pad),
            PushRefusal::OtherReceiver,
        ),
    ] {
        assert_eq!(refusal_of(&keys, &encrypt), expected);
    }
}

#[test]
fn previous_token_and_key_are_accepted_in_any_combination() {
    let old = vector("open-ticket-2015");
    let new = PushKeys {
        token: Secret::new("new-token").into(),
        aes_key: AesKey::parse(&"b".repeat(43)).unwrap().into(),
        receive_id: "wxbbd3f07e2945cf2a".to_owned(),
    };
    let before = keys(&old);
    let both = PushKeys {
        token: Rotating {
            current: new.token.current.clone(),
            previous: Some(before.token.current.clone()),
        },
        aes_key: Rotating {
            current: new.aes_key.current.clone(),
            previous: Some(before.aes_key.current.clone()),
        },
        receive_id: new.receive_id.clone(),
    };
    for (signing, encrypting) in [
        (&new, &new),
        (&new, &before),
        (&before, &new),
        (&before, &before),
    ] {
        let encrypt = encrypting.encrypt([7; 16], "hello");
        let msg_signature = signing.sign("1", "n", &encrypt);
        let push = SignedPush {
            timestamp: "1",
            nonce: "n",
            msg_signature: &msg_signature,
            encrypt: &encrypt,
        };
        assert_eq!(both.open(&push).unwrap().0.expose(), "hello");
    }
    assert_eq!(refusal(&new, &push(&old)), PushRefusal::Signature);
    let encrypt = before.encrypt([7; 16], "hello");
    assert_eq!(refusal_of(&new, &encrypt), PushRefusal::Padding);
    let other = PushKeys {
        receive_id: "wx0000000000000000".to_owned(),
        ..both
    };
    let reason = refusal_of(&other, &before.encrypt([7; 16], "hello"));
    assert_eq!(
        reason,
        PushRefusal::OtherReceiver,
        "the key that passed more checks"
    );
}

/// The body as WeChat sends it.
fn body(vector: &Value) -> String {
    format!(
        "<xml>\n    <AppId><![CDATA[{}]]></AppId>\n    <Encrypt><![CDATA[{}]]></Encrypt>\n</xml>\n",
        text(vector, "receiveid"),
        text(vector, "encrypt")
    )
}

fn event(vector: &Value) -> PushEvent {
    let encrypt = encrypted(body(vector).as_bytes()).unwrap();
    let push = SignedPush {
        encrypt: &encrypt,
        ..push(vector)
    };
    let keys = keys(vector);
    let (message, _) = keys.open(&push).unwrap();
    PushEvent::read(message.expose(), &keys.receive_id).unwrap()
}

#[test]
fn real_pushes_of_2015_are_read_from_body_to_event() {
    let ticket = event(&vector("open-ticket-2015"));
    let value = "ticket@@@hXh2446N-P9OOZqW4EeuPO9zFXEnAz5Vzc0JaWczBkIqcw2javRF0C_VVdwVYrEwyw1xHOiui7gB0WqKaYPMUQ";
    assert_eq!(ticket.create_time.0, 1_436_881_222);
    assert_eq!(ticket.kind, EventKind::Ticket(Secret::new(value)));
    let unauthorized = event(&vector("open-unauthorized-2015"));
    let authorizer = "wx570bc396a51b8ff8".to_owned();
    assert_eq!(unauthorized.create_time.0, 1_436_876_196);
    assert_eq!(unauthorized.kind, EventKind::Unauthorized { authorizer });
    let EventKind::Authorized(code) = event(&vector("syn-authorized")).kind else {
        panic!("an authorisation");
    };
    assert_eq!(code.authorizer, "wxf8b4f85f3a794e77");
    assert_eq!(code.code.expose(), "queryauthcode@@@abc");
    assert_eq!(code.expires_at.unwrap().0, 1_413_196_360);
}

proptest! {
    #[test]
    fn encrypted_messages_are_decrypted(message in "\\PC{0,300}", random in any::<[u8; 16]>(), nonce in "[0-9]{1,10}") {
        let keys = keys(&vector("open-ticket-2015"));
        let encrypt = keys.encrypt(random, &message);
        let msg_signature = keys.sign("1436881222", &nonce, &encrypt);
        let push = SignedPush { timestamp: "1436881222", nonce: &nonce, msg_signature: &msg_signature, encrypt: &encrypt };
        let (opened, _) = keys.open(&push).unwrap();
        prop_assert_eq!(opened.expose(), message);
    }

    #[test]
    fn any_bytes_are_refused_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), blocks in 1_usize..9) {
        let keys = keys(&vector("open-ticket-2015"));
        let _ = encrypted(&bytes);
        let _ = PushEvent::read(&String::from_utf8_lossy(&bytes), "wx1");
        let mut sealed = bytes;
        sealed.resize(blocks * 16, 9);
        let encrypt = BASE64_STANDARD.encode(sealed);
        let msg_signature = keys.sign("1", "n", &encrypt);
        let push = SignedPush { timestamp: "1", nonce: "n", msg_signature: &msg_signature, encrypt: &encrypt };
        prop_assert!(keys.open(&push).is_err());
    }
}
