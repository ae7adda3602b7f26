//! What the search box asks: plain text, or conditions such as `density<1e-4 & kurtosis>50 & top~Django & starred`.
//!
//! | condition | meaning |
//! |---|---|
//! | `density<1e-4`, `density<0.01%`, `max>=2`, `index=8` | a statistic: `<` `<=` `>` `>=` `=` |
//! | `top~Django` | one of the tokens at which the feature is most active contains the text; `=`: is the text |
//! | `logits~Django` | the same of the tokens whose logits it raises; `token~`: of either |
//! | `label~quotes`, `note~why`, `list=to read` | the label, the reader's own note and lists |
//! | `rating>=3` | the reader's own rating, 1 to 5 |
//! | `starred`, `labelled`, `noted`, `dead` | as it says |
//! | `&`, `\|`, `!`, `( )` | and, or, not |
//!
//! Text is in quotes where it holds one of these signs, a quote within them doubled. What holds no condition is searched for as it stands.

use crate::browse::Stat;

/// A question about features.
#[derive(Debug, Clone, PartialEq)]
pub enum Query {
    /// All of them hold.
    All(Vec<Self>),
    /// One of them holds.
    Any(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// A statistic compares so with a number.
    Stat(Stat, Comparison, f64),
    /// The reader's own rating does.
    Rating(Comparison, f64),
    /// A text of the feature contains another, or is it.
    Text(Field, Matching, String),
    /// A property holds.
    Flag(Flag),
}

/// How numbers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `=`
    Equal,
}

impl Comparison {
    /// Whether `a` compares so with `b`. A statistic is stored in 32 bits: it equals a number that it is the nearest to.
    pub fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Self::Less => a < b,
            Self::AtMost => a <= b,
            Self::More => a > b,
            Self::AtLeast => a >= b,
            Self::Equal => (a as f32 - b as f32).abs() <= 0.0,
        }
    }
}

/// A text of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Tokens at which it is most active.
    Top,
    /// Tokens whose logits it raises.
    Logits,
    /// Either of them.
    Token,
    /// Its label.
    Label,
    /// The reader's note.
    Note,
    /// The reader's lists that it is on.
    List,
    /// Tokens, label, and the beginning of its index: what plain text is searched in.
    Anything,
}

/// How a text is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matching {
    /// As a part, in any case.
    Contains,
    /// As the whole, in any case.
    Is,
}

/// A property of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// Starred by the reader.
    Starred,
    /// Has a label.
    Labelled,
    /// Has a note of the reader's.
    Noted,
    /// Active nowhere.
    Dead,
}

const FIELDS: [(&str, Field); 6] = [
    ("top", Field::Top),
    ("logits", Field::Logits),
    ("token", Field::Token),
    ("label", Field::Label),
    ("note", Field::Note),
    ("list", Field::List),
];
const FLAGS: [(&str, Flag); 4] =
    [("starred", Flag::Starred), ("labelled", Flag::Labelled), ("noted", Flag::Noted), ("dead", Flag::Dead)];
const COMPARISONS: [(&str, Comparison); 5] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("<", Comparison::Less),
    (">", Comparison::More),
    ("=", Comparison::Equal),
];
/// Parentheses within one another, at most.
const MAX_DEPTH: usize = 32;

impl Query {
    /// Reads what is in the search box; `None` where nothing is.
    ///
    /// Fails, with what is wrong, where there are conditions that cannot be read. What holds none is plain text.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let mut parser = Parser { rest: text, n_conditions: 0, depth: 0 };
        let parsed = parser.any().and_then(|query| parser.end().map(|()| query));
        match parsed {
            Ok(query) if parser.n_conditions > 0 => Ok(Some(query)),
            Err(reason) if parser.n_conditions > 0 || reason.is_certain => Err(reason.text),
            _ => Ok(Some(Self::plain(text))),
        }
    }

    fn plain(text: &str) -> Self {
        Self::Text(Field::Anything, Matching::Contains, text.to_ascii_lowercase())
    }
}

/// Why a query cannot be read.
struct Reason {
    text: String,
    /// Whether it was surely meant as a condition.
    is_certain: bool,
}

impl Reason {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_certain: false }
    }
}

struct Parser<'a> {
    rest: &'a str,
    n_conditions: usize,
    depth: usize,
}

impl Parser<'_> {
    /// Takes `sign` if it is next.
    fn take(&mut self, sign: char) -> bool {
        let rest = self.rest.trim_start();
        let taken = rest.strip_prefix(sign);
        // `&&` and `||` are what programmers write.
        let taken = taken.map(|rest| {
            if sign == '&' || sign == '|' { rest.strip_prefix(sign).unwrap_or(rest) } else { rest }
        });
        self.rest = taken.unwrap_or(self.rest);
        taken.is_some()
    }

    fn any(&mut self) -> Result<Query, Reason> {
        let mut parts = vec![self.all()?];
        while self.take('|') {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Query::Any(parts) })
    }

    fn all(&mut self) -> Result<Query, Reason> {
        let mut parts = vec![self.one()?];
        while self.take('&') {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Query::All(parts) })
    }

    fn one(&mut self) -> Result<Query, Reason> {
        if self.take('!') {
            self.enter()?;
            let negated = self.one()?;
            self.depth -= 1;
            return Ok(Query::Not(Box::new(negated)));
        }
        if self.take('(') {
            self.enter()?;
            let inner = self.any()?;
            self.depth -= 1;
            return if self.take(')') { Ok(inner) } else { Err(Reason::new("a parenthesis is not closed")) };
        }
        self.condition()
    }

    fn enter(&mut self) -> Result<(), Reason> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(Reason::new("too many parentheses")) } else { Ok(()) }
    }

    fn end(&self) -> Result<(), Reason> {
        let rest = self.rest.trim();
        if rest.is_empty() { Ok(()) } else { Err(Reason::new(format!("“{rest}” is left over"))) }
    }

    /// A comparison, a property, or text.
    fn condition(&mut self) -> Result<Query, Reason> {
        let rest = self.rest.trim_start();
        let word = rest.find(|c: char| !c.is_ascii_alphabetic()).map_or(rest, |end| &rest[..end]);
        let after = rest[word.len()..].trim_start();
        let name = word.to_ascii_lowercase();
        if let Some(matching) = after.strip_prefix('~').map(|_| Matching::Contains) {
            return self.text_condition(&name, &after[1..], matching);
        }
        let sign = COMPARISONS.iter().find(|(sign, _)| after.starts_with(sign));
        if let Some(&(sign, comparison)) = sign.filter(|_| !word.is_empty()) {
            let value = &after[sign.len()..];
            if comparison == Comparison::Equal && FIELDS.iter().any(|(field, _)| *field == name) {
                return self.text_condition(&name, value, Matching::Is);
            }
            return self.number_condition(&name, comparison, value);
        }
        let flag = FLAGS.iter().find(|(flag, _)| *flag == name);
        if let Some((_, flag)) = flag.filter(|_| after.is_empty() || after.starts_with(['&', '|', ')'])) {
            (self.rest, self.n_conditions) = (after, self.n_conditions + 1);
            return Ok(Query::Flag(*flag));
        }
        let (text, rest) = value_at(rest)?;
        if text.is_empty() {
            return Err(Reason::new("something is missing"));
        }
        let query = Query::plain(&text);
        self.rest = rest;
        Ok(query)
    }

    fn text_condition(&mut self, name: &str, value: &str, matching: Matching) -> Result<Query, Reason> {
        let Some((_, field)) = FIELDS.iter().find(|(field, _)| *field == name) else {
            let known = FIELDS.map(|(field, _)| field).join(", ");
            let is_certain = !name.is_empty() && !value.trim().is_empty();
            return Err(Reason {
                text: format!("no text is called “{name}”: there are {known}"),
                is_certain,
            });
        };
        self.n_conditions += 1;
        // The rest of this parser's text begins with the condition: what follows its value is left.
        let (text, rest) = value_at(value)?;
        if text.is_empty() {
            return Err(Reason::new(format!("{name} is to contain nothing")));
        }
        let query = Query::Text(*field, matching, text.to_ascii_lowercase());
        let end = self.rest.len() - rest.len();
        self.rest = &self.rest[end..];
        Ok(query)
    }

    fn number_condition(&mut self, name: &str, comparison: Comparison, value: &str) -> Result<Query, Reason> {
        let (text, rest) = value_at(value)?;
        let number = number(&text);
        let stat = Stat::from_name(name);
        if stat.is_none() && name != "rating" {
            let known = Stat::ALL.map(Stat::name).join(", ");
            let text = format!("no statistic is called “{name}”: there are {known}, rating");
            return Err(Reason { text, is_certain: number.is_some() });
        }
        self.n_conditions += 1;
        let number = number
            .ok_or_else(|| Reason::new(format!("{name} is compared with “{text}”, expected a number")))?;
        let end = self.rest.len() - rest.len();
        self.rest = &self.rest[end..];
        Ok(stat.map_or(Query::Rating(comparison, number), |stat| Query::Stat(stat, comparison, number)))
    }
}

/// The text up to the next sign, or in quotes, and what follows it.
fn value_at(text: &str) -> Result<(String, &str), Reason> {
    let begun = text.trim_start();
    if let Some(quoted) = begun.strip_prefix('"') {
        // A quote within the text is doubled.
        let mut end = 0;
        loop {
            end += quoted[end..].find('"').ok_or_else(|| Reason::new("a quote is not closed"))?;
            if !quoted[end + 1..].starts_with('"') {
                return Ok((quoted[..end].replace("\"\"", "\""), &quoted[end + 1..]));
            }
            end += 2;
        }
    }
    let end = text.find(['&', '|', ')', '(']).unwrap_or(text.len());
    Ok((text[..end].trim().to_owned(), &text[end..]))
}

/// A number, perhaps in percent. JSON's parser reads it: the standard library's would bring 15 KB of tables.
fn number(text: &str) -> Option<f64> {
    let (digits, scale) = match text.strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 0.01),
        None => (text, 1.0),
    };
    let digits = if digits.starts_with('.') { format!("0{digits}") } else { digits.to_owned() };
    serde_json::from_str::<f64>(&digits).ok().map(|n| n * scale)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Query {
        Query::parse(text).unwrap().unwrap()
    }

    fn stat(stat: Stat, comparison: Comparison, value: f64) -> Query {
        Query::Stat(stat, comparison, value)
    }

    #[test]
    fn conditions_are_joined_by_signs() {
        assert_eq!(
            parse("density<1e-4 & kurtosis > 50 & top~Django & starred"),
            Query::All(vec![
                stat(Stat::Density, Comparison::Less, 1e-4),
                stat(Stat::Kurtosis, Comparison::More, 50.0),
                Query::Text(Field::Top, Matching::Contains, "django".to_owned()),
                Query::Flag(Flag::Starred),
            ])
        );
        assert_eq!(
            parse("!(dead || index>=7) & density<=0.5%"),
            Query::All(vec![
                Query::Not(Box::new(Query::Any(vec![
                    Query::Flag(Flag::Dead),
                    stat(Stat::Index, Comparison::AtLeast, 7.0)
                ]))),
                stat(Stat::Density, Comparison::AtMost, 0.005),
            ])
        );
        let doubled = Query::Text(Field::Top, Matching::Is, "say \"x\"".to_owned());
        assert_eq!(parse("top=\"say \"\"x\"\"\""), doubled);
        let quoted = Query::Text(Field::Logits, Matching::Is, " a&b".to_owned());
        assert_eq!(
            parse("logits=\" a&b\" & rating>=3"),
            Query::All(vec![quoted, Query::Rating(Comparison::AtLeast, 3.0)])
        );
    }

    #[test]
    fn what_holds_no_condition_is_searched_for_as_it_stands() {
        for text in ["the", " the", "a & b", "=>", "a=b", "(", "\"", "x~", "!", "starred features", "i<n"] {
            let plain = Query::Text(Field::Anything, Matching::Contains, text.to_owned());
            assert_eq!(Query::parse(text), Ok(Some(plain)), "{text}");
        }
        assert_eq!(Query::parse(""), Ok(None));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (text, said) in [
            ("densty<1e-4", "no statistic is called “densty”"),
            ("density<low", "density is compared with “low”, expected a number"),
            ("tpo~Django", "no text is called “tpo”"),
            ("dead & (max>1", "a parenthesis is not closed"),
            ("dead & ", "something is missing"),
            ("top~\"a", "a quote is not closed"),
            ("max>1)", "“)” is left over"),
        ] {
            let reason = Query::parse(text).unwrap_err();
            assert!(reason.contains(said), "{text}: {reason}");
        }
        assert!(Query::parse(&format!("dead & {}", "(".repeat(1000))).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z<>=~&|!() \"%0-9.é]{0,40}") {
            let read = Query::parse(&text);
            prop_assert!(read.is_ok_and(|q| q.is_some() != text.is_empty()) || !text.is_empty());
        }
    }
}
