//! Every family against what transformers (4.49 or 5.24) computes from the same checkpoint: every hook, and logits;
//! and the table in the documentation that says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use compute::model::{HookPoint, Hooks, Model};
use compute::weights::{Select, Weights};
use tch::{Device, Kind, Tensor};

/// Largest absolute difference that is allowed, in f32.
const TOLERANCE: f64 = 1e-4;

fn fixture(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(family)
}

#[derive(Default)]
struct Keep(BTreeMap<String, Tensor>);

impl Hooks for Keep {
    fn wants(&self, _hook: &HookPoint) -> bool {
        true
    }

    fn visit(&mut self, hook: &HookPoint, acts: &Tensor) -> Option<Tensor> {
        self.0.insert(hook.to_string(), acts.copy());
        None
    }
}

fn max_abs(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

/// What the fixtures' tensors are called, and the hook points that they were read at.
const COLUMNS: [(&str, &str); 9] = [
    ("resid_pre", "hook_resid_pre"),
    ("hook_z", "attn.hook_z"),
    ("attn_out", "hook_attn_out"),
    ("resid_mid", "hook_resid_mid"),
    ("mlp_in", "mlp.hook_in"),
    ("mlp_post", "mlp.hook_post"),
    ("mlp_out", "hook_mlp_out"),
    ("resid_post", "hook_resid_post"),
    ("logits", "logits"),
];

/// The largest error over all blocks, by the fixture's name of the hook point.
type Errors = BTreeMap<String, f64>;

fn check(family: &str) -> Errors {
    let folder = fixture(family);
    let model = Model::load(&folder, Device::Cpu, Kind::Float).unwrap();
    let expected = Weights::open(&folder.join("expected.safetensors")).unwrap();
    let read = |name: &str, kind| expected.read(name, Select::All, kind, Device::Cpu).unwrap();
    let tokens = read("tokens", Kind::Int64);
    let mut kept = Keep::default();
    let resid = model.forward(&tokens, &mut kept).unwrap();
    let (mut seen, mut errors) = (0, Errors::new());
    for name in expected.names().filter(|name| *name != "tokens") {
        let want = read(name, Kind::Float);
        let (column, got) = match name.split_once('.') {
            None => (name, model.head().logits(&resid).unwrap()),
            Some((column, layer)) => {
                let site = COLUMNS.iter().find(|(own, _)| *own == column).unwrap().1;
                (column, kept.0[&format!("blocks.{layer}.{site}")].shallow_clone())
            }
        };
        let error = max_abs(&got, &want);
        assert!(error <= TOLERANCE, "{family} {name}: {error}");
        let largest = errors.entry(column.to_owned()).or_insert(error);
        *largest = largest.max(error);
        seen += 1;
    }
    assert!(seen >= 19, "{family}: only {seen} tensors compared");
    let names: Vec<String> = model.config().hook_points().iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), kept.0.len(), "a hook point exists that the forward pass does not reach");
    for hook in model.config().hook_points() {
        let width = *kept.0[&hook.to_string()].size().last().unwrap();
        assert_eq!(width, model.hook_width(&hook), "{family} {hook}");
    }
    // Without hooks the fused norms run: the same numbers.
    let plain = model.forward(&tokens, &mut ()).unwrap();
    assert!(max_abs(&plain, &resid) <= TOLERANCE);
    errors
}

/// The documentation's table says no less than what is measured, and no more than a thousand times as much, so that
/// it holds on other machines. `WRITE_AGREEMENT=1` before this test writes it.
#[test]
fn the_table_of_agreement_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/model/agreement.md");
    let mut families: Vec<String> = fixture("")
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    families.sort();
    let rows: Vec<(String, Errors)> = families.into_iter().map(|name| (name.clone(), check(&name))).collect();
    let bound = |error: f64| (3.0 * error.max(1e-8)).log10().ceil() as i32; // room for other processors
    let cells = |errors: &Errors| COLUMNS.map(|(name, _)| errors.get(name).map(|error| bound(*error)));
    if std::env::var_os("WRITE_AGREEMENT").is_some() {
        let mut lines = vec![
            format!("| family | {} |", COLUMNS.map(|(_, hook)| format!("`{hook}`")).join(" | ")),
            format!("|---|{}", "---|".repeat(COLUMNS.len())),
        ];
        lines.extend(rows.iter().map(|(name, errors)| {
            let cells = cells(errors).map(|cell| cell.map_or_else(String::new, |power| format!("1e{power}")));
            format!("| {name} | {} |", cells.join(" | "))
        }));
        let text = lines.join("\n") + "\n";
        std::fs::write(&path, text).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let table: Vec<Vec<&str>> =
        text.lines().skip(2).map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect();
    assert_eq!(table.len(), rows.len(), "families were added or removed: write the table");
    for (row, (name, errors)) in table.iter().zip(&rows) {
        assert_eq!(row[0], name);
        for ((column, _), stated) in COLUMNS.iter().zip(&row[1..]) {
            let measured = errors.get(*column).copied();
            assert_eq!(stated.is_empty(), measured.is_none(), "{name} {column}");
            if let Some(measured) = measured {
                let stated: f64 = stated.parse().unwrap();
                assert!(
                    measured <= stated && stated <= 1000.0 * measured.max(1e-8),
                    "{name} {column}: {measured}"
                );
            }
        }
    }
}

#[test]
fn gpt2() {
    drop(check("gpt2"));
}
#[test]
fn gpt_neox_parallel() {
    drop(check("gpt_neox"));
}
#[test]
fn gpt_neox_sequential() {
    drop(check("gpt_neox_sequential"));
}
#[test]
fn llama() {
    drop(check("llama"));
}
#[test]
fn llama3_rope() {
    drop(check("llama3_rope"));
}
#[test]
fn mistral() {
    drop(check("mistral"));
}
#[test]
fn qwen2() {
    drop(check("qwen2"));
}
#[test]
fn gemma() {
    drop(check("gemma"));
}
#[test]
fn gemma2() {
    drop(check("gemma2"));
}
#[test]
fn gemma3() {
    drop(check("gemma3"));
}
#[test]
fn gemma3_multimodal() {
    drop(check("gemma3_multimodal"));
}
#[test]
fn qwen3() {
    drop(check("qwen3"));
}
#[test]
fn qwen3_moe() {
    drop(check("qwen3_moe"));
}
#[test]
fn olmo2() {
    drop(check("olmo2"));
}
#[test]
fn gpt_neo() {
    drop(check("gpt_neo"));
}
#[test]
fn gptj() {
    drop(check("gptj"));
}
#[test]
fn opt() {
    drop(check("opt"));
}
#[test]
fn phi() {
    drop(check("phi"));
}
#[test]
fn phi3() {
    drop(check("phi3"));
}
#[test]
fn gpt_oss() {
    drop(check("gpt_oss"));
}
