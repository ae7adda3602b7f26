//! The hub, played by a server on this machine: what is fetched, what is kept, and what is said when it is not there.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Mutex,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    hub_server::{COMMIT, Hub, HubContents},
    written::{max_abs, safetensors},
};

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

/// An SAE in a folder of a repository, with files that nobody needs.
fn repository() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::from([("README.md".to_owned(), b"hello".to_vec())]);
    for entry in fs::read_dir(fixture("saes/standard")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name != "expected.safetensors" {
            files.insert(format!("layer_0/width_64/{name}"), fs::read(&path).unwrap());
        }
    }
    files
}

fn dump(sae: &str, home: &Path, endpoint: &str, offline: bool) -> (Output, PathBuf) {
    let out = home.join("out.safetensors");
    let acts = format!("{}:x", fixture("saes/standard/expected.safetensors").display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_compute"));
    command
        .args(["dump", "features", "--sae", sae, "--acts", &acts, "--out"])
        .arg(&out)
        .env("HF_HOME", home)
        .env("HF_ENDPOINT", endpoint)
        .env("HF_TOKEN", "hf_secret")
        .env_remove("HF_HUB_OFFLINE");
    if offline {
        command.env("HF_HUB_OFFLINE", "1");
    }
    (command.output().unwrap(), out)
}

#[test]
fn an_sae_is_fetched_once_and_then_found_in_the_cache() {
    let home = TempDir::new().unwrap();
    let hub = Hub::serve("owner/saes", repository());
    let id = "owner/saes:layer_0/width_64";
    let (done, out) = dump(id, home.path(), &hub.address, false);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let expected = fs::read(&out).unwrap();
    let asked = hub.asked();
    assert!(asked.iter().all(|a| a.ends_with("Bearer hf_secret")), "{asked:?}");
    assert!(
        asked.iter().any(|a| a.contains("/owner/saes/resolve/main/layer_0/width_64/cfg.json")),
        "{asked:?}"
    );
    assert!(!asked.iter().any(|a| a.contains("README")), "{asked:?}");
    // With the hub asked only for its list, without the hub, and told to stay offline: the same numbers.
    for (endpoint, offline) in
        [(hub.address.as_str(), false), ("http://127.0.0.1:9", false), ("http://127.0.0.1:9", true)]
    {
        fs::remove_file(&out).unwrap();
        let (done, out) = dump(id, home.path(), endpoint, offline);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(fs::read(out).unwrap(), expected);
    }
    assert_eq!(hub.asked().len(), asked.len() + 1, "fetched again");
}

#[test]
fn a_weight_file_that_is_named_brings_its_config() {
    // Without cfg.json it would be taken for a plain ReLU SAE, whose activations are others.
    let mut files = BTreeMap::new();
    for name in ["cfg.json", "sae_weights.safetensors"] {
        files.insert(format!("topk/{name}"), fs::read(fixture("saes/topk").join(name)).unwrap());
    }
    let hub = Hub::serve("owner/saes", files);
    let home = TempDir::new().unwrap();
    let (done, out) = dump("owner/saes:topk", home.path(), &hub.address, false);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let folder = fs::read(&out).unwrap();
    let home = TempDir::new().unwrap();
    let (done, out) = dump("owner/saes:topk/sae_weights.safetensors", home.path(), &hub.address, false);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(fs::read(&out).unwrap(), folder);
}

#[test]
fn what_cannot_be_had_is_named_in_one_line() {
    let hub = Hub::serve("owner/saes", repository());
    let home = TempDir::new().unwrap();
    for (sae, endpoint, offline, said) in [
        ("owner/saes:layer_9", hub.address.as_str(), false, "owner/saes has no layer_9 or layer_9/"),
        ("owner/other", hub.address.as_str(), false, "404"),
        ("owner/saes", "http://127.0.0.1:9", false, "wanted cfg.json and weights"),
        ("owner/saes", "http://127.0.0.1:9", true, "HF_HUB_OFFLINE is set; wanted cfg.json and weights"),
        ("./nowhere", "http://127.0.0.1:9", false, "no such file or folder (./nowhere)"),
    ] {
        let (done, out) = dump(sae, home.path(), endpoint, offline);
        let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success() && !out.exists());
        assert!(stderr.contains(said) && stderr.trim_end().lines().count() == 1, "{sae}: {stderr}");
        assert!(stderr.contains(sae) && !stderr.contains("hf_secret"), "{stderr}");
    }
}

/// `compute check` on the demo, with a corpus of the hub.
fn check(data: &str, home: &Path, endpoint: &str, extra: &[&str]) -> Output {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo");
    let mut command = Command::new(env!("CARGO_BIN_EXE_compute"));
    command.args(["check", "--seq-len", "16", "--json", "--data", data]).args(extra);
    command.arg("--model").arg(demo.join("model")).arg("--sae").arg(demo.join("sae-resid"));
    clean(&mut command).env("HF_HOME", home).env("HF_ENDPOINT", endpoint);
    command.output().unwrap()
}

/// Without what the machine's own environment says of the hub.
fn clean(command: &mut Command) -> &mut Command {
    for name in
        ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "HF_HUB_OFFLINE", "HF_TOKEN", "XDG_CACHE_HOME"]
    {
        command.env_remove(name);
    }
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn lines(word: &str, n: usize) -> Vec<u8> {
    format!("{{\"text\": \"{}\"}}\n", format!("{word} ").repeat(20)).repeat(n).into_bytes()
}

fn data_set() -> BTreeMap<String, Vec<u8>> {
    let names =
        ["data/test-0.jsonl", "data/train-0.jsonl", "data/train-1.jsonl", "data/train-2.jsonl", "README.md"];
    names.map(|name| (name.to_owned(), lines(&name.replace('/', " "), 200))).into()
}

#[test]
fn of_a_data_set_the_train_split_is_read() {
    let hub = Hub::serve("datasets/o/n", data_set());
    let home = TempDir::new().unwrap();
    let done = check("o/n", home.path(), &hub.address, &["--no-shuffle", "--sequences", "100000"]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert_eq!(hub.fetched(), ["data/train-0.jsonl", "data/train-1.jsonl", "data/train-2.jsonl"]);
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    let said = "reads the train split, 3 files beginning with data/train-0.jsonl; 1 other is left out";
    assert_eq!(report["corpus"][0], said);
    assert!(stderr(&done).contains("fetching o/n:data/train-0.jsonl, "), "{}", stderr(&done));
}

#[test]
fn shards_are_fetched_as_they_are_read() {
    let hub = Hub::serve("datasets/o/n", data_set());
    for (data, expected) in [
        ("o/n:data", "data/test-0.jsonl"),
        ("o/n:data/train-[12].jsonl", "data/train-1.jsonl"),
        ("https://huggingface.co/datasets/o/n/blob/main/data/train-2.jsonl", "data/train-2.jsonl"),
        ("hf://datasets/o/n/data/train-2.jsonl", "data/train-2.jsonl"),
        ("o/n:test", "data/test-0.jsonl"),
    ] {
        let home = TempDir::new().unwrap();
        hub.asked.lock().unwrap().clear();
        let done = check(data, home.path(), &hub.address, &["--no-shuffle", "--sequences", "4"]);
        assert!(done.status.success(), "{data}: {}", stderr(&done));
        assert_eq!(hub.fetched(), [expected], "{data}");
    }
    let home = TempDir::new().unwrap();
    let done = check("o/n:fr", home.path(), &hub.address, &[]);
    let said = "o/n has no fr: it has data/test-0.jsonl, data/train-0.jsonl";
    assert!(stderr(&done).contains(said), "{}", stderr(&done));
}

#[test]
fn a_transfer_that_breaks_off_goes_on_where_it_stopped() {
    for tells_sizes in [true, false] {
        let files = BTreeMap::from([("a.jsonl".to_owned(), lines("word", 3000))]);
        let size = files["a.jsonl"].len();
        let breaks_after = Mutex::new(Some(100_000));
        let hub = Hub::with(HubContents { repo: "datasets/o/n", files, tells_sizes, breaks_after });
        let home = TempDir::new().unwrap();
        let done = check("o/n", home.path(), &hub.address, &["--sequences", "4"]);
        assert!(done.status.success(), "{}", stderr(&done));
        let asked: Vec<String> = hub.asked().into_iter().filter(|a| a.contains("resolve")).collect();
        assert_eq!(asked.len(), 2, "{asked:?}");
        assert!(asked[1].contains("bytes=") && !asked[1].contains("bytes=0-"), "{asked:?}");
        let snapshot = home.path().join("hub/datasets--o--n/snapshots").join(COMMIT);
        assert_eq!(fs::read(snapshot.join("a.jsonl")).unwrap().len(), size);
        let blobs = fs::read_dir(home.path().join("hub/datasets--o--n/blobs")).unwrap();
        assert_eq!(blobs.count(), 1, "nothing half done is left");
    }
}

#[test]
fn a_repository_of_many_saes_is_listed_and_not_fetched() {
    let names = ["0.pt", "1.pt", "2.pt", "3.pt", "4.pt"];
    let hub = Hub::serve("o/n", names.map(|name| (name.to_owned(), vec![0; 10])).into());
    let home = TempDir::new().unwrap();
    let (done, _) = dump("o/n", home.path(), &hub.address, false);
    let said = "o/n holds 5 SAEs (0.pt, 1.pt, 2.pt, 3.pt, …): name one, such as o/n:0.pt";
    assert!(!done.status.success() && stderr(&done).contains(said), "{}", stderr(&done));
    assert!(hub.fetched().is_empty());
}

#[test]
fn parts_of_one_sae_in_several_files_are_fetched_together() {
    let put = |names: &[&str]| -> BTreeMap<String, Vec<u8>> {
        names.iter().map(|name| ((*name).to_owned(), name.as_bytes().to_vec())).collect()
    };
    let clt = put(&[
        "W_dec_13.safetensors",
        "W_dec_14.safetensors",
        "W_enc_13.safetensors",
        "W_enc_14.safetensors",
        "config.yaml",
    ]);
    let scope = put(&["L1R/hyperparams.json", "L1R/checkpoints/final.safetensors", "L2R/hyperparams.json"]);
    for (files, path, expected) in [
        (clt, "13", vec!["W_dec_13.safetensors", "W_enc_13.safetensors", "config.yaml"]),
        (scope, "L1R", vec!["L1R/checkpoints/final.safetensors", "L1R/hyperparams.json"]),
    ] {
        let hub = Hub::serve("o/n", files);
        let home = TempDir::new().unwrap();
        let (done, _) = dump(&format!("o/n:{path}"), home.path(), &hub.address, false);
        assert!(!done.status.success(), "names are no weights");
        assert_eq!(hub.fetched(), expected);
    }
}

#[test]
fn the_cache_is_where_the_environment_says() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let commit = "89abcdef0123456789abcdef0123456789abcdef";
    let put = |cache: &Path, with_ref: bool| {
        let root = cache.join("models--o--saes");
        let snapshot = root.join("snapshots").join(commit);
        fs::create_dir_all(&snapshot).unwrap();
        for name in ["cfg.json", "sae_weights.safetensors"] {
            fs::copy(fixture("saes/standard").join(name), snapshot.join(name)).unwrap();
        }
        if with_ref {
            fs::create_dir_all(root.join("refs")).unwrap();
            fs::write(root.join("refs/main"), commit).unwrap();
        }
    };
    put(&at("cache"), true);
    put(&at("home/hub"), false);
    put(&at("xdg/huggingface/hub"), true);
    put(&at("user/.cache/huggingface/hub"), true);
    let acts = format!("{}:x", fixture("saes/standard/expected.safetensors").display());
    let out = at("out.safetensors");
    let dump = |sae: &str, variables: &[(&str, &Path)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_compute"));
        command.args(["dump", "features", "--sae", sae, "--acts", &acts, "--out"]).arg(&out);
        clean(&mut command).env("HF_HUB_OFFLINE", "1").env_remove("HOME").envs(variables.iter().copied());
        command.output().unwrap()
    };
    let pinned = format!("o/saes@{commit}");
    for (sae, variable, value) in [
        ("o/saes", "HF_HUB_CACHE", at("cache")),
        ("o/saes", "HUGGINGFACE_HUB_CACHE", at("cache")),
        (&pinned, "HF_HOME", at("home")),
        ("o/saes", "XDG_CACHE_HOME", at("xdg")),
        ("o/saes", "HOME", at("user")),
    ] {
        let done = dump(sae, &[(variable, &value)]);
        assert!(done.status.success(), "{variable}: {}", stderr(&done));
    }
    // Without the ref, the branch is not known; the folder that was looked at is named.
    let done = dump("o/saes", &[("HF_HOME", &at("home"))]);
    assert!(stderr(&done).contains("home/hub/models--o--saes"), "{}", stderr(&done));
    let done = dump("o/saes", &[]);
    let said = stderr(&done);
    assert!(said.contains("set HF_HUB_CACHE to a folder") && said.trim_end().lines().count() == 1, "{said}");
}

fn below(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            below(&path, &format!("{name}/"), files);
        } else {
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

#[test]
fn published_saes_are_found_by_their_names() {
    use compute::weights::{Select, Weights};
    let mut n = 0;
    for entry in fs::read_dir(fixture("hub_saes")).unwrap() {
        let folder = entry.unwrap().path();
        let case: Value = serde_json::from_slice(&fs::read(folder.join("case.json")).unwrap()).unwrap();
        let name = case["sae"].as_str().unwrap();
        let repo = name.split(':').next().unwrap();
        let mut files = BTreeMap::new();
        below(&folder.join("hub").join(repo), "", &mut files);
        let hub = Hub::serve(Box::leak(repo.to_owned().into_boxed_str()), files);
        let home = TempDir::new().unwrap();
        let expected = folder.join("expected.safetensors");
        let out = home.path().join("out.safetensors");
        let mut command = Command::new(env!("CARGO_BIN_EXE_compute"));
        command.args(["dump", "features", "--sae", name, "--acts"]).arg(format!("{}:x", expected.display()));
        clean(&mut command).env("HF_HOME", home.path()).env("HF_ENDPOINT", &hub.address);
        let done = command.arg("--out").arg(&out).output().unwrap();
        assert!(done.status.success(), "{name}: {}", stderr(&done));
        let acts = |path: &Path| {
            let weights = Weights::open(path).unwrap();
            weights.read("acts", Select::All, tch::Kind::Float, tch::Device::Cpu).unwrap()
        };
        let error = (acts(&out) - acts(&expected)).abs().max().double_value(&[]);
        assert!(error <= 1e-4, "{name}: {error}");
        n += 1;
    }
    assert!(n >= 18, "{n} repositories");
}

#[test]
fn a_name_of_the_list_of_published_saes_brings_what_no_file_says() {
    let name = "llama_scope_r1_distill/l15r_400m_slimpajama_400m_openr1_math";
    let checkpoints::sae::Lookup::Sae(known) = checkpoints::sae::Registry::shipped().look_up(name) else {
        panic!("{name} is not in the list")
    };
    let factor = known.sae.norm_scaling_factor.unwrap();
    let tensor = |file: &Path, name: &str| {
        let weights = compute::weights::Weights::open(file).unwrap();
        weights.read(name, compute::weights::Select::All, tch::Kind::Float, tch::Device::Cpu).unwrap()
    };
    // The factor undoes what the input is divided by here.
    let folder = fixture("hub_saes/llama_scope_r1_distill");
    let expected = folder.join("expected.safetensors");
    let home = TempDir::new().unwrap();
    let (x, out) = (home.path().join("x.safetensors"), home.path().join("out.safetensors"));
    safetensors(&x, &[("x", &(tensor(&expected, "x") / factor))]);
    let mut files = BTreeMap::new();
    below(&folder.join("hub/fnlp/Llama-Scope-R1-Distill"), "", &mut files);
    let hub = Hub::serve("fnlp/Llama-Scope-R1-Distill", files);
    let encode = |sae: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_compute"));
        command.args(["dump", "features", "--sae", sae, "--acts"]).arg(format!("{}:x", x.display()));
        clean(&mut command).env("HF_HOME", home.path()).env("HF_ENDPOINT", &hub.address);
        command.arg("--out").arg(&out).output().unwrap()
    };
    let done = encode(name);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(max_abs(&tensor(&out, "acts"), &tensor(&expected, "acts")) <= 1e-4);
    assert!(max_abs(&(tensor(&out, "out") * factor), &tensor(&expected, "out")) <= 1e-4);
    let said = stderr(&encode("gpt2-small-res-jb"));
    assert!(
        said.contains("gpt2-small-res-jb is a release of 13 SAEs") && said.contains("name one"),
        "{said}"
    );
}

#[test]
fn models_go_by_the_names_of_transformer_lens() {
    let home = TempDir::new().unwrap();
    let tokens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo/tokens.npy");
    let mut command = Command::new(env!("CARGO_BIN_EXE_compute"));
    command
        .args(["dump", "logits", "--model", "gpt2-small", "--out", "out.safetensors", "--tokens"])
        .arg(tokens);
    clean(&mut command).env("HF_HOME", home.path()).env("HF_HUB_OFFLINE", "1");
    let done = command.current_dir(home.path()).output().unwrap();
    assert!(stderr(&done).contains("hub/models--gpt2\n"), "{}", stderr(&done));
}

#[test]
fn a_tokenizer_may_be_another_models() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo");
    let (home, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    for file in ["config.json", "model.safetensors"] {
        fs::copy(demo.join("model").join(file), folder.path().join(file)).unwrap();
    }
    let corpus = folder.path().join("corpus.jsonl");
    fs::write(&corpus, lines("a few words", 200)).unwrap();
    let tokenizer = demo.join("model/tokenizer.json");
    let mut files: BTreeMap<String, Vec<u8>> =
        [("tokenizer.json".to_owned(), fs::read(&tokenizer).unwrap())].into();
    files.insert("model.safetensors".to_owned(), vec![0; 64]);
    let hub = Hub::serve("o/t", files);
    let check = |tokenizer: Option<&Path>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_compute"));
        command.args(["check", "--seq-len", "16", "--json", "--data"]).arg(&corpus);
        command.arg("--model").arg(folder.path()).arg("--sae").arg(demo.join("sae-resid"));
        if let Some(tokenizer) = tokenizer {
            command.arg("--tokenizer").arg(tokenizer);
        }
        clean(&mut command).env("HF_HOME", home.path()).env("HF_ENDPOINT", &hub.address);
        command.output().unwrap()
    };
    let without = check(None);
    assert!(stderr(&without).contains("put tokenizer.json beside the model"), "{}", stderr(&without));
    let beside = check(Some(&tokenizer));
    assert!(!beside.stdout.is_empty(), "{}", stderr(&beside));
    let fetched = check(Some(Path::new("o/t")));
    assert_eq!(beside.stdout, fetched.stdout, "{}", stderr(&fetched));
    assert_eq!(hub.fetched(), ["tokenizer.json"]);
    let wrong = check(Some(&demo.join("sae-resid")));
    assert!(stderr(&wrong).contains("no tokenizer.json in the folder"), "{}", stderr(&wrong));
}

#[test]
fn weights_are_fetched_once_the_plan_holds() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo");
    let mut files = BTreeMap::new();
    below(&demo.join("model"), "", &mut files);
    let hub = Hub::serve("o/m", files);
    let home = TempDir::new().unwrap();
    let run = |features: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_compute"));
        command.args(["run", "--model", "o/m", "--sequences", "4", "--features", features, "--sae"]);
        command.arg(demo.join("sae-resid")).arg("--data").arg(demo.join("tokens.npy"));
        command.arg("--out").arg(home.path().join("bundle"));
        clean(&mut command).env("HF_HOME", home.path()).env("HF_ENDPOINT", &hub.address);
        command.output().unwrap()
    };
    let refused = run("1000000");
    assert!(stderr(&refused).contains("no feature 1000000"), "{}", stderr(&refused));
    assert_eq!(hub.fetched(), ["config.json", "tokenizer.json"]);
    let done = run("0..2");
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(hub.fetched().contains(&"model.safetensors".to_owned()), "{:?}", hub.fetched());
}
