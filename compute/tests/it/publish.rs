//! `compute publish` to a stand-in hub: what arrives, what is sent twice, what is lost, and what is refused.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{
    publish_hub::{Hub, TOKEN},
    tiny::{self, compute, fail, files, succeed},
};

/// A bundle, another of other numbers, and a hub.
struct Publisher {
    temp: TempDir,
    hub: Hub,
}

impl Publisher {
    fn new() -> Self {
        let this = Self { temp: tempfile::tempdir().unwrap(), hub: Hub::start() };
        succeed(&mut tiny::run(&this.bundle(), 1));
        this
    }

    fn bundle(&self) -> PathBuf {
        self.temp.path().join("bundle")
    }

    fn publish(&self) -> Command {
        self.publish_as("me/features")
    }

    fn publish_as(&self, name: &str) -> Command {
        let mut command = compute();
        command.env_remove("HF_HUB_OFFLINE").env("HF_ENDPOINT", &self.hub.address).env("HF_TOKEN", TOKEN);
        command.env("HF_HOME", self.temp.path().join("home")).args(["publish"]).arg(self.bundle()).arg(name);
        command
    }

    /// Files of the repository, but those of the repository itself.
    fn published(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = self.hub.files();
        for own in [".gitattributes", "README.md", "sae-vis.svg"] {
            files.remove(own);
        }
        files
    }
}

fn on_disk(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    files(folder).into_iter().map(|(path, bytes)| (path.display().to_string(), bytes)).collect()
}

fn stdout(command: &mut Command) -> String {
    String::from_utf8(succeed(command).stdout).unwrap()
}

#[test]
fn what_arrives_is_the_bundle_and_is_not_sent_again() {
    let it = Publisher::new();
    fs::write(it.bundle().join("notes.txt"), "mine alone").unwrap();
    let said = stdout(it.publish().args(["--license", "mit", "--page-url", "https://host/site/"]));
    assert!(
        said.contains("open      ?bundle=hf://me/features\n") && said.contains("0 were there already"),
        "{said}"
    );
    let mut expected = on_disk(&it.bundle());
    expected.remove("notes.txt");
    assert_eq!(it.published(), expected, "nothing but what the manifest lists");
    let card = String::from_utf8(it.hub.files()["README.md"].clone()).unwrap();
    assert!(card.starts_with("---\nlicense: mit\ntags:\n- sparse-autoencoder\n"), "{card}");
    for part in
        ["(https://host/site/?bundle=hf://me/features)", "blocks.1.hook\\_resid\\_pre", "SHA-256", "| 40 |"]
    {
        assert!(card.contains(part), "{part}: {card}");
    }
    let picture = String::from_utf8(it.hub.files()["sae-vis.svg"].clone()).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("class=\"bar\""), "{picture}");
    // Large files went first, by themselves; all is one commit.
    let (n_commits, large) = it.hub.with(|state| (state.commits.len(), state.objects.len()));
    assert!(n_commits == 1 && large > 0);
    assert!(!it.hub.with(|state| state.private));

    it.hub.take_requests("");
    let said = stdout(it.publish().args(["--license", "mit", "--page-url", "https://host/site/"]));
    assert!(said.starts_with("files     0 sent (0 B), "), "{said}");
    assert_eq!(it.hub.take_requests("POST"), Vec::<String>::new(), "nothing is changed");
    assert_eq!(it.hub.take_requests("PUT"), Vec::<String>::new());
}

#[test]
fn only_what_changed_is_sent_and_only_our_own_is_removed() {
    let it = Publisher::new();
    succeed(&mut it.publish());
    it.hub.with(|state| {
        let files = state.files.as_mut().unwrap();
        files.insert("features/theirs.bin".to_owned(), b"another's".to_vec());
        files.insert("README.md".to_owned(), b"# A card of one's own".to_vec());
    });
    let before = it.hub.files();
    // Without effects blocks are other ones; the corpus and the vocabulary are the same.
    fs::remove_dir_all(it.bundle()).unwrap();
    succeed(tiny::run(&it.bundle(), 1).args(["--features", "0..8", "--no-effects"]));
    it.hub.take_requests("");
    let said = stdout(it.publish().arg("--dry-run"));
    assert!(said.contains("send      manifest.json\n") && !said.contains("vocab.bin"), "{said}");
    assert!(said.contains("would be sent") && !said.contains("README.md"), "{said}");
    assert_eq!(it.hub.files(), before);
    assert_eq!(it.hub.take_requests("P"), Vec::<String>::new(), "a dry run changes nothing");
    succeed(&mut it.publish());
    let mut expected = on_disk(&it.bundle());
    expected.insert("features/theirs.bin".to_owned(), b"another's".to_vec());
    assert_eq!(it.published(), expected);
    assert_eq!(it.hub.files()["README.md"], b"# A card of one's own");
    // In a folder of its own it touches nothing else.
    succeed(&mut it.publish_as("me/features:runs/one"));
    let files = it.hub.files();
    for (path, bytes) in on_disk(&it.bundle()) {
        assert_eq!(files[&format!("runs/one/{path}")], bytes);
        assert_eq!(files[&path], bytes);
    }
}

#[test]
fn a_broken_transfer_is_begun_again_and_a_broken_publication_goes_on() {
    let it = Publisher::new();
    it.hub.with(|state| (state.chunk, state.breaks) = (Some(3000), Some(1000)));
    // One that breaks once is begun again at once.
    succeed(&mut it.publish());
    assert_eq!(it.published(), on_disk(&it.bundle()));
    let parts = it.hub.take_requests("PUT");
    assert!(parts.iter().any(|put| put.ends_with("/2")), "large objects go in parts: {parts:?}");

    // What the store took before the hub failed is not sent again.
    let it = Publisher::new();
    it.hub.with(|state| state.odd = vec![("/api/datasets/me/features/commit", 500, "{\"error\": \"down\"}")]);
    let said = fail(&mut it.publish());
    assert!(said.contains("answers 500") && said.contains("(down)"), "{said}");
    assert!(it.published().is_empty(), "the old state, whole");
    it.hub.with(|state| state.odd.clear());
    it.hub.take_requests("");
    succeed(&mut it.publish());
    assert_eq!(it.hub.take_requests("PUT"), Vec::<String>::new());
    assert_eq!(it.published(), on_disk(&it.bundle()));
}

#[test]
fn a_commit_of_another_in_between_is_not_lost() {
    let it = Publisher::new();
    succeed(&mut it.publish());
    fs::remove_dir_all(it.bundle()).unwrap();
    succeed(&mut tiny::run(&it.bundle(), 2));
    // The hub's own answer to a commit that does not know the last one.
    it.hub.with(|state| {
        state.odd =
            vec![("/api/datasets/me/features/commit", 412, "{\"error\": \"A commit has happened since\"}")];
    });
    let said = fail(&mut it.publish());
    assert!(
        said.contains("(A commit has happened since): the repository was changed meanwhile: try again"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_published_is_one_line_and_changes_nothing() {
    let it = Publisher::new();
    for name in ["features", "a/b/c", "me/features:../x", "me/..", "/tmp/x", ""] {
        let said = fail(&mut it.publish_as(name));
        assert!(
            said.contains("expected owner/name, with @branch and :folder where wanted"),
            "{name}: {said}"
        );
    }
    let said = fail(it.publish().env_remove("HF_TOKEN"));
    assert!(
        said.contains("publishing needs a token of the hub that may write: set HF_TOKEN, or log in"),
        "{said}"
    );
    let said = fail(it.publish().env("HF_TOKEN", "hf_reader"));
    assert!(
        said.contains("answers 401") && said.contains("the token must be allowed to write there"),
        "{said}"
    );
    for (path, status, body, why) in [
        (
            "/api/repos/create",
            403,
            "{\"error\": \"no rights in me\"}",
            "(no rights in me): the token must be allowed",
        ),
        ("/api/datasets/me/features/preupload", 200, "nonsense", "the hub's answer is not understood"),
        ("/datasets/me/features.git", 200, "{\"objects\": []}", "the hub's answer names no object"),
        (
            "/datasets/me/features.git",
            200,
            "{\"objects\": [{\"error\": {\"message\": \"quota exceeded\"}}]}",
            "the hub refuses it: quota exceeded",
        ),
        ("/store", 507, "", "the store of large files answers 507"),
        ("/api/datasets/me/features/commit", 429, "", "too many requests: wait, and try again"),
    ] {
        let hub = Publisher { hub: Hub::start(), temp: tempfile::tempdir().unwrap() };
        tiny::copy(&it.bundle(), &hub.bundle());
        hub.hub.with(|state| state.odd = vec![(path, status, body)]);
        let said = fail(&mut hub.publish());
        assert!(said.contains(why), "{path}: {said}");
        assert!(hub.published().is_empty());
    }
    // A damaged file is found before anything is asked.
    it.hub.take_requests("");
    let index = it.bundle().join("features/index.bin");
    let mut bytes = fs::read(&index).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&index, bytes).unwrap();
    let said = fail(&mut it.publish());
    assert!(said.contains("features/index.bin"), "{said}");
    assert_eq!(it.hub.take_requests(""), Vec::<String>::new());
}

#[test]
fn a_site_is_published_whole() {
    let it = Publisher::new();
    let site = it.temp.path().join("site");
    let demo = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo").join(name);
    let mut run = compute();
    run.args(["run", "--quiet", "--device", "cpu", "--sequences", "8", "--features", "0..8", "--no-effects"]);
    run.arg("--model")
        .arg(demo("model"))
        .arg("--sae")
        .arg(demo("sae-mlp-b"))
        .arg("--sae")
        .arg(demo("sae-resid"));
    succeed(run.arg("--data").arg(demo("tokens.npy")).arg("--out").arg(&site));
    fs::remove_dir_all(it.bundle()).unwrap();
    fs::rename(&site, it.bundle()).unwrap();
    succeed(&mut it.publish());
    assert_eq!(it.published(), on_disk(&it.bundle()));
    let card = String::from_utf8(it.hub.files()["README.md"].clone()).unwrap();
    assert!(
        card.contains("sae-mlp-b") && card.contains("sae-resid") && card.contains("hf://me/features"),
        "{card}"
    );
    let mut one = compute();
    one.env_remove("HF_HUB_OFFLINE").env("HF_ENDPOINT", &it.hub.address).env("HF_TOKEN", TOKEN);
    let said = fail(one.arg("publish").arg(it.bundle().join("sae-resid")).arg("me/features"));
    assert!(said.contains("the bundle is one of a site: publish the site's folder"), "{said}");
}
