//! A feature as JSON, for other programs: what its page shows, with the tokens' own text and all stored digits.

use shared::{
    feature::{Feature, TokenLogit},
    sequence::{Example, GroupKind},
    vocab::Vocab,
};

use crate::json::{quoted, quoted_bytes};

/// `feature` with `label`, on one line an example.
pub fn feature_json(feature: &Feature, vocab: &Vocab, label: Option<&str>) -> String {
    let stats = feature.stats;
    let number = |value: Option<f64>| value.map_or_else(|| "null".to_owned(), |v| v.to_string());
    let moments = stats.moments;
    let side = |tokens: &[TokenLogit]| {
        let entry = |t: &TokenLogit| {
            let token = quoted_bytes(vocab.bytes_of(t.token_id));
            format!("{{\"token_id\":{},\"token\":{token},\"logit\":{}}}", t.token_id, t.logit)
        };
        tokens.iter().map(entry).collect::<Vec<_>>().join(",")
    };
    let logits = feature.logits_table.as_ref().map_or_else(
        || "null".to_owned(),
        |table| format!("{{\"positive\":[{}],\"negative\":[{}]}}", side(&table.top), side(&table.bottom)),
    );
    let groups: Vec<String> = feature.sequences.as_ref().map_or_else(Vec::new, |sequences| {
        let group = |g: usize| {
            let examples = sequences.group_examples(g);
            let lines: Vec<String> = examples.iter().map(|e| example(e, vocab)).collect();
            let kind = kind(&sequences.groups[g].kind);
            format!("{{{kind},\"examples\":[\n{}\n]}}", lines.join(",\n"))
        };
        (0..sequences.groups.len()).map(group).collect()
    });
    format!(
        "{{\"feature\":{},\"label\":{},\n\"density\":{},\"n_active\":{},\"max\":{},\"mean\":{},\"std\":{},\"skewness\":{},\"kurtosis\":{},\n\"logits\":{logits},\n\"groups\":[{}]}}\n",
        feature.feature,
        label.map_or_else(|| "null".to_owned(), quoted),
        number(stats.density),
        stats.n_active.map_or_else(|| "null".to_owned(), |n| n.to_string()),
        stats.max,
        number(moments.map(|m| m.mean)),
        number(moments.map(|m| m.std)),
        number(moments.map(|m| m.skewness)),
        number(moments.map(|m| m.kurtosis)),
        groups.join(",\n")
    )
}

fn kind(kind: &GroupKind) -> String {
    let name = format!("\"kind\":{}", quoted(kind.name()));
    match kind {
        GroupKind::Interval { low, high } => format!("{name},\"low\":{low},\"high\":{high}"),
        GroupKind::Quantile { from, to, low, high } => {
            format!("{name},\"from\":{from},\"to\":{to},\"low\":{low},\"high\":{high}")
        }
        GroupKind::Inactive { token_id } => format!("{name},\"token_id\":{token_id}"),
        GroupKind::Top | GroupKind::Bottom | GroupKind::Newer { .. } => name,
    }
}

fn example(example: &Example, vocab: &Vocab) -> String {
    let ids: Vec<String> = example.tokens.iter().map(|t| t.token_id.to_string()).collect();
    let acts: Vec<String> = example.tokens.iter().map(|t| t.act.to_string()).collect();
    let bytes: Vec<u8> = example.tokens.iter().flat_map(|t| vocab.bytes_of(t.token_id)).copied().collect();
    format!(
        "{{\"row\":{},\"position\":{},\"activation\":{},\"count\":{},\"first_position\":{},\"text\":{},\"token_ids\":[{}],\"activations\":[{}]}}",
        example.row,
        example.position,
        example.act,
        example.count,
        example.tokens.first().map_or(0, |t| t.position),
        quoted_bytes(&bytes),
        ids.join(","),
        acts.join(",")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use shared::feature::{LogitsTable, Stats};

    use super::*;

    #[test]
    fn it_is_json_with_the_tokens_own_text() {
        let vocab = Vocab::of(["a\n\"b\"", "c"]);
        let table = LogitsTable { top: vec![TokenLogit { token_id: 0, logit: 1.5 }], bottom: Vec::new() };
        let stats = Stats { max: 2.5, n_active: Some(3), ..Stats::default() };
        let feature = Feature { feature: 8, stats, logits_table: Some(table), ..Feature::default() };
        let json: Value = serde_json::from_str(&feature_json(&feature, &vocab, Some("it's \"8\""))).unwrap();
        assert_eq!(
            (&json["feature"], &json["label"], &json["max"]),
            (&8.into(), &"it's \"8\"".into(), &2.5.into())
        );
        assert_eq!(json["logits"]["positive"][0]["token"], "a\n\"b\"");
        assert!(json["mean"].is_null() && json["groups"].as_array().unwrap().is_empty());
    }
}
