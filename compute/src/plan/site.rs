//! What a run of several SAEs will do: a plan for each, which one pass over the corpus serves.

use std::{
    path::{Path, PathBuf},
    slice,
};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::{Input, ModelAndText, Plan, RunOptions};
use crate::{
    corpus::Rule,
    hub::{self, Artifact},
};

/// What a run makes.
#[derive(Debug, Serialize, Deserialize)]
pub enum Planned {
    /// A bundle of one SAE.
    Bundle(Box<Plan>),
    /// A site of several.
    Site(SitePlan),
}

impl Planned {
    /// Checks `args` against the headers of the files that they name.
    pub fn new(args: &RunOptions) -> Result<Self> {
        let saes = hub::find_saes(&args.input.saes)?;
        if saes.len() == 1 {
            return Ok(Self::Bundle(Box::new(Plan::new(args)?)));
        }
        SitePlan::new(args, &saes).map(Self::Site)
    }

    /// A plan for each SAE; all read the same rows.
    pub fn plans(&self) -> &[Plan] {
        match self {
            Self::Bundle(plan) => slice::from_ref(plan),
            Self::Site(site) => &site.plans,
        }
    }

    /// The same, to be changed.
    pub fn plans_mut(&mut self) -> &mut [Plan] {
        match self {
            Self::Bundle(plan) => slice::from_mut(plan),
            Self::Site(site) => &mut site.plans,
        }
    }

    /// Where the bundle or the site goes.
    pub fn out(&self) -> &Path {
        match self {
            Self::Bundle(plan) => &plan.out,
            Self::Site(site) => &site.out,
        }
    }
}

/// Bundles that one pass computes.
#[derive(Debug, Serialize, Deserialize)]
pub struct SitePlan {
    /// The site's folder.
    pub out: PathBuf,
    /// The bundles' names, which are their folders in the site.
    pub names: Vec<String>,
    /// Their plans, in the order in which the model reaches the SAEs' hook points: all read the same rows.
    pub plans: Vec<Plan>,
    /// How many SAEs before and after each its features' neighbours are looked for in.
    pub neighbours: usize,
}

impl SitePlan {
    /// Checks `args` with the SAEs `saes` against the headers of the files that they name.
    pub fn new(args: &RunOptions, saes: &[PathBuf]) -> Result<Self> {
        ensure!(
            args.sae_b.is_none(),
            "--sae-b goes with one --sae: of several, neighbours say what is alike"
        );
        ensure!(
            args.labels.is_none(),
            "--labels goes with one --sae: put labels into each bundle with `compute label` once they are there"
        );
        let all = ModelAndText::new(&args.input)?;
        let mut inputs: Vec<Input> =
            saes.iter().map(|sae| all.clone().with_sae(&args.input, sae)).collect::<Result<_>>()?;
        // SAEs of one tap stand side by side.
        inputs.sort_by_key(|input| (input.hook, place(input)));
        check_rules(&inputs)?;
        let names = names(inputs.iter().map(|input| &input.sae))?;
        let plan = |(number, (input, name)): (usize, (Input, &String))| -> Result<Plan> {
            Ok(Plan { sae_number: number, ..Plan::of(args, input, args.out.join(name))? })
        };
        let plans = inputs.into_iter().zip(&names).enumerate().map(plan).collect::<Result<_>>()?;
        Ok(Self { out: args.out.clone(), names, plans, neighbours: args.neighbours })
    }
}

/// What tells taps of one hook point apart.
fn place(input: &Input) -> (bool, bool) {
    (input.preprocessing.center_writing_weights, input.preprocessing.fold_value_biases)
}

/// Fails where the SAEs' configs ask for different rows, and no option says which.
fn check_rules(inputs: &[Input]) -> Result<()> {
    let Some((first, others)) = inputs.split_first() else { return Ok(()) };
    for other in others {
        let (Rule { seq_len: a, bos: bos_a, .. }, Rule { seq_len: b, bos: bos_b, .. }) =
            (&first.rule, &other.rule);
        let (one, two) = (&first.sae.name, &other.sae.name);
        ensure!(
            a == b,
            "the SAEs' configs ask for rows of {a} tokens ({one}) and of {b} ({two}): choose with --seq-len"
        );
        ensure!(
            bos_a == bos_b,
            "of the SAEs' configs some ask for the beginning-of-sequence token and some do not ({one}, {two}): choose \
             with --prepend-bos"
        );
    }
    Ok(())
}

/// A folder's name for each SAE: as many parts from the end of its name as tell all apart.
fn names<'a>(saes: impl Iterator<Item = &'a Artifact>) -> Result<Vec<String>> {
    let parts: Vec<Vec<String>> = saes.map(|sae| name_parts(&sae.name, &sae.path)).collect();
    let most = parts.iter().map(Vec::len).max().unwrap_or_default();
    for n in 1..=most {
        let names: Vec<String> =
            parts.iter().map(|parts| parts[parts.len().saturating_sub(n)..].join("-")).collect();
        if names.iter().enumerate().all(|(i, name)| !names[..i].contains(name)) {
            return Ok(names);
        }
    }
    let twice = parts.iter().enumerate().find(|(i, one)| parts[..*i].contains(one));
    let twice = twice.map(|(_, parts)| parts.join("/")).unwrap_or_default();
    anyhow::bail!("the SAE {twice} is named twice: name each once")
}

/// The parts of an SAE's name, or of its path where the name is only the end of that, as folders may be called.
fn name_parts(name: &str, path: &Path) -> Vec<String> {
    let path = path.to_string_lossy();
    let full = if path.ends_with(name) { &*path } else { name };
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let parts = full.split(['/', ':']).map(|part| part.trim_start_matches('.'));
    parts.filter(|part| !part.is_empty()).map(|part| part.chars().map(plain).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sae(name: &str, path: &str) -> Artifact {
        Artifact { name: name.to_owned(), path: path.into(), registered: None, weights_on_hub: None }
    }

    fn named(saes: &[Artifact]) -> Result<Vec<String>, String> {
        names(saes.iter()).map_err(|e| e.to_string())
    }

    #[test]
    fn names_are_as_short_as_they_can_be() {
        let expected = |names: &[&str]| Ok(names.iter().map(ToString::to_string).collect());
        let scope = |layer: u32| {
            sae(&format!("google/gemma-scope-2b-pt-res:layer_{layer}/width_16k/canonical"), "/cache/x")
        };
        assert_eq!(
            named(&[scope(0), scope(1)]),
            expected(&["layer_0-width_16k-canonical", "layer_1-width_16k-canonical"])
        );
        let on_disk = [sae("a", "demo/one/a"), sae("b c", "demo/one/b c")];
        assert_eq!(named(&on_disk), expected(&["a", "b_c"]));
        let on_disk = [sae("ae.pt", "x/0/ae.pt"), sae("ae.pt", "x/1/ae.pt")];
        assert_eq!(named(&on_disk), expected(&["0-ae.pt", "1-ae.pt"]));
        let twice = [sae("a", "demo/a"), sae("a", "demo/a")];
        assert_eq!(named(&twice), Err("the SAE demo/a is named twice: name each once".to_owned()));
    }
}
