//! The command `keys`, as a person uses it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use data_encoding::{BASE32_NOPAD, BASE64, HEXLOWER};
use keys::{Claims, MasterKey, Minutes, PublicKey, SealedKey, SigningKey};

const MASTER: [u8; 32] = [0x4b; 32];

/// A directory that goes with the test, and the command in it.
struct Desk {
    dir: PathBuf,
    master: String,
}

/// What a command said and how it ended.
struct Said {
    out: String,
    err: String,
    status: i32,
}

impl Desk {
    fn new(name: &str) -> Desk {
        let dir = std::env::temp_dir().join(format!("keys-cli-{}-{name}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        Desk { dir, master: BASE64.encode(&MASTER) }
    }

    /// The words of the line; `RING` stands for the directory of keys.
    fn run(&self, line: &str) -> Said {
        self.run_with(line, "")
    }

    fn run_with(&self, line: &str, input: &str) -> Said {
        let ring = self.dir.join("ring");
        let words = line.split_whitespace().map(|word| match word {
            "RING" => ring.to_str().unwrap(),
            word => word,
        });
        let mut child = Command::new(env!("CARGO_BIN_EXE_keys"))
            .args(words)
            .env_remove("ATLVS_MASTER_KEY_FILE")
            .env("ATLVS_MASTER_KEY", &self.master)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input closes it, which is no failure.
        let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
        let Output { stdout, stderr, status } = child.wait_with_output().unwrap();
        let [out, err] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        Said { out, err, status: status.code().unwrap() }
    }

    #[track_caller]
    fn well(&self, line: &str) -> String {
        let said = self.run(line);
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{line}");
        said.out
    }

    fn public(&self) -> Vec<PublicKey> {
        serde_json::from_str(&self.well("export-public --dir RING")).unwrap()
    }

    fn sealed(&self) -> Vec<SealedKey> {
        let files = std::fs::read_dir(self.dir.join("ring")).unwrap();
        let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        texts.map(|text| serde_json::from_str(&text).unwrap()).collect()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.dir).unwrap();
    }
}

fn credential(key: &SigningKey, ticket: u64) -> String {
    let claims = Claims {
        kid: key.kid(),
        event: key.event(),
        ticket,
        ticket_type: 1,
        from: Minutes(3_622_680),
        until: Minutes(0),
        zones: 3,
        revision: 4,
        rotating: false,
    };
    key.sign(&claims).unwrap().text()
}

#[test]
fn a_key_is_generated_listed_exported_and_opens() {
    let desk = Desk::new("generate");
    let said = desk.well(
        "generate --dir RING --event 1042 --not-before 2026-01-01T00:00:00Z \
         --not-after 2027-01-01T01:00:00+01:00",
    );
    let public = desk.public();
    let kid = public[0].kid();
    assert_eq!(public.len(), 1);
    assert_eq!(public[0].event(), 1042);
    assert_eq!((public[0].not_before, public[0].not_after), (1_767_225_600, Some(1_798_761_600)));
    assert_eq!(
        said,
        format!(
            "created event 1042 kid {kid} not-before 2026-01-01T00:00:00Z \
             not-after 2027-01-01T00:00:00Z\n"
        )
    );
    let listed = desk.well("list --dir RING");
    let line = listed.lines().nth(1).unwrap();
    assert!(line.starts_with("1042 ") && line.contains(&kid.to_string()), "{listed}");
    assert_eq!(desk.well("list --dir RING --event 7").lines().count(), 1);
    let opened = desk.sealed()[0].open(&MasterKey::from_bytes(MASTER)).unwrap();
    assert_eq!(opened.kid(), kid);
}

#[test]
fn rotation_adds_a_key_that_signs_and_gives_the_old_one_an_end() {
    let desk = Desk::new("rotate");
    desk.well("generate --dir RING --event 1042 --not-before 2026-01-01T00:00:00Z");
    desk.well("generate --dir RING --event 5 --not-before 2026-01-01T00:00:00Z");
    let old = desk.well("export-public --dir RING --event 1042");
    let old = serde_json::from_str::<Vec<PublicKey>>(&old).unwrap().remove(0);
    let said = desk.well("rotate --dir RING --event 1042 --overlap-days 30");
    assert!(said.starts_with("created event 1042 kid "), "{said}");
    assert!(said.contains(&format!("\nretires event 1042 kid {} ", old.kid())), "{said}");
    let keys = desk.public();
    let of_event: Vec<_> = keys.iter().filter(|key| key.event() == 1042).collect();
    assert_eq!(of_event.len(), 2);
    let [before, after] = of_event[..] else { panic!("two keys") };
    assert_eq!(before.kid(), old.kid());
    assert_eq!(after.not_after, None);
    assert_eq!(before.not_after, Some(after.not_before + 30 * 86_400), "both from one moment");
    assert!(keys.iter().any(|key| key.event() == 5 && key.not_after.is_none()), "left alone");
    let listed = desk.well("list --dir RING --event 1042");
    let state = |kid: keys::Kid| {
        let line = listed.lines().find(|line| line.contains(&kid.to_string())).unwrap();
        line.split_whitespace().nth(2).unwrap().to_owned()
    };
    assert_eq!((state(old.kid()), state(after.kid())), ("live".into(), "signs".into()));
    // The nearer end of the first key stays when the second one retires.
    let said = desk.well("rotate --dir RING --event 1042");
    let retired: Vec<_> = said.lines().filter(|line| line.starts_with("retires ")).collect();
    let [line] = retired[..] else { panic!("one retires: {said}") };
    assert!(line.contains(&after.kid().to_string()), "{said}");
    let again = desk.public();
    assert!(again.contains(before), "{again:?}");
    assert_eq!(again.iter().filter(|key| key.not_after.is_none()).count(), 2);
}

#[test]
fn revocation_takes_effect_at_once_and_leaves_a_key_to_sign_with() {
    let desk = Desk::new("revoke");
    desk.well("generate --dir RING --event 1042");
    let key = desk.sealed()[0].open(&MasterKey::from_bytes(MASTER)).unwrap();
    let text = credential(&key, 7);
    assert_eq!(desk.run(&format!("inspect --dir RING {text}")).status, 0);
    let said = desk.well(&format!("rotate --dir RING --event 1042 --revoke {}", key.kid()));
    assert!(said.starts_with(&format!("revoked event 1042 kid {}", key.kid())), "{said}");
    assert!(said.lines().nth(1).unwrap().starts_with("created event 1042 "), "{said}");
    let inspected = desk.run(&format!("inspect --dir RING {text}"));
    assert_eq!(inspected.status, 1);
    assert!(inspected.out.contains("refused: the key that signed is revoked"), "{}", inspected.out);
    let live: Vec<_> = desk.public().into_iter().filter(|k| k.revoked_at.is_none()).collect();
    assert_eq!(live.len(), 1);
    // With a successor in place none is made.
    desk.well("generate --dir RING --event 1042");
    let said = desk.well(&format!("rotate --dir RING --event 1042 --revoke {}", live[0].kid()));
    assert!(said.lines().nth(1).unwrap().starts_with("signs event 1042 "), "{said}");
    assert_eq!(desk.public().len(), 3);
    let unknown = desk.run("rotate --dir RING --event 1042 --revoke 000000");
    assert_eq!((unknown.status, unknown.err.as_str()), (1, "keys: event 1042 has no key 000000\n"));
}

#[test]
fn inspect_shows_the_claims_and_says_what_it_checked() {
    let desk = Desk::new("inspect");
    desk.well("generate --dir RING --event 1042");
    let key = desk.sealed()[0].open(&MasterKey::from_bytes(MASTER)).unwrap();
    let text = credential(&key, 7);
    let shown = |signature: &str| {
        format!(
            "ticket      1042-7\ntype        1\nfrom        2026-11-20T18:00:00Z\nuntil       -\n\
             zones       0x00000003\nrevision    4\nrotating    no\nlive code   none\n\
             kid         {}\nsignature   {signature}\n",
            key.kid()
        )
    };
    let at = |options: &str, text: &str| desk.run(&format!("inspect {options} {text}"));
    assert_eq!(at("--dir RING", &text).out, shown("verified"));
    assert_eq!(at("", &text).out, shown("not checked: give --dir"));
    let piped = desk.run_with("inspect --dir RING -", &format!("]Q1{}\n", text.to_lowercase()));
    assert_eq!((piped.status, piped.out), (0, shown("verified")));
    let early = at("--dir RING --at 2020-01-01T00:00:00Z", &text);
    let expected = shown("refused: the key that signed is not valid yet");
    assert_eq!((early.status, early.out), (1, expected));
    let stranger = credential(&super::signing(1042, 9), 7);
    let unknown = at("--dir RING", &stranger);
    assert_eq!(unknown.status, 1);
    assert!(unknown.out.ends_with("refused: no key of this event has this id\n"));
    let garbage = desk.run_with("inspect -", "TK no credential");
    assert_eq!(garbage.status, 1);
    assert!(garbage.out.starts_with("refused     credential: not exactly 152"), "{}", garbage.out);
    let endless = desk.run_with("inspect -", &"A".repeat(100_000));
    assert!(endless.out.contains("2049 bytes of input"), "{}", endless.out);
    let backend = desk.well("inspect --backend");
    assert_eq!(backend.trim_end(), keys::backend::selected());
}

#[test]
fn private_keys_and_the_master_key_are_never_printed() {
    let desk = Desk::new("secrets");
    let mut said = desk.well("generate --dir RING --event 1042");
    for line in [
        "rotate --dir RING --event 1042",
        "list --dir RING",
        "export-public --dir RING",
        "help",
        "inspect --dir RING TK",
        "generate --dir RING",
    ] {
        let Said { out, err, .. } = desk.run(line);
        said += &out;
        said += &err;
    }
    assert!(!said.contains("sealed_private"), "{said}");
    let mut secrets = vec![MASTER.to_vec()];
    for key in desk.sealed() {
        let json = serde_json::to_value(&key).unwrap();
        let sealed = BASE64.decode(json["sealed_private"].as_str().unwrap().as_bytes()).unwrap();
        let [e0, e1, e2, e3] = key.public.event().to_be_bytes();
        let keys::Kid([k0, k1, k2]) = key.public.kid();
        let aad = [e0, e1, e2, e3, k0, k1, k2];
        let seed = keys::sealed::open(&MASTER, &aad, &sealed).unwrap();
        assert_eq!(
            SigningKey::from_seed(1042, seed.as_slice().try_into().unwrap()).kid(),
            key.public.kid()
        );
        secrets.extend([seed.to_vec(), sealed]);
    }
    assert_eq!(secrets.len(), 5);
    let lower = said.to_lowercase();
    for secret in secrets {
        assert!(!lower.contains(&HEXLOWER.encode(&secret)));
        assert!(!said.contains(&BASE64.encode(&secret)));
        assert!(!said.contains(&BASE32_NOPAD.encode(&secret)));
    }
}

#[test]
fn a_wrong_or_missing_master_key_is_a_clear_error_before_anything_is_written() {
    let mut desk = Desk::new("master");
    desk.well("generate --dir RING --event 1042");
    let kid = desk.public()[0].kid();
    desk.master = BASE64.encode(&[1; 32]);
    for command in ["generate", "rotate"] {
        let said = desk.run(&format!("{command} --dir RING --event 1042"));
        let expected = format!("keys: key {kid} of event 1042: cannot be opened: another key,");
        assert!(said.status == 1 && said.err.starts_with(&expected), "{}", said.err);
    }
    let listed = desk.well("list --dir RING");
    desk.master = "AAAA".into();
    let said = desk.run("generate --dir RING --event 1042");
    assert_eq!(said.err, "keys: master key: not base64 of 32 bytes\n");
    desk.master = String::new();
    let said = desk.run("rotate --dir RING --event 1042");
    assert!(said.err.starts_with("keys: master key: not set"), "{}", said.err);
    // What needs no private key needs no master key, and nothing has changed.
    assert_eq!(desk.well("list --dir RING"), listed);
    // A lost master key: the old key is revoked, and another one signs under the new master key.
    desk.master = BASE64.encode(&[1; 32]);
    desk.well(&format!("rotate --dir RING --event 1042 --revoke {kid}"));
    desk.well("rotate --dir RING --event 1042");
    assert_eq!(desk.public().len(), 3);
}

#[test]
fn a_line_that_is_no_command_is_refused_with_the_usage() {
    let desk = Desk::new("usage");
    #[track_caller]
    fn check(desk: &Desk, line: &str, expected: &str) {
        let said = desk.run(line);
        let first = said.err.lines().next().unwrap_or_default();
        assert_eq!((said.status, first), (2, format!("keys: {expected}").as_str()), "{line}");
        assert!(said.err.contains("keys rotate        --dir DIR --event N --revoke KID"));
        assert!(said.out.is_empty());
    }
    check(&desk, "", "a command is missing");
    check(&desk, "sign", "unknown command `sign`");
    check(&desk, "--dir x", "invalid option '--dir'");
    check(&desk, "generate --event 1", "--dir is missing");
    check(&desk, "generate --dir x", "--event is missing");
    check(&desk, "generate --dir x --event", "missing argument for option '--event'");
    check(&desk, "generate --dir x --event -1", "event: invalid digit found in string");
    check(
        &desk,
        "generate --dir x --event 4294967296",
        "event: number too large to fit in target type",
    );
    check(&desk, "generate --dir x --event 1 --event 2", "event: given twice");
    check(&desk, "generate --dir x --event 1 y", "`credential` does not belong to this command");
    check(
        &desk,
        "generate --dir x --event 1 --at 2026-01-01T00:00:00Z",
        "`at` does not belong to this command",
    );
    check(&desk, "generate --dir x --event 1 --not-before tomorrow", "not-before: not RFC 3339");
    check(
        &desk,
        "generate --dir x --event 1 --not-before 2026-01-01T00:00:00.5Z",
        "not-before: fractions of a second are not kept",
    );
    check(
        &desk,
        "generate --dir x --event 1 --not-before 2026-01-01T00:00:00Z --not-after 2026-01-01T00:00:00Z",
        "--not-after: not later than --not-before",
    );
    check(
        &desk,
        "rotate --dir x --event 1 --revoke 12345",
        "revoke: a key id is six hexadecimal digits",
    );
    check(
        &desk,
        "rotate --dir x --event 1 --revoke 123456 --overlap-days 3",
        "--revoke leaves no overlap",
    );
    check(&desk, "inspect", "inspect takes one credential, or --backend");
    check(&desk, "inspect --backend TK", "inspect takes one credential, or --backend");
    check(&desk, "inspect a b", "credential: given twice");
    check(&desk, "inspect -x", "invalid option '-x'");
    assert!(desk.well("help").starts_with("keys: the signing keys of events"));
    assert!(desk.well("--help").starts_with("keys: the signing keys of events"));
}
