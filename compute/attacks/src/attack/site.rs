//! Tries any text as the list of bundles of a site.

use shared::site::Site;

use crate::verdict::{Outcome, judged, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let site = judged(Site::from_json(bytes));
    if let Some(site) = &site {
        let json = judged(site.to_json());
        assert!(json.is_some_and(|json| Site::from_json(&json).is_ok()), "what is written is not read");
    }
    outcome(site)
}

pub fn seeds() -> Vec<Vec<u8>> {
    let site = r#"{"schema":{"major":3,"minor":0},"tool":"t","bundles":[{"path":"a/b","model":"m","sae":"s","hook":"blocks.1.hook_resid_pre","d_sae":8,"n_features":8,"health":{"l0":1.5}},{"path":"c","model":"m","sae":"t","n_features":2}]}"#;
    vec![site.into()]
}
