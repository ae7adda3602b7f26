//! Text for synthetic bundles: a small vocabulary with every kind of awkward token, and rows made of it.

use std::collections::HashMap;

use shared::vocab::Vocab;

use super::Rng;

/// Lines that rows and prompts are made of. Markup, other scripts and split characters are meant to be awkward.
pub(super) const LINES: &[&str] = &[
    "The old lighthouse keeper walked down to the harbour every morning, and the boats came back with the tide.",
    "In 1998 the committee published its first report on the migration of Arctic terns across the Atlantic.",
    "def forward(self, x):\n    return self.proj(self.norm(x)) + x\n",
    "    'first_name': ('django.db.models.fields.CharField', [], {'max_length': '30', 'blank': 'True'}),\n",
    "She said that the results were, at best, inconclusive; nobody in the room agreed with her.",
    "for (let i = 0; i < rows.length; i++) {\n\ttotal += rows[i].value;\n}\n",
    "<script>alert('not markup')</script> &amp; <b>bold</b> <img src=x onerror=alert(1)>",
    "שלום עולם, זה טקסט מימין לשמאל.",
    "مرحبا بالعالم",
    "东京は日本の首都です。",
    "Café naïve façade: the résumé cost €40 — “cheap”, they said… 🙂🚀",
    "e\u{301}te\u{301} zero\u{200b}width",
    "Hydrogen bonds between water molecules explain the unusually high boiling point of water.",
    "SELECT name, COUNT(*) FROM orders WHERE status = 'open' GROUP BY name ORDER BY 2 DESC;\n",
    "The minister denied on Tuesday that the government had any plans to raise the tax again this year.",
    "Supercalifragilisticexpialidocious_and_a_very_long_identifier_that_never_ends_0123456789abcdef",
    "The theorem follows from the lemma: let $x \\in X$ be such that $f(x) = 0$.\n\n",
    "import numpy as np\nimport torch\n\nmodel = torch.nn.Linear(512, 64)\n",
    "He played for the club from 2003 to 2011, scoring 87 goals in 241 appearances.",
    "A ruler of one token:\n========================================================================================\n",
    "Mix the flour, the butter and the sugar; bake for 25 minutes at 180 degrees.",
];

/// Endings that fill the vocabulary up to the size asked for.
const ENDINGS: &[&str] =
    &["ing", "ed", "er", "ly", "ness", "ment", "ism", "ist", "ous", "able", "ful", "less", "tion"];

/// Vocabulary and rows.
pub(super) struct Text {
    /// Token strings.
    pub vocab: Vocab,
    /// Row after row.
    pub token_ids: Vec<u32>,
    /// Token ids of each line of the source.
    pub lines: Vec<Vec<u32>>,
}

impl Text {
    /// Makes `n_tokens` tokens; the vocabulary has at least `d_vocab`.
    pub fn generate(n_tokens: usize, d_vocab: usize, rng: &mut Rng) -> Self {
        let mut tokens: Vec<Vec<u8>> = vec![b"<|endoftext|>".to_vec()];
        let mut ids: HashMap<Vec<u8>, u32> = HashMap::new();
        let lines: Vec<Vec<u32>> = LINES
            .iter()
            .map(|line| {
                let id = |token: Vec<u8>| {
                    *ids.entry(token.clone()).or_insert_with(|| {
                        tokens.push(token);
                        tokens.len() as u32 - 1
                    })
                };
                split(line).into_iter().map(id).collect()
            })
            .collect();
        let stems: Vec<Vec<u8>> = tokens.iter().filter(|t| t.is_ascii() && t.len() > 3).cloned().collect();
        while tokens.len() < d_vocab {
            let stem = &stems[rng.below(stems.len())];
            let ending = ENDINGS[rng.below(ENDINGS.len())];
            tokens.push([stem.as_slice(), ending.as_bytes()].concat());
        }
        let mut token_ids = Vec::with_capacity(n_tokens);
        while token_ids.len() < n_tokens {
            // Squared: some lines are common, some rare, as words are.
            let u = rng.unit();
            let line = (u * u * lines.len() as f64) as usize;
            token_ids.extend_from_slice(&lines[line]);
            if rng.unit() < 0.2 {
                token_ids.push(0);
            }
        }
        token_ids.truncate(n_tokens);
        Self { vocab: Vocab::of(tokens), token_ids, lines }
    }
}

/// Cuts text into pieces like those of a byte-level tokenizer: words with the space before them, single
/// marks, runs of spaces, and characters beyond ASCII cut in two where they have three bytes or more.
fn split(line: &str) -> Vec<Vec<u8>> {
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let mut word = String::new();
    for c in line.chars() {
        let joins = match c {
            'a'..='z' | '_' => word.trim_start_matches(' ').chars().all(char::is_alphabetic) || word == " ",
            'A'..='Z' => word.is_empty() || word == " ",
            ' ' => !word.is_empty() && word.chars().all(|c| c == ' '),
            '=' => word.ends_with('='),
            '\u{590}'..='\u{6ff}' => word.len() < 8,
            _ => false,
        };
        if !joins && !word.is_empty() {
            // The last of a run of spaces belongs to the word after it.
            let keeps_space = c.is_alphabetic() && word.len() > 1 && word.chars().all(|c| c == ' ');
            if keeps_space {
                word.pop();
            }
            pieces.push(std::mem::take(&mut word).into_bytes());
            if keeps_space {
                word.push(' ');
            }
        }
        if c.len_utf8() >= 3 {
            let mut bytes = [0; 4];
            let bytes = c.encode_utf8(&mut bytes).as_bytes();
            pieces.push(bytes[..2].to_vec());
            pieces.push(bytes[2..].to_vec());
        } else {
            word.push(c);
        }
    }
    if !word.is_empty() {
        pieces.push(word.into_bytes());
    }
    pieces
}
