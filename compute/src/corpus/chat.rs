//! Conversations as text, through the tokenizer's chat template, and who speaks at each token.
//!
//! Templates are Jinja as Hugging Face renders it: blocks trimmed, Python's string methods, `raise_exception`,
//! `strftime_now` and a `tojson` that escapes no HTML.

use std::{fs, ops::Range, path::Path};

use minijinja::{Environment, Error, ErrorKind, Value as Jinja, context};
use serde_json::{Map, Value};

use super::{CorpusError, tokenizer::TokenSpans};

/// Roles by number, as the schema has them: none, system, user, assistant, tool, template.
pub const TEMPLATE: u8 = 5;

/// No template is longer.
const MAX_BYTES: u64 = 4 << 20;
/// Instructions that a conversation may take: a long one takes some thousands a message.
const FUEL: u64 = 50_000_000;

/// A chat template with the tokens that it may name.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    tokens: Map<String, Value>,
}

/// A conversation as text.
#[derive(Debug, PartialEq, Eq)]
pub struct ChatText {
    /// What the model reads.
    pub text: String,
    /// What each message says in it, as bytes, with the number of its role, in order.
    pub spans: Vec<(Range<usize>, u8)>,
}

impl Template {
    /// The template beside a model's tokenizer, or in `file`; `None` where there is none.
    pub fn find(model: &Path, file: Option<&Path>) -> Result<Option<Self>, CorpusError> {
        let config_path = model.join("tokenizer_config.json");
        let config = match read(&config_path)? {
            Some(text) => serde_json::from_str(&text).map_err(|e| wrong(e.to_string(), &config_path))?,
            None => Value::Null,
        };
        let tokens = tokens(&config);
        let jinja = model.join("chat_template.jinja");
        if let Some(file) = file {
            let text = read(file)?.ok_or_else(|| wrong("no such file".to_owned(), file))?;
            return Self::new(&text, tokens, file).map(Some);
        }
        if let Some(text) = read(&jinja)? {
            return Self::new(&text, tokens, &jinja).map(Some);
        }
        let json = model.join("chat_template.json");
        if let Some(text) = read(&json)? {
            let value: Value = serde_json::from_str(&text).map_err(|e| wrong(e.to_string(), &json))?;
            let text = value.get("chat_template").and_then(Value::as_str);
            let text = text.ok_or_else(|| wrong("it has no \"chat_template\"".to_owned(), &json))?;
            return Self::new(text, tokens, &json).map(Some);
        }
        let text = match config.get("chat_template") {
            Some(Value::String(text)) => Some(text.as_str()),
            // Several, by name.
            Some(Value::Array(templates)) => {
                let default = templates.iter().find(|t| t["name"] == "default").or(templates.first());
                default.and_then(|t| t["template"].as_str())
            }
            _ => None,
        };
        text.map(|text| Self::new(text, tokens, &config_path)).transpose()
    }

    fn new(text: &str, tokens: Map<String, Value>, path: &Path) -> Result<Self, CorpusError> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |said: String| -> Result<Jinja, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, said))
        });
        // The day of a run must not change what it computes.
        environment.add_function("strftime_now", |_format: String| "26 Jul 2024");
        environment.add_filter("tojson", to_json);
        let text = without_generation(text);
        environment.add_template_owned("chat", text).map_err(|e| wrong(said(&e), path))?;
        Ok(Self { environment, tokens })
    }

    /// A conversation as the model reads it.
    pub fn render(&self, messages: &[Map<String, Value>]) -> Result<ChatText, String> {
        let text = self.fill(messages)?;
        let contents: Vec<(&str, u8)> = messages
            .iter()
            .flat_map(|message| {
                let role = role(message.get("role").and_then(Value::as_str).unwrap_or_default());
                contents(message).into_iter().map(move |content| (content, role))
            })
            .collect();
        let marked = self.fill(&with_marks(messages)).ok();
        let spans = marked.and_then(|marked| aligned(&marked, &text, &contents));
        let spans = spans.unwrap_or_else(|| searched(&text, &contents));
        Ok(ChatText { text, spans })
    }

    fn fill(&self, messages: &[Map<String, Value>]) -> Result<String, String> {
        let template = self.environment.get_template("chat").map_err(|e| said(&e))?;
        let tokens = Jinja::from_serialize(&self.tokens);
        let context = context! { messages => messages, add_generation_prompt => false, ..tokens };
        template.render(context).map_err(|e| said(&e))
    }
}

impl ChatText {
    /// The role of each token. A token counts where it ends: the space before a message's first word is its own.
    pub fn roles(&self, located: &TokenSpans) -> Vec<u8> {
        let of_token = |&(start, end): &(usize, usize)| {
            let last = end.saturating_sub(1);
            let i = self.spans.partition_point(|(span, _)| span.end <= last);
            self.spans
                .get(i)
                .filter(|(span, _)| end > start && span.contains(&last))
                .map_or(TEMPLATE, |(_, role)| *role)
        };
        located.bytes.iter().map(of_token).collect()
    }
}

fn wrong(reason: String, path: &Path) -> CorpusError {
    CorpusError::Template { reason, path: path.to_owned() }
}

fn read(path: &Path) -> Result<Option<String>, CorpusError> {
    match fs::metadata(path) {
        Err(_) => Ok(None),
        Ok(data) if !data.is_file() => Err(wrong("not a regular file".to_owned(), path)),
        Ok(data) if data.len() > MAX_BYTES => {
            Err(wrong(format!("it has {} bytes, expected at most {MAX_BYTES}", data.len()), path))
        }
        Ok(_) => fs::read_to_string(path).map(Some).map_err(|e| wrong(e.to_string(), path)),
    }
}

/// What went wrong in a template, in one line.
fn said(error: &Error) -> String {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    error.line().map_or_else(|| detail.clone(), |line| format!("line {line}: {detail}"))
}

/// `bos_token` and the like, which are texts or objects with `content`.
fn tokens(config: &Value) -> Map<String, Value> {
    let text = |value: &Value| value.as_str().or(value["content"].as_str()).map(Value::from);
    let fields = config.as_object().into_iter().flatten();
    fields
        .filter(|(name, _)| name.ends_with("_token"))
        .filter_map(|(n, v)| Some((n.clone(), text(v)?)))
        .collect()
}

/// Without the marks of what an assistant generates, which only training reads.
fn without_generation(text: &str) -> String {
    let mut text = text.to_owned();
    for word in ["generation", "endgeneration"] {
        for (open, close) in [("{%", "%}"), ("{%-", "%}"), ("{%", "-%}"), ("{%-", "-%}")] {
            // A set block of nothing trims white space as the mark does.
            let nothing = format!("{open} if false %}}{{% endif {close}");
            text = text.replace(&format!("{open} {word} {close}"), &nothing);
        }
    }
    text
}

/// `json.dumps` as templates expect it: no HTML escapes, a space after commas and colons.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a filter")]
fn to_json(value: &Jinja, options: minijinja::value::Kwargs) -> Result<Jinja, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let mut out = Vec::new();
    let failed = |e: serde_json::Error| Error::new(ErrorKind::BadSerialization, e.to_string());
    if let Some(indent) = indent {
        let indent = " ".repeat(indent.min(16));
        let format = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
        serde::Serialize::serialize(value, &mut serde_json::Serializer::with_formatter(&mut out, format))
            .map_err(failed)?;
    } else {
        serde::Serialize::serialize(
            value,
            &mut serde_json::Serializer::with_formatter(&mut out, SpacedFormatter),
        )
        .map_err(failed)?;
    }
    Ok(Jinja::from_safe_string(String::from_utf8_lossy(&out).into_owned()))
}

/// Python's default separators.
struct SpacedFormatter;

impl serde_json::ser::Formatter for SpacedFormatter {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}

/// The number of a role by the names that data sets give it.
fn role(name: &str) -> u8 {
    match name {
        "system" | "developer" => 1,
        "user" => 2,
        "assistant" | "model" => 3,
        "tool" | "function" | "ipython" => 4,
        _ => 0,
    }
}

/// Texts of a message: its content, or the texts of its parts.
fn contents(message: &Map<String, Value>) -> Vec<&str> {
    match message.get("content") {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => Vec::new(),
    }
}

/// What stands for the `i`th text while it is looked for: private characters, which no text holds.
fn mark(i: usize) -> String {
    format!("\u{f0000}{i}\u{f0001}")
}

/// The messages, a mark for each of their texts.
fn with_marks(messages: &[Map<String, Value>]) -> Vec<Map<String, Value>> {
    let mut messages = messages.to_vec();
    let mut n = 0;
    let mut next = || {
        n += 1;
        Value::String(mark(n - 1))
    };
    for message in &mut messages {
        match message.get_mut("content") {
            Some(content @ Value::String(_)) => *content = next(),
            Some(Value::Array(parts)) => {
                for part in parts.iter_mut().filter_map(|part| part.get_mut("text")).filter(|t| t.is_string())
                {
                    *part = next();
                }
            }
            _ => {}
        }
    }
    messages
}

/// Where the texts lie, by a rendering with marks: between marks both must say the same. `None` where the template looks
/// into the texts, and so differs.
fn aligned(marked: &str, text: &str, contents: &[(&str, u8)]) -> Option<Vec<(Range<usize>, u8)>> {
    let mut pieces = marked.split('\u{f0000}');
    let mut at = pieces.next().filter(|piece| text.starts_with(piece))?.len();
    let mut spans = Vec::new();
    for piece in pieces {
        let (i, after) = piece.split_once('\u{f0001}')?;
        let (content, role) = *contents.get(i.parse::<usize>().ok()?)?;
        let rest = text.get(at..)?;
        let variants = [content, content.trim(), content.trim_start(), content.trim_end()];
        let found =
            variants.iter().find(|c| rest.strip_prefix(**c).is_some_and(|rest| rest.starts_with(after)))?;
        spans.push((at..at + found.len(), role));
        at += found.len() + after.len();
    }
    let in_order = spans.is_sorted_by(|a, b| a.0.end <= b.0.start);
    (at == text.len() && in_order).then_some(spans)
}

/// Where the texts lie: each the first time that it comes after the one before.
fn searched(text: &str, contents: &[(&str, u8)]) -> Vec<(Range<usize>, u8)> {
    let mut spans = Vec::new();
    let mut at = 0;
    for (content, role) in contents {
        let content = content.trim();
        if let Some(found) = text[at..].find(content).filter(|_| !content.is_empty()) {
            let start = at + found;
            at = start + content.len();
            spans.push((start..at, *role));
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(text: &str) -> Template {
        let tokens = tokens(&json!({ "bos_token": "<s>", "eos_token": { "content": "</s>" } }));
        Template::new(text, tokens, Path::new("chat_template.jinja")).unwrap()
    }

    fn messages(messages: &Value) -> Vec<Map<String, Value>> {
        messages.as_array().unwrap().iter().map(|m| m.as_object().unwrap().clone()).collect()
    }

    fn parts(rendered: &ChatText) -> Vec<(&str, u8)> {
        rendered.spans.iter().map(|(span, role)| (&rendered.text[span.clone()], *role)).collect()
    }

    const CHATML: &str = "{{ bos_token }}{% for message in messages %}\n    {{- '<|im_start|>' + message.role + '\\n' + message.content.strip() + '<|im_end|>\\n' }}\n{%- endfor %}{% if add_generation_prompt %}assistant{% endif %}";

    #[test]
    fn each_message_is_found_in_what_the_template_makes_of_it() {
        let said = json!([
            { "role": "system", "content": "system" },
            { "role": "user", "content": " user " },
            { "role": "assistant", "content": "im_start" },
            { "role": "tool", "content": "" },
        ]);
        let rendered = template(CHATML).render(&messages(&said)).unwrap();
        assert_eq!(
            rendered.text,
            "<s><|im_start|>system\nsystem<|im_end|>\n<|im_start|>user\nuser<|im_end|>\n<|im_start|>assistant\nim_start<|im_end|>\n<|im_start|>tool\n<|im_end|>\n"
        );
        assert_eq!(parts(&rendered), [("system", 1), ("user", 2), ("im_start", 3), ("", 4)]);
        assert_eq!(rendered.spans[0].0.start, "<s><|im_start|>system\n".len());
    }

    #[test]
    fn a_template_that_looks_into_the_text_is_searched() {
        let looks = "{% for m in messages %}{% if 'think' in m.content %}[{{ m.content.split('</think>')[1] }}]{% else %}[{{ m.content }}]{% endif %}{% endfor %}";
        let said = json!([
            { "role": "user", "content": "why" },
            { "role": "assistant", "content": "<think>hm</think>so" },
        ]);
        let rendered = template(looks).render(&messages(&said)).unwrap();
        assert_eq!(rendered.text, "[why][so]");
        assert_eq!(parts(&rendered), [("why", 2)], "what is not found whole is the template's");
    }

    #[test]
    fn tokens_have_the_role_of_where_they_end() {
        let rendered = ChatText { text: "[INST] hi there [/INST]".into(), spans: vec![(7..15, 2)] };
        let bytes = vec![(0, 6), (6, 9), (9, 15), (15, 23), (3, 3)];
        let located = TokenSpans { ids: vec![0; bytes.len()], bytes };
        assert_eq!(rendered.roles(&located), [TEMPLATE, 2, 2, TEMPLATE, TEMPLATE]);
    }

    #[test]
    fn templates_have_what_pythons_have() {
        let rendered = template(
            "{%- generation -%} {{ messages | length }} {% endgeneration %}{{ {'a': [1, '<é>'], 'b': none} | tojson }}{{ strftime_now('%d') | length > 0 }}",
        )
        .render(&messages(&json!([{ "role": "user", "content": "x" }]))).unwrap();
        assert_eq!(rendered.text, "1 {\"a\": [1, \"<é>\"], \"b\": null}True");
        let raises = "{{ raise_exception('roles must alternate') }}";
        let error = template(raises).render(&[]).unwrap_err();
        assert!(error.contains("roles must alternate"), "{error}");
    }
}
