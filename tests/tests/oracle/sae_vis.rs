//! The demo's numbers against those of sae_vis 0.2.21 itself; see `fixtures/sae_vis/README.md`.

use std::{fs::File, path::Path, sync::OnceLock};

use clap::Parser;
use compute::{
    bundle::Bundle,
    cli::{Cli, Command},
};
use flate2::read::GzDecoder;
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::Value;
use shared::{
    feature::{Correlated, Feature, FeatureBlock},
    histogram::Histogram,
    layout::{Component, Edges, Fold, Layout},
    paths,
    prompt::{Metric, Prompt},
    sequence::{Example, GroupKind, TokenView},
};
use tests::run::{demo, demo_args};

const N_FEATURES: usize = 32;
/// What rounding to the three decimals that a page prints may change.
const PRINTED: f64 = 5e-4;
const PROMPT: &str = "def __init__(self, name):\n        self.name = name";

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sae_vis").join(name);
    serde_json::from_reader(GzDecoder::new(File::open(path).unwrap())).unwrap()
}

/// The demo model without its final norm's bias: sae_vis leaves the unembedding's bias out of its effects, and this
/// takes it out of the model's own head too. Activations do not change.
fn model_without_final_bias(folder: &Path) {
    for name in ["config.json", "tokenizer.json"] {
        std::fs::copy(demo("model").join(name), folder.join(name)).unwrap();
    }
    let bytes = std::fs::read(demo("model/model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let zeros = vec![0u8; 128 * 2];
    let tensor = |(name, view): (String, TensorView<'_>)| {
        let is_bias = name.ends_with("ln_f.bias");
        let data = if is_bias { zeros.clone() } else { view.data().to_vec() };
        (name, view.dtype(), view.shape().to_vec(), data)
    };
    let owned: Vec<_> = tensors.tensors().into_iter().map(tensor).collect();
    assert!(owned.iter().any(|t| t.0.ends_with("ln_f.bias") && t.3.len() == zeros.len()));
    let views = owned.iter().map(|(name, dtype, shape, data)| {
        (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    safetensors::serialize_to_file(views, None, &folder.join("model.safetensors")).unwrap();
}

/// A layout that has examples chosen as sae_vis chooses them.
fn layout_of_sae_vis(path: &Path) {
    let mut layout = Layout::default_feature();
    for component in layout.columns.iter_mut().flat_map(|column| &mut column.components) {
        if let Component::Sequences(options) = component {
            (options.edges, options.fold) = (Edges::Skip, Fold::None);
        }
    }
    std::fs::write(path, layout.to_json()).unwrap();
}

struct Ours {
    features: Vec<Feature>,
    prompt: Prompt,
}

/// What `compute` makes of the reference's rows and features; computed once for all tests of this file.
fn ours() -> &'static Ours {
    static OURS: OnceLock<Ours> = OnceLock::new();
    OURS.get_or_init(|| {
        let temp = tempfile::tempdir().unwrap();
        let model = temp.path().join("model");
        std::fs::create_dir(&model).unwrap();
        model_without_final_bias(&model);
        let out = temp.path().join("bundle");
        let mut args = vec!["compute".to_owned(), "run".to_owned()];
        args.extend(demo_args(&out));
        let at = args.iter().position(|a| a == "--model").unwrap();
        args[at + 1] = model.display().to_string();
        let sae_b = demo("sae-mlp-b").display().to_string();
        let layout = temp.path().join("layout.json");
        layout_of_sae_vis(&layout);
        let layout = layout.display().to_string();
        let more = [
            "--layout",
            &layout,
            "--sae-b",
            &sae_b,
            "--sequences",
            "1024",
            "--features",
            "0..32",
            "--prompt",
            PROMPT,
        ];
        args.extend(more.map(str::to_owned));
        let Command::Run(args) = Cli::parse_from(args).command else { panic!("not a run") };
        args.run().unwrap();
        let bundle = Bundle::open(&out).unwrap();
        let blocks =
            (0..bundle.manifest.blocks.len()).map(|i| bundle.file::<FeatureBlock>(&paths::block(i)).unwrap());
        Ours {
            features: blocks.flat_map(|b| b.features).collect(),
            prompt: bundle.file(&paths::prompt(0)).unwrap(),
        }
    })
}

fn theirs() -> &'static Value {
    static THEIRS: OnceLock<Value> = OnceLock::new();
    THEIRS.get_or_init(|| fixture("features_0_32.json.gz"))
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
}

fn close(what: &str, got: f64, expected: f64, tolerance: f64) {
    assert!((got - expected).abs() <= tolerance, "{what}: got {got}, sae_vis has {expected}");
}

/// Pairs of our feature and sae_vis's data for it.
fn pairs() -> impl Iterator<Item = (&'static Feature, &'static Value)> {
    assert_eq!(ours().features.len(), N_FEATURES);
    ours().features.iter().map(|f| (f, &theirs()["feature_data_dict"][f.feature.to_string()]))
}

#[test]
fn feature_tables_are_those_of_sae_vis() {
    for (ours, theirs) in pairs() {
        let table = &theirs["feature_tables_data"];
        let rows = ours.tables.neuron_alignment.as_ref().unwrap();
        let (values, shares) =
            (floats(&table["neuron_alignment_values"]), floats(&table["neuron_alignment_l1"]));
        for ((row, value), share) in rows.iter().zip(values).zip(shares) {
            close("alignment", f64::from(row.value), value, 1e-6);
            close("share of L1", f64::from(row.l1_share), share, 1e-6);
        }
        let neurons = ours.tables.correlated_neurons.as_ref().unwrap();
        correlations(neurons, table, "correlated_neurons", 3);
        let b = ours.tables.correlated_b_features.as_ref().unwrap();
        correlations(b, table, "correlated_b_features", 3);
        // sae_vis fills up its table with features that are never active together with this one, and with itself.
        let own = ours.tables.correlated_features.as_ref().unwrap();
        let positive = own.iter().take_while(|r| r.pearson > 0.0).count();
        correlations(&own[..positive], table, "correlated_features", positive);
    }
}

fn correlations(rows: &[Correlated], table: &Value, name: &str, n: usize) {
    assert_eq!(rows.len(), n, "{name}");
    let column = |of: &str| &table[format!("{name}_{of}")];
    let (pearson, cosine) = (floats(column("pearson")), floats(column("cossim")));
    for (i, row) in rows.iter().enumerate() {
        assert_eq!(row.index, ids(column("indices"))[i], "{name}");
        close(name, f64::from(row.pearson), pearson[i], 1e-6);
        close(name, f64::from(row.cosine), cosine[i], 1e-6);
    }
}

#[test]
fn histograms_are_those_of_sae_vis() {
    for (ours, theirs) in pairs() {
        histogram(ours.acts_histogram.as_ref().unwrap(), &theirs["acts_histogram_data"]);
        histogram(ours.logits_histogram.as_ref().unwrap(), &theirs["logits_histogram_data"]);
        let title = theirs["acts_histogram_data"]["title"].as_str().unwrap();
        assert_eq!(title, format!("ACTIVATIONS<br>DENSITY = {:.3}%", ours.stats.density.unwrap() * 100.0));
    }
}

fn histogram(ours: &Histogram, theirs: &Value) {
    assert_eq!(ours.counts, ids(&theirs["bar_heights"]).into_iter().map(u64::from).collect::<Vec<_>>());
    for (i, centre) in floats(&theirs["bar_values"]).into_iter().enumerate() {
        close("bin centre", ours.centre(i), centre, 1e-5);
    }
    // Where the axis is shorter than 0.3, sae_vis's ticks all fall on zero.
    if f64::from(ours.max.max(-ours.min)) >= 0.3 {
        let ticks = floats(&theirs["tick_vals"]);
        assert_eq!(ours.ticks().len(), ticks.len());
        ours.ticks().iter().zip(ticks).for_each(|(got, tick)| close("tick", *got, tick, 1e-6));
    }
}

#[test]
fn logit_lists_are_those_of_sae_vis() {
    for (ours, theirs) in pairs() {
        let table = ours.logits_table.as_ref().unwrap();
        for (side, name) in [(&table.top, "top"), (&table.bottom, "bottom")] {
            let data = &theirs["logits_table_data"];
            assert_eq!(
                side.iter().map(|e| e.token_id).collect::<Vec<_>>(),
                ids(&data[format!("{name}_token_ids")])
            );
            let logits = floats(&data[format!("{name}_logits")]);
            side.iter().zip(logits).for_each(|(e, logit)| close("logit", f64::from(e.logit), logit, 1e-5));
        }
    }
}

#[test]
fn statistics_are_those_of_sae_vis() {
    let stats = &theirs()["feature_stats"];
    let (max, density) = (floats(&stats["max"]), floats(&stats["frac_nonzero"]));
    for (i, ours) in ours().features.iter().enumerate() {
        close("max", f64::from(ours.stats.max), max[i], 1e-5);
        close("density", ours.stats.density.unwrap(), density[i], 1e-12);
        // sae_vis drops the last point, the maximum, and computes ranks in f32: with a hundred thousand positions a
        // rank is off by up to a hundredth, and the value by as much of the distance to its neighbours.
        let quantiles = ours.quantiles.as_ref().unwrap();
        let values = quantiles.values();
        let first = quantiles.n_zeros as usize;
        let theirs = floats(&stats["quantile_data"][i]);
        assert_eq!(values.len() - 1 - first, theirs.len());
        for (k, value) in (first..).zip(theirs) {
            let around = values[k + 1] - values[k - 1];
            close("quantile", values[k], value, 0.01 * around + PRINTED);
        }
    }
}

/// Our example of the same window, where both chose it: positions with equal activation may come in another order.
///
/// sae_vis says neither row nor position, so this is the one with the same tokens and the most similar activations and
/// effects: the same line of code comes in many files, with activations that are equal to three decimals.
fn matching<'a>(examples: &'a [Example], theirs: &Value) -> Option<&'a Example> {
    let (expected, acts) = (ids(&theirs["token_ids"]), floats(&theirs["feat_acts"]));
    let tokens = |e: &Example| e.tokens.iter().map(|t| t.token_id).collect::<Vec<_>>();
    let losses = floats(&theirs["loss_contribution"]);
    let distance = |e: &Example| {
        let loss = |t: &TokenView| t.effect.as_ref().map_or(0.0, |e| e.loss_effect);
        let of_token = |((t, a), l): ((&TokenView, &f64), &f64)| (t.act - a).abs() + (loss(t) - l).abs();
        e.tokens.iter().zip(&acts).zip(&losses).map(of_token).sum::<f64>()
    };
    let same = examples.iter().filter(|e| tokens(e) == expected);
    same.min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

#[test]
fn top_groups_are_those_of_sae_vis() {
    for (ours, theirs) in pairs() {
        let examples = ours.sequences.as_ref().unwrap().group_examples(0);
        let group = &theirs["sequence_data"]["seq_group_data"][0];
        assert_eq!(group["title"], format!("TOP ACTIVATIONS<br>MAX = {:.3}", ours.stats.max));
        let sequences = group["seq_data"].as_array().unwrap();
        // sae_vis pads with positions where the feature is not active; the middle token tells.
        let active: Vec<&Value> = sequences.iter().filter(|s| floats(&s["feat_acts"])[5] > 0.0).collect();
        assert_eq!(examples.len(), active.len());
        let mut n_matched = 0;
        for (example, theirs) in examples.iter().zip(&active) {
            let bold = example.tokens.iter().find(|t| t.position == example.position).unwrap();
            close("activation", bold.act, floats(&theirs["feat_acts"])[5], 1e-4 + PRINTED);
            let Some(example) = matching(&examples, theirs) else { continue };
            n_matched += 1;
            let (acts, logits) = (floats(&theirs["feat_acts"]), floats(&theirs["token_logits"]));
            for ((token, act), logit) in example.tokens.iter().zip(acts).zip(logits) {
                close("activation", token.act, act, 1e-4 + PRINTED);
                close("token logit", token.logit.unwrap(), logit, 1e-5 + PRINTED);
            }
        }
        assert!(n_matched + 3 >= active.len(), "{n_matched} of {}", active.len());
    }
}

#[test]
fn interval_groups_have_the_bounds_and_shares_of_sae_vis() {
    for (ours, theirs) in pairs() {
        let sequences = ours.sequences.as_ref().unwrap();
        let groups = theirs["sequence_data"]["seq_group_data"].as_array().unwrap();
        assert_eq!(sequences.groups.len(), groups.len());
        for (g, (group, theirs)) in sequences.groups.iter().zip(groups).enumerate().skip(1) {
            let GroupKind::Interval { low, high } = group.kind else { panic!("group {g}") };
            let title = theirs["title"].as_str().unwrap();
            let bounds = format!("INTERVAL {low:.3} - {high:.3}<br>");
            assert!(title.starts_with(&bounds), "{title}, ours {bounds}");
            // sae_vis counts zeros in the lowest interval, the last.
            if g < groups.len() - 1 {
                let share = ours.share(group).unwrap();
                assert_eq!(title, format!("{bounds}CONTAINS {:.3}%", share * 100.0));
            }
            for example in sequences.group_examples(g) {
                let bold = example.tokens.iter().find(|t| t.position == example.position).unwrap();
                assert!(bold.act > f64::from(low) - PRINTED && bold.act <= f64::from(high) + PRINTED);
            }
            let theirs = theirs["seq_data"].as_array().unwrap().iter();
            let n_active = theirs.filter(|s| floats(&s["feat_acts"])[5] > 0.0).count();
            assert!(group.n_examples as usize >= n_active, "group {g}");
        }
    }
}

/// sae_vis's standard deviation is larger than the norm's scale by sqrt(d / (d - 1)), so its logits are smaller by
/// 1 / (2 d_model) = 0.4 %; log-probabilities of some nats differ by a few thousandths of a nat.
#[test]
fn effects_are_those_of_sae_vis_up_to_its_standard_deviation() {
    let mut relative = Vec::new();
    for (ours, theirs) in pairs() {
        let examples = ours.sequences.as_ref().unwrap().group_examples(0);
        for theirs in theirs["sequence_data"]["seq_group_data"][0]["seq_data"].as_array().unwrap() {
            let Some(example) = matching(&examples, theirs) else { continue };
            let losses = floats(&theirs["loss_contribution"]);
            for (i, (token, loss)) in example.tokens.iter().zip(losses).enumerate() {
                let got = token.effect.as_ref().map_or(0.0, |e| e.loss_effect);
                close("loss effect", got, loss, 0.01);
                if loss.abs() > 0.02 {
                    relative.push((got - loss).abs() / loss.abs());
                }
                let Some(effect) = &token.effect else { continue };
                for (side, name) in [(&effect.boosted, "top"), (&effect.suppressed, "bottom")] {
                    let values = floats(&theirs[format!("{name}_logits")][i]);
                    assert_eq!(side.len(), values.len());
                    for ((_, got), value) in side.iter().zip(values) {
                        close("contribution", *got, value, 0.01 * value.abs() + 1e-3 + PRINTED);
                    }
                }
            }
        }
    }
    relative.sort_by(f64::total_cmp);
    assert!(relative.len() > 300);
    let (median, most) = (relative[relative.len() / 2], relative[relative.len() * 95 / 100]);
    assert!(median < 1.5 / 128.0 && most < 0.03, "median {median}, 95 % {most}");
}

#[test]
fn prompt_scores_are_those_of_sae_vis() {
    let theirs = &fixture("features_0_32.prompt.json.gz")["scores"];
    let theirs = theirs.as_object().unwrap();
    let mut n_compared = 0;
    for metric in Metric::ALL {
        for position in 0..ours().prompt.token_ids.len() {
            let scores = ours().prompt.scores_at(metric, position);
            let key = theirs.keys().find(|k| {
                k.starts_with(&format!("{}|", metric.name())) && k.ends_with(&format!("({position})"))
            });
            let Some(key) = key else {
                assert!(scores.is_empty(), "sae_vis has nothing for {} at {position}", metric.name());
                continue;
            };
            assert_eq!(scores.iter().map(|s| s.feature).collect::<Vec<_>>(), ids(&theirs[key][0]), "{key}");
            for (score, text) in scores.iter().zip(theirs[key][1].as_array().unwrap()) {
                n_compared += 1;
                if metric == Metric::LossEffect {
                    close(key, score.value, text.as_str().unwrap().parse().unwrap(), 0.01);
                } else {
                    assert_eq!(score.text(metric), text.as_str().unwrap(), "{key}");
                }
            }
        }
    }
    assert!(n_compared >= 12, "{n_compared}");
}
