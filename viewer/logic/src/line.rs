//! Lines of tokens as the elements of `www/tokens.js` read them: texts, colours, and which token each is.

use std::fmt::Write as _;

use shared::{
    sequence::{RowActs, TokenView},
    vocab::Vocab,
};

use crate::script;

/// Steps of the background's and the underline's strength; CSS has a class for each.
const N_STEPS: f64 = 20.0;
/// Strengths of the marks of a [`Strip`].
const N_STRENGTHS: usize = 4;
/// No underline is full below this, in nats: a feature without effects is not painted as if it had some.
const MIN_EFFECT: f64 = 0.01;

/// A token as it is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenSpan {
    /// Text, escaped for the eye.
    pub text: String,
    /// Token.
    pub token_id: u32,
    /// Position in the row.
    pub position: u32,
    /// Background, 0 to 1; below 0 where the activation is.
    pub fill: f64,
    /// Underline, −1 (helps) to 1 (hurts).
    pub underline: f64,
    /// Whether it is the token that the line was chosen for.
    pub bold: bool,
    /// Whether the Tab key stops at it.
    pub tab_stop: bool,
    /// The text that it stands for, where that is shown as an escape.
    pub raw: Option<String>,
    /// Whether a new line of text begins after it.
    pub ends_line: bool,
    /// The character that it makes together with its neighbours.
    pub joined: Option<String>,
}

impl TokenSpan {
    fn class(&self) -> String {
        let mut class = String::from("token");
        let step = |share: f64| (share.abs().min(1.0) * N_STEPS).ceil() as u32;
        let add = |written: std::fmt::Result| debug_assert!(written.is_ok(), "a string takes any text");
        if self.fill != 0.0 {
            add(write!(
                class,
                " active{} f{}",
                if self.fill < 0.0 { " negative" } else { "" },
                step(self.fill)
            ));
        }
        // Less than half a step is nothing to look at.
        if self.underline.abs() * N_STEPS > 0.5 {
            let side = if self.underline < 0.0 { "helps" } else { "hurts" };
            add(write!(class, " {side} u{}", step(self.underline)));
        }
        for (holds, name) in [
            (self.bold, " bold"),
            (self.raw.is_some(), " escaped"),
            (self.ends_line, " ends-line"),
            (self.joined.is_some(), " joined"),
        ] {
            if holds {
                class.push_str(name);
            }
        }
        class
    }
}

/// How strongly tokens are coloured: what full background and full underline stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Largest activation of the feature.
    pub act: f64,
    /// Largest loss effect, in nats.
    pub effect: f64,
}

impl Scale {
    /// The scale of a feature whose largest activation is `max`, over the effects stored in `acts`.
    pub fn of(max: f32, acts: &RowActs) -> Self {
        let effect = acts.effects.loss.values().fold(MIN_EFFECT, |m, v| m.max(v.abs()));
        Self { act: f64::from(max), effect }
    }

    fn fill(self, act: f64) -> f64 {
        if self.act > 0.0 { act / self.act } else { 0.0 }
    }
}

/// A line of tokens.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Line {
    /// Corpus row, 0 in a prompt.
    pub row: u32,
    /// Its tokens in order.
    pub spans: Vec<TokenSpan>,
    /// Whether letters of neighbouring tokens are joined: the line is then one run of text, not lined up at its bold token.
    pub shaped: bool,
    /// The activation at the bold token as printed; empty = not shown.
    pub act: String,
    /// Number of positions that the line stands for: itself and those that it equals.
    pub n_equal: u32,
    /// Where in its row the feature is active; `None` = not shown.
    pub strip: Option<Strip>,
}

impl Line {
    /// The line of `tokens` in corpus row `row`; the one at `bold` is bold.
    pub fn of(tokens: &[TokenView], row: u32, bold: Option<u32>, vocab: &Vocab, scale: Scale) -> Self {
        let ids: Vec<u32> = tokens.iter().map(|t| t.token_id).collect();
        let script::Run { pieces, shaped } = script::run(vocab, &ids);
        let mut spans: Vec<TokenSpan> = tokens
            .iter()
            .zip(pieces)
            .map(|(t, piece)| TokenSpan {
                ends_line: piece.raw.as_deref().is_some_and(|raw| raw.contains('\n')),
                text: piece.text,
                raw: piece.raw,
                joined: piece.joined,
                token_id: t.token_id,
                position: t.position,
                fill: scale.fill(t.act),
                underline: t.effect.as_ref().map_or(0.0, |e| e.loss_effect / scale.effect),
                bold: bold == Some(t.position),
                tab_stop: false,
            })
            .collect();
        if shaped {
            colour_whole_characters(&mut spans);
        }
        Self { row, spans, shaped, n_equal: 1, ..Self::default() }
    }

    /// The line as text; `www/tokens.js` says how it is read.
    pub fn encoded(&self) -> String {
        let index = |of: fn(&TokenSpan) -> bool| self.spans.iter().position(of).map_or(-1, |i| i as i64);
        let first = self.spans.first().map_or(0, |t| t.position);
        let count = if self.n_equal > 1 { format!("×{}", self.n_equal) } else { String::new() };
        let (strip, shaped) =
            (self.strip.as_ref().map(Strip::encoded).unwrap_or_default(), u8::from(self.shaped));
        let head = [
            self.row.to_string(),
            first.to_string(),
            index(|t| t.bold).to_string(),
            index(|t| t.tab_stop).to_string(),
            self.act.clone(),
            count,
            shaped.to_string(),
            strip,
        ];
        let mut line = head.join("\x1f");
        for token in &self.spans {
            let joined = token.joined.as_deref().unwrap_or_default();
            let raw = token.raw.as_deref().map(crate::route::escape).unwrap_or_default();
            let class = token.class();
            let written =
                write!(line, "\x1e{class}\x1f{}\x1f{joined}\x1f{raw}\x1f{}", token.token_id, token.text);
            debug_assert!(written.is_ok(), "a string takes any text");
        }
        line
    }
}

/// In joined writing a character has one colour: that of the strongest of the tokens that make it.
fn colour_whole_characters(spans: &mut [TokenSpan]) {
    let mut first = 0;
    for i in 0..spans.len() {
        if spans[i].text.is_empty() {
            spans[first].fill = spans[first].fill.max(spans[i].fill);
            spans[first].bold |= spans[i].bold;
        } else {
            first = i;
        }
    }
}

/// Where in a row a feature is active: a picture as wide as the row.
#[derive(Debug, Clone, PartialEq)]
pub struct Strip {
    /// Tokens of the row.
    row_len: u32,
    /// Positions of the line's tokens: the first, and one past the last.
    shown: (u32, u32),
    /// Active positions with their strength, 1 to [`N_STRENGTHS`].
    active: Vec<(u32, usize)>,
}

impl Strip {
    /// The strip of a row whose tokens are `tokens`, of which those from `shown.0` to before `shown.1` stand in the line.
    pub fn of(tokens: &[TokenView], shown: (u32, u32), scale: Scale) -> Self {
        let strength =
            |act: f64| ((scale.fill(act) * N_STRENGTHS as f64).ceil() as usize).clamp(1, N_STRENGTHS);
        let active = tokens.iter().filter(|t| t.act != 0.0).map(|t| (t.position, strength(t.act))).collect();
        Self { row_len: tokens.len() as u32, shown, active }
    }

    /// The row's length, the shown part, and for each strength the path of its marks, between semicolons.
    fn encoded(&self) -> String {
        let mut paths = vec![String::new(); N_STRENGTHS];
        for (position, strength) in &self.active {
            let written = write!(paths[strength - 1], "M{position} 0h1v1h-1z");
            debug_assert!(written.is_ok(), "a string takes any text");
        }
        format!("{};{};{};{}", self.row_len, self.shown.0, self.shown.1, paths.join(";"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(position: u32, token_id: u32, act: f64) -> TokenView {
        TokenView { position, token_id, act, logit: None, effect: None }
    }

    const SCALE: Scale = Scale { act: 2.0, effect: 1.0 };

    #[test]
    fn a_line_says_its_row_its_bold_token_its_activation_and_how_many_it_stands_for() {
        let vocab = Vocab::of(["a", "b\n", "c"]);
        let tokens = [token(7, 0, 0.0), token(8, 1, 2.0), token(9, 2, 0.5)];
        let mut line = Line::of(&tokens, 3, Some(8), &vocab, SCALE);
        (line.act, line.n_equal) = ("2.000".to_owned(), 20);
        let text = line.encoded();
        let (head, spans) = text.split_once('\x1e').unwrap();
        assert_eq!(head.split('\x1f').collect::<Vec<_>>(), ["3", "7", "1", "-1", "2.000", "×20", "0", ""]);
        let spans: Vec<Vec<&str>> = spans.split('\x1e').map(|s| s.split('\x1f').collect()).collect();
        assert_eq!(spans[0], ["token", "0", "", "", "a"]);
        assert_eq!(spans[1], ["token active f20 bold escaped ends-line", "1", "", "b%0A", "b\\n"]);
        assert_eq!(spans[2], ["token active f5", "2", "", "", "c"]);
    }

    #[test]
    fn a_strip_marks_each_active_position_by_its_strength() {
        let row: Vec<TokenView> =
            [0.0, 0.1, 2.0, 0.0, 1.1].iter().zip(0..).map(|(act, i)| token(i, 0, *act)).collect();
        let strip = Strip::of(&row, (1, 4), SCALE).encoded();
        assert_eq!(strip, "5;1;4;M1 0h1v1h-1z;;M4 0h1v1h-1z;M2 0h1v1h-1z");
    }

    #[test]
    fn a_character_of_several_tokens_has_the_colour_of_the_strongest_in_joined_writing() {
        let [first, second] = [&"ب".as_bytes()[..1], &"ب".as_bytes()[1..]];
        let vocab = Vocab::of([first, second, "ر".as_bytes()]);
        let tokens = [token(0, 2, 0.0), token(1, 0, 0.0), token(2, 1, 2.0)];
        let line = Line::of(&tokens, 0, Some(2), &vocab, SCALE);
        assert!(line.shaped);
        let of = |s: &TokenSpan| (s.text.clone(), s.fill, s.bold);
        assert_eq!(of(&line.spans[1]), ("ب".to_owned(), 1.0, true));
        assert_eq!(line.spans[2].text, "");
    }
}
