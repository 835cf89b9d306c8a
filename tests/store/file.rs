//! The file store: durable, readable only by its owner, used by one process, and robust against damaged files.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use futures_util::FutureExt as _;
use tempfile::TempDir;
use wx_jssdk::credential::{Credential, CredentialKey, Kind};
use wx_jssdk::store::{Claim, Document, Saved, Store, StoreError};

use crate::acceptance::{DOCUMENT, Fixture, accept, document};
use crate::common::log::Log;
use crate::common::process::{again, alone, passes};
use crate::support::{GAP, NOW, TICKET, TOKEN, app, credential, impossible, key};

fn fixture() -> Fixture<TempDir> {
    let (directory, path) = place();
    let store = Store::file(path).unwrap();
    Fixture {
        a: store.clone(),
        b: store,
        _alive: directory,
    }
}

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wx-jssdk.redb");
    (directory, path)
}

accept!(fixture());
accept!(documents: fixture());

#[tokio::test]
async fn all_values_survive_a_restart() {
    let (_directory, path) = place();
    let midnight = NOW.next_shanghai_midnight();
    let store = Store::file(&path).unwrap();
    store.save(&key(), &credential(u64::MAX / 2)).await.unwrap();
    store.count_call(&app(), TOKEN, NOW).await.unwrap();
    store
        .set_block(&app(), TICKET, midnight, NOW)
        .await
        .unwrap();
    store
        .claim_refresh(&key(), NOW, GAP, Some(1))
        .await
        .unwrap();
    drop(store);

    let store = Store::file(&path).unwrap();
    assert_eq!(store.load(&key()).await, Ok(Some(credential(u64::MAX / 2))));
    assert_eq!(store.count_call(&app(), TOKEN, NOW).await, Ok(2));
    assert_eq!(
        store.blocked_until(&app(), TICKET, NOW).await,
        Ok(Some(midnight))
    );
    let spent = store
        .claim_refresh(&key(), NOW.plus(GAP), GAP, Some(1))
        .await;
    assert_eq!(spent, Ok(Claim::SpentToday { retry_at: midnight }));
    assert!(!moved_aside(&path).exists(), "the file was not damaged");
}

#[cfg(unix)]
#[test]
fn a_path_that_is_no_regular_file_is_refused_and_left_as_it_is() {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    use std::os::unix::net::UnixListener;
    let (directory, path) = place();
    let _socket = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let fifo = directory.path().join("fifo");
    let made = Command::new("mkfifo")
        .args(["-m", "666"])
        .arg(&fifo)
        .status();
    assert!(made.unwrap().success());
    for refused in [&path, &link, &fifo] {
        let error = Store::file(refused).unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
        let mode = fs::metadata(refused).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o666, "{}", refused.display());
    }
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());
    let entries = fs::read_dir(directory.path()).unwrap();
    assert_eq!(entries.count(), 3, "no lock file was made");
}

#[tokio::test]
async fn a_relative_path_is_the_same_file_after_a_change_of_directory() {
    if !alone(a_relative_path_is_the_same_file_after_a_change_of_directory) {
        return;
    }
    let (directory, path) = place();
    let elsewhere = tempfile::tempdir().unwrap();
    std::env::set_current_dir(directory.path()).unwrap();
    let store = Store::file("wx-jssdk.redb").unwrap();
    std::env::set_current_dir(elsewhere.path()).unwrap();
    store.save(&key(), &credential(1)).await.unwrap();
    drop(store);
    let entries = fs::read_dir(elsewhere.path()).unwrap();
    assert_eq!(entries.count(), 0, "nothing was written there");
    let kept = Store::file(&path).unwrap().load(&key()).await;
    assert_eq!(kept, Ok(Some(credential(1))));
}

#[tokio::test]
async fn documents_survive_a_restart() {
    let (_directory, path) = place();
    let store = Store::file(&path).unwrap();
    for (version, text) in [(0, "{}"), (1, "{\"a\": \"第 二\"}")] {
        let document = document(version, text);
        let saved = store.save_document(DOCUMENT, &document, NOW).await;
        assert_eq!(saved, Ok(Some(version + 1)));
    }
    drop(store);
    let store = Store::file(&path).unwrap();
    let stored = store.load_document(DOCUMENT, NOW).await;
    assert_eq!(stored, Ok(Some(document(2, "{\"a\": \"第 二\"}"))));
    assert!(!moved_aside(&path).exists(), "the file was not damaged");
}

#[tokio::test]
async fn days_before_yesterday_are_removed_from_the_file() {
    let (_directory, path) = place();
    let (mut day, mut days) = (NOW, vec![NOW]);
    for _ in 0..2 {
        day = day.next_shanghai_midnight();
        days.push(day);
    }
    let store = Store::file(&path).unwrap();
    for day in &days {
        store.count_call(&app(), TOKEN, *day).await.unwrap();
    }
    drop(store);
    let store = Store::file(&path).unwrap();
    let mut counts = Vec::new();
    for day in days {
        counts.push(store.calls(&app(), TOKEN, day).await.unwrap());
    }
    assert_eq!(counts, [0, 1, 1]);
}

#[tokio::test]
async fn an_expired_document_is_removed_from_the_file() {
    let (_directory, path) = place();
    let store = Store::file(&path).unwrap();
    let tomorrow = NOW.next_shanghai_midnight();
    let claim = Document {
        expires_at: Some(tomorrow),
        ..Document::new("claim")
    };
    for (now, version) in [(NOW, 1), (tomorrow, 1)] {
        store.count_call(&app(), TOKEN, now).await.unwrap();
        // The successor of an existing document does not count as expired.
        let saved = store.save_document(DOCUMENT, &claim, now).await;
        assert_eq!(saved, Ok(Some(version)));
    }
    drop(store);
    let store = Store::file(&path).unwrap();
    assert!(store.load_document(DOCUMENT, NOW).await.unwrap().is_some());
    store.count_call(&app(), TOKEN, tomorrow).await.unwrap();
    drop(store);
    let store = Store::file(&path).unwrap();
    assert_eq!(store.load_document(DOCUMENT, NOW).await, Ok(None));
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (directory, path) = place();
    drop(Store::file(&path).unwrap());
    for file in fs::read_dir(directory.path()).unwrap() {
        let file = file.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    // A file that was restored with other permissions.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let _store = Store::file(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test]
async fn a_second_store_of_a_file_is_told_that_it_is_in_use() {
    let (_directory, path) = place();
    let first = Store::file(&path).unwrap();
    first.save(&key(), &credential(1)).await.unwrap();
    let error = Store::file(&path).unwrap_err();
    assert_eq!(
        error,
        StoreError::InUse {
            path: path.display().to_string()
        }
    );
    for word in [
        path.to_str().unwrap(),
        "in use by another process, or by another Store of this one",
    ] {
        assert!(error.to_string().contains(word), "{error}");
    }
    assert_eq!(
        first.save(&key(), &credential(2)).await,
        Ok(Saved::Stored),
        "the first process is unaffected"
    );
    assert!(!moved_aside(&path).exists());
    drop(first);
    assert_eq!(
        Store::file(&path).unwrap().load(&key()).await,
        Ok(Some(credential(2))),
        "free as soon as the first is gone"
    );
}

#[test]
fn a_database_that_another_program_has_open_is_left_alone() {
    let (_directory, path) = place();
    let _other = redb::Database::create(&path).unwrap();
    assert_eq!(
        Store::file(&path).unwrap_err(),
        StoreError::InUse {
            path: path.display().to_string()
        }
    );
    assert!(path.exists() && !moved_aside(&path).exists());
}

#[test]
fn a_path_that_cannot_be_written_is_named_with_the_fix() {
    let (directory, path) = place();
    let says = |path: &Path, words: &[&str]| {
        let error = Store::file(path).unwrap_err().to_string();
        for word in words.iter().copied().chain([path.to_str().unwrap()]) {
            assert!(error.contains(word), "{error}");
        }
    };
    says(&path.join("missing/wx-jssdk.redb"), &["wx-jssdk.redb"]);
    says(
        &directory.path().join("missing/wx-jssdk.redb"),
        &["create its directory, or choose another file"],
    );
    fs::create_dir(&path).unwrap();
    says(&path, &["choose a file in it"]);
}

/// Creates a file with three credentials. Returns its bytes.
async fn written(path: &Path) -> Vec<u8> {
    let store = Store::file(path).unwrap();
    for (generation, key) in (1..).zip(keys()) {
        store.save(&key, &credential(generation)).await.unwrap();
    }
    drop(store);
    fs::read(path).unwrap()
}

fn keys() -> Vec<CredentialKey> {
    [Kind::AccessToken, Kind::JsapiTicket, Kind::CardTicket]
        .map(|kind| CredentialKey {
            app: app(),
            kind,
            secret_hash: None,
        })
        .to_vec()
}

/// Opens a store on these bytes: it may serve only saved values, and must accept new ones.
async fn survives(bytes: &[u8], what: &str) -> (usize, bool) {
    let (_directory, path) = place();
    fs::write(&path, bytes).unwrap();
    let store = Store::file(&path).unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut served = 0;
    for (generation, key) in (1..).zip(keys()) {
        let loaded = store.load(&key).await.unwrap();
        assert!(
            loaded.is_none() || loaded == Some(credential(generation)),
            "{what}: {loaded:?} was served"
        );
        served += usize::from(loaded.is_some());
    }
    assert_eq!(
        store.save(&key(), &credential(99)).await,
        Ok(Saved::Stored),
        "{what}"
    );
    (served, moved_aside(&path).exists())
}

fn moved_aside(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.corrupt-1", path.display()))
}

#[tokio::test]
async fn a_torn_file_is_moved_aside_and_never_served() {
    let (_directory, path) = place();
    let bytes = written(&path).await;
    assert_eq!(survives(&bytes, "whole").await, (3, false));
    let lengths = (1..64)
        .chain((64..bytes.len()).step_by(bytes.len() / 100))
        .chain([bytes.len() - 1]);
    for length in lengths {
        let (served, aside) = survives(&bytes[..length], &format!("cut at {length}")).await;
        assert!(
            aside || served == 3,
            "cut at {length}: {served} served, and not reported"
        );
    }
}

#[tokio::test]
async fn a_file_with_flipped_bytes_never_serves_a_wrong_value() {
    let (_directory, path) = place();
    let bytes = written(&path).await;
    let text = b"value-of-2";
    let value = bytes
        .windows(text.len())
        .position(|window| window == text)
        .expect("values are kept as they are");
    let positions = (value - 120..value + 40)
        .step_by(3)
        .chain((0..320).step_by(7))
        .chain((320..bytes.len()).step_by(bytes.len() / 150));
    for at in positions {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        survives(&bytes, &format!("byte {at} flipped")).await;
    }
    let mut bytes = bytes;
    for place in 0..bytes.len() - text.len() {
        if &bytes[place..place + text.len()] == text {
            bytes[place + 3] ^= 0x10;
        }
    }
    assert_eq!(survives(&bytes, "the value itself").await, (0, true));
}

#[tokio::test]
async fn foreign_files_are_moved_aside_each_to_its_own_name() {
    let (_directory, path) = place();
    fs::write(&path, "[store]\nkind = \"file\"\n".repeat(400)).unwrap();
    drop(Store::file(&path).unwrap());
    assert!(
        fs::read_to_string(moved_aside(&path))
            .unwrap()
            .starts_with("[store]"),
        "no value is lost"
    );
    fs::remove_file(&path).unwrap();
    let other = redb::Database::create(&path).unwrap();
    let writing = other.begin_write().unwrap();
    writing
        .open_table(redb::TableDefinition::<u64, u64>::new("somebody else's"))
        .unwrap();
    writing.commit().unwrap();
    drop(other);
    let store = Store::file(&path).unwrap();
    assert!(path.with_extension("redb.corrupt-2").exists());
    assert_eq!(store.save(&key(), &credential(1)).await, Ok(Saved::Stored));
}

#[tokio::test]
async fn a_thousand_writes_at_once_are_all_kept() {
    let (_directory, path) = place();
    let store = Store::file(&path).unwrap();
    let writers: Vec<_> = (0..1_000_u64)
        .map(|n| {
            let (store, key) = (store.clone(), nth(n));
            tokio::spawn(async move {
                store
                    .save(&key, &credential(n))
                    .await
                    .map(|saved| (key, saved))
            })
        })
        .collect();
    let mut keys = Vec::new();
    for writer in writers {
        let (key, saved) = writer.await.unwrap().unwrap();
        assert_eq!(saved, Saved::Stored);
        keys.push(key);
    }
    drop(store);
    let store = Store::file(&path).unwrap();
    for (n, key) in (0..).zip(keys) {
        assert_eq!(store.load(&key).await, Ok(Some(credential(n))));
    }
}

#[tokio::test]
async fn a_cancelled_save_is_still_stored() {
    let (_directory, path) = place();
    let store = Store::file(&path).unwrap();
    let one = credential(1);
    {
        let key = key();
        // The commit is under way, or has ended already.
        drop(store.save(&key, &one).now_or_never());
    }
    assert_eq!(store.ping().await, Ok(()));
    assert_eq!(store.load(&key()).await, Ok(Some(one.clone())));
    drop(store);
    assert_eq!(
        Store::file(&path).unwrap().load(&key()).await,
        Ok(Some(one))
    );
}

/// The store path, in a child process of a test.
fn role() -> Option<PathBuf> {
    std::env::var_os(ROLE).map(PathBuf::from)
}

const ROLE: &str = "JSSDK_TEST_STORE_FILE";

#[test]
fn kill_9_at_any_moment_loses_nothing_that_was_acknowledged() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    if let Some(path) = role() {
        return runtime.block_on(save_for_ever(&path));
    }
    let (_directory, path) = place();
    let mut generation = 0;
    for round in 0..30 {
        let mut child = again(kill_9_at_any_moment_loses_nothing_that_was_acknowledged)
            .env(ROLE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut said: Vec<_> = lines
            .by_ref()
            .filter(|line| line.starts_with("saved"))
            .take(round + 1)
            .collect();
        child.kill().unwrap();
        // Its last output before the kill was acknowledged too.
        said.extend(lines.filter(|line| line.starts_with("saved")));
        child.wait().unwrap();
        let last = said.last().expect("the child saves until it is killed");
        let mut numbers = last
            .split(' ')
            .skip(1)
            .filter_map(|number| number.parse::<u64>().ok());
        generation = numbers.next().unwrap();
        let calls = numbers.next().unwrap();
        let version = numbers.next().unwrap();
        let store = Store::file(&path).unwrap();
        runtime.block_on(async {
            let kept = store.load_document(DOCUMENT, NOW).await.unwrap().unwrap();
            assert!(
                kept.version >= version,
                "round {round}: version {version} was acknowledged, {} is stored",
                kept.version
            );
            let whole = document(kept.version, &text_of(kept.version));
            assert_eq!(kept, whole, "round {round}");
            let kept = store
                .load(&key())
                .await
                .unwrap()
                .map_or(0, |kept| kept.generation);
            assert!(
                kept >= generation,
                "round {round}: {generation} was acknowledged, {kept} is stored"
            );
            assert!(
                store.calls(&app(), TOKEN, NOW).await.unwrap() >= calls,
                "round {round}: {calls} calls"
            );
        });
        assert!(
            !moved_aside(&path).exists(),
            "round {round}: a crash is no corruption"
        );
    }
    assert!(
        generation >= 30 * 31 / 2,
        "each round continued from the previous one"
    );
}

/// Prints each save after it has been acknowledged.
async fn save_for_ever(path: &Path) {
    let store = Store::file(path).unwrap();
    let first = store
        .load(&key())
        .await
        .unwrap()
        .map_or(0, |kept| kept.generation);
    let stored = store.load_document(DOCUMENT, NOW).await.unwrap();
    let mut version = stored.map_or(0, |stored| stored.version);
    for generation in first + 1.. {
        let (key, app, next) = (key(), app(), credential(generation));
        let changed = document(version, &text_of(version + 1));
        let (saved, calls, of_document) = tokio::join!(
            store.save(&key, &next),
            store.count_call(&app, TOKEN, NOW),
            store.save_document(DOCUMENT, &changed, NOW),
        );
        assert_eq!(saved, Ok(Saved::Stored));
        version += 1;
        assert_eq!(of_document, Ok(Some(version)));
        let mut stdout = std::io::stdout();
        writeln!(stdout, "\nsaved {generation} {} {version}", calls.unwrap()).unwrap();
    }
}

/// The text of a document that is changed continually.
fn text_of(version: u64) -> String {
    format!("{{\"refresh_token\":\"refreshtoken@@@{version}\"}}")
}

/// A file size limit stands in for a full disk: writes fail alike, and succeed after the limit is lifted.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported_and_stored_values_stay_until_space_is_free() {
    if let Some(path) = role() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        return runtime.block_on(fill(&path));
    }
    let (_directory, path) = place();
    drop(Store::file(&path).unwrap());
    passes_within_limit(
        again(a_full_disk_is_reported_and_stored_values_stay_until_space_is_free),
        &path,
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_store_that_cannot_be_created_on_a_full_disk_leaves_no_file_behind() {
    let Some(path) = role() else {
        let inner = again(a_store_that_cannot_be_created_on_a_full_disk_leaves_no_file_behind);
        return passes_within_limit(inner, &place().1);
    };
    limit("8192");
    for _ in 0..2 {
        let error = Store::file(&path).expect_err("a full disk").to_string();
        assert!(error.contains("the disk is full"), "{error}");
        assert!(!path.exists() && !moved_aside(&path).exists(), "{error}");
    }
    limit("unlimited");
    assert!(Store::file(&path).is_ok(), "there is space again");
}

/// Like [`passes`], in a process that a file size limit does not end.
#[cfg(target_os = "linux")]
fn passes_within_limit(inner: Command, path: &Path) {
    passes(
        Command::new("bash")
            .args(["-c", "trap '' XFSZ; exec \"$@\"", "bash"])
            .arg(inner.get_program())
            .args(inner.get_args())
            .env(ROLE, path),
    );
}

#[cfg(target_os = "linux")]
async fn fill(path: &Path) {
    let store = Store::file(path).unwrap();
    store.save(&key(), &credential(1)).await.unwrap();
    limit(&fs::metadata(path).unwrap().len().to_string());
    let big = |n: u64| Credential {
        value: "x".repeat(4_000).into(),
        ..credential(n)
    };
    let mut failed = None;
    for n in 2..5_000 {
        let key = nth(n);
        if let Err(error) = store.save(&key, &big(n)).await {
            assert_eq!(
                store.load(&key).await,
                Ok(None),
                "values that are not on disk are not returned"
            );
            failed = Some((key, error));
            break;
        }
    }
    let (failed, error) = failed.expect("twenty megabytes are more than the limit");
    for word in [
        path.to_str().unwrap(),
        "the disk is full",
        "free some space",
    ] {
        assert!(error.to_string().contains(word), "{error}");
    }
    assert_eq!(
        store.load(&key()).await,
        Ok(Some(credential(1))),
        "a failed write removes no value"
    );
    assert!(store.ping().await.is_err());
    assert!(
        store
            .claim_refresh(&key(), NOW, GAP, Some(20))
            .await
            .is_err()
    );
    assert_eq!(
        store.claim_refresh(&key(), NOW, GAP, Some(20)).await,
        Ok(Claim::TooSoon {
            retry_at: NOW.plus(GAP)
        }),
        "still limited"
    );
    limit("unlimited");
    assert_eq!(store.ping().await, Ok(()), "there is space again");
    assert!(
        store.load(&failed).await.unwrap().is_some(),
        "and the pending values are on disk"
    );
    drop(store);
    let store = Store::file(path).unwrap();
    assert_eq!(store.load(&key()).await, Ok(Some(credential(1))));
    assert!(store.load(&failed).await.unwrap().is_some());
    assert!(!moved_aside(path).exists());
}

#[cfg(target_os = "linux")]
fn limit(bytes: &str) {
    let limit = format!("--fsize={bytes}:");
    assert!(
        Command::new("prlimit")
            .args(["--pid", &std::process::id().to_string(), &limit])
            .status()
            .unwrap()
            .success()
    );
}

/// The name of an action, and the action.
type Meddling = (&'static str, fn(&Path));

/// Returns actions of other programs on the file of a store in use, with an older copy beside it.
fn meddling() -> Vec<Meddling> {
    fn cut(path: &Path, length: u64) {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_len(length).unwrap();
    }
    vec![
        ("deleted", |path| fs::remove_file(path).unwrap()),
        ("deleted with its lock", |path| {
            fs::remove_file(path).unwrap();
            fs::remove_file(lock_of(path)).unwrap();
        }),
        ("moved away", |path| {
            fs::rename(path, path.with_extension("gone")).unwrap();
        }),
        ("emptied", |path| cut(path, 0)),
        ("truncated", |path| {
            cut(path, fs::metadata(path).unwrap().len() / 2);
        }),
        ("replaced by an older copy", |path| {
            fs::rename(path.with_extension("old"), path).unwrap();
        }),
        ("written over by an older copy", |path| {
            fs::write(path, fs::read(path.with_extension("old")).unwrap()).unwrap();
        }),
        ("replaced by rubbish", |path| {
            fs::remove_file(path).unwrap();
            fs::write(path, "rubbish").unwrap();
        }),
        ("damaged", damage),
    ]
}

fn lock_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.lock", path.display()))
}

/// Overwrites every page but the first.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    for (at, byte) in bytes.iter_mut().enumerate().skip(4_096) {
        *byte ^= u8::try_from(at % 251).unwrap() | 1;
    }
    use std::io::Seek as _;
    let mut file = fs::File::options().write(true).open(path).unwrap();
    file.seek(std::io::SeekFrom::Start(4_096)).unwrap();
    file.write_all(&bytes[4_096..]).unwrap();
}

/// A store with two generations of one credential, and a copy of the file with the first.
async fn in_use(path: &Path) -> Store {
    let store = Store::file(path).unwrap();
    store.save(&key(), &credential(1)).await.unwrap();
    fs::copy(path, path.with_extension("old")).unwrap();
    store.save(&key(), &credential(2)).await.unwrap();
    store.count_call(&app(), TOKEN, NOW).await.unwrap();
    store
}

#[tokio::test]
async fn a_file_deleted_replaced_cut_or_damaged_is_rewritten_from_memory() {
    for (what, meddle) in meddling() {
        for by_a_write in [false, true] {
            let (_directory, path) = place();
            let store = in_use(&path).await;
            meddle(&path);
            let expected = if by_a_write { 3 } else { 2 };
            if by_a_write {
                let saved = store.save(&key(), &credential(3)).await;
                assert_eq!(saved, Ok(Saved::Stored), "{what}");
            } else {
                assert_eq!(store.ping().await, Ok(()), "{what}");
            }
            assert_eq!(
                store.load(&key()).await,
                Ok(Some(credential(expected))),
                "{what}"
            );
            assert!(Store::file(&path).is_err(), "{what}: it is in use");
            drop(store);
            let store = Store::file(&path).unwrap();
            assert_eq!(
                store.load(&key()).await,
                Ok(Some(credential(expected))),
                "{what}, after a restart"
            );
            assert_eq!(store.calls(&app(), TOKEN, NOW).await, Ok(1), "{what}");
        }
    }
}

#[test]
fn a_change_is_saved_while_the_runtime_has_no_thread_for_it() {
    let (_directory, path) = place();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().max_blocking_threads(1);
    runtime.build().unwrap().block_on(async {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let occupied = tokio::task::spawn_blocking(move || released.recv());
        let store = Store::file(&path).unwrap();
        let saved = store.save(&key(), &credential(1)).await;
        drop(release);
        assert_eq!(saved, Ok(Saved::Stored));
        assert!(occupied.await.unwrap().is_err());
    });
}

#[tokio::test]
async fn a_change_to_the_file_just_before_the_end_is_noticed_at_the_end() {
    for (what, meddle) in meddling() {
        let (_directory, path) = place();
        let store = in_use(&path).await;
        meddle(&path);
        drop(store);
        let kept = Store::file(&path).unwrap().load(&key()).await;
        assert_eq!(kept, Ok(Some(credential(2))), "{what}");
    }
}

#[tokio::test]
async fn with_file_and_lock_gone_a_second_process_cannot_own_the_path_unnoticed() {
    if !alone(with_file_and_lock_gone_a_second_process_cannot_own_the_path_unnoticed) {
        return;
    }
    let log = Log::default();
    log.listen_everywhere();
    let (_directory, path) = place();
    let first = in_use(&path).await;
    let in_use = StoreError::InUse {
        path: path.display().to_string(),
    };
    fs::remove_file(&path).unwrap();
    fs::remove_file(lock_of(&path)).unwrap();
    let second = Store::file(&path).unwrap();
    second.save(&key(), &credential(9)).await.unwrap();
    assert_eq!(first.ping().await, Err(in_use.clone()));
    assert_eq!(
        first.save(&key(), &credential(10)).await,
        Err(in_use),
        "the second process's file is left alone"
    );
    let words = "store lock was deleted and is now held by another process";
    assert_eq!(log.about(words).len(), 1, "{}", log.text());
    assert_eq!(second.ping().await, Ok(()));
    drop(second);
    // The path is free again: the first process takes it back and writes all its values.
    assert_eq!(first.ping().await, Ok(()));
    assert!(Store::file(&path).is_err());
    drop(first);
    let kept = Store::file(&path).unwrap().load(&key()).await;
    assert_eq!(kept, Ok(Some(credential(10))));
}

#[tokio::test]
async fn an_error_of_the_lock_file_names_it_and_blames_no_other_process() {
    if !alone(an_error_of_the_lock_file_names_it_and_blames_no_other_process) {
        return;
    }
    let log = Log::default();
    log.listen_everywhere();
    let (_directory, path) = place();
    let store = in_use(&path).await;
    fs::remove_file(lock_of(&path)).unwrap();
    fs::create_dir(lock_of(&path)).unwrap();
    let error = store.ping().await.unwrap_err().to_string();
    let expected = format!("{}: this is a directory", lock_of(&path).display());
    assert!(error.starts_with(&expected), "{error}");
    let blamed = log.about("held by another process");
    assert!(blamed.is_empty(), "{blamed:?}");
    fs::remove_dir(lock_of(&path)).unwrap();
    assert_eq!(store.ping().await, Ok(()));
}

/// In the child: performs every action on the file; the last write is the destructor's.
async fn meddled_with(path: &Path) {
    for (what, meddle) in meddling() {
        for unnoticed in [false, true] {
            let _ = fs::remove_file(path);
            let store = in_use(path).await;
            let before = fs::metadata(path).unwrap().modified().unwrap();
            meddle(path);
            if unnoticed && path.exists() {
                // Like a failing disk: the modification time is unchanged, and redb reads the damage.
                let file = fs::File::options().write(true).open(path).unwrap();
                file.set_modified(before).unwrap();
            }
            eprintln!("case: {what}, unnoticed: {unnoticed}");
            for generation in 3..40 {
                let saved = store.save(&key(), &credential(generation)).await;
                assert_eq!(saved, Ok(Saved::Stored), "{what}");
            }
            drop(store);
            let kept = Store::file(path).unwrap().load(&key()).await;
            assert_eq!(kept, Ok(Some(credential(39))), "{what}");
        }
    }
    // More than redb caches: it reads the damaged pages during a write.
    let _ = fs::remove_file(path);
    let store = Store::file(path).unwrap();
    save_many(&store, 1).await;
    let before = fs::metadata(path).unwrap().modified().unwrap();
    damage(path);
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(before).unwrap();
    eprintln!("case: damaged under redb");
    save_many(&store, 2).await;
    drop(store);
    let store = Store::file(path).unwrap();
    for n in 0..MANY {
        let kept = store.load(&nth(n)).await.unwrap();
        assert_eq!(kept.map(|kept| kept.generation), Some(2), "{n}");
    }
}

const MANY: u64 = 3_000;

fn nth(n: u64) -> CredentialKey {
    CredentialKey {
        app: wx_jssdk::credential::AppKey {
            id: Arc::from(format!("wx{n}")),
            ..app()
        },
        kind: Kind::AccessToken,
        secret_hash: None,
    }
}

async fn save_many(store: &Store, generation: u64) {
    let credential = Credential {
        value: "x".repeat(1_000).into(),
        ..credential(generation)
    };
    let savers: Vec<_> = (0..MANY)
        .map(|n| {
            let (store, credential) = (store.clone(), credential.clone());
            tokio::spawn(async move { store.save(&nth(n), &credential).await })
        })
        .collect();
    for saver in savers {
        assert_eq!(saver.await.unwrap(), Ok(Saved::Stored));
    }
}

#[test]
fn damage_while_running_is_one_warning_and_neither_a_panic_nor_an_abort() {
    if let Some(path) = role() {
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .init();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        return runtime.block_on(meddled_with(&path));
    }
    let (_directory, path) = place();
    let ended = again(damage_while_running_is_one_warning_and_neither_a_panic_nor_an_abort)
        .env(ROLE, &path)
        .env("RUST_BACKTRACE", "1")
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    let mut cases = 0;
    for case in said.split("case: ").skip(1) {
        // The permissions of the current file are tested elsewhere.
        let warnings: Vec<_> = case
            .lines()
            .filter(|line| line.contains(" WARN ") && !line.contains("its mode is now"))
            .collect();
        // With the time and length of the last write it is undetected until redb reads there; and no value is lost.
        let in_place = case.starts_with("written over") || case.starts_with("damaged,");
        let shows = !(in_place && case.contains("unnoticed: true"));
        assert_eq!(warnings.len(), usize::from(shows), "{case}");
        assert!(
            warnings
                .iter()
                .all(|line| line.contains("written again from memory")),
            "{warnings:?}"
        );
        cases += 1;
    }
    assert_eq!(cases, 2 * meddling().len() + 1);
}

#[tokio::test]
async fn an_impossible_record_counts_as_absent() {
    for (what, credential) in impossible() {
        let (_directory, path) = place();
        let store = Store::file(&path).unwrap();
        store.save(&key(), &credential).await.unwrap();
        drop(store);
        let log = Log::default();
        let listening = log.listen();
        let store = Store::file(&path).unwrap();
        drop(listening);
        assert_eq!(log.about("stored record ignored").len(), 1, "{what}");
        assert_eq!(store.load(&key()).await, Ok(None), "{what}");
        let next = crate::support::credential(2);
        assert_eq!(store.save(&key(), &next).await, Ok(Saved::Stored), "{what}");
        assert!(!moved_aside(&path).exists(), "{what}");
    }
}

#[tokio::test]
async fn a_file_that_only_looks_changed_is_not_moved_aside() {
    let (_directory, path) = place();
    let store = in_use(&path).await;
    let touch: fn(&Path) = |path| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    };
    let copy: fn(&Path) = |path| {
        let copy = path.with_extension("copy");
        fs::copy(path, &copy).unwrap();
        fs::rename(copy, path).unwrap();
    };
    for (generation, change) in [(3, touch), (4, copy), (5, touch)] {
        change(&path);
        assert_eq!(store.ping().await, Ok(()));
        let saved = store.save(&key(), &credential(generation)).await;
        assert_eq!(saved, Ok(Saved::Stored));
        assert!(!moved_aside(&path).exists(), "{generation}");
    }
    drop(store);
    let kept = Store::file(&path).unwrap().load(&key()).await;
    assert_eq!(kept, Ok(Some(credential(5))));
}
