//! Documents become rows: read, tokenized by all threads together, joined and cut, a batch at a time.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rayon::prelude::*;

use super::{
    CorpusError, CorpusFile, MAX_POSITIONS, Options, Rows, RowsBuilder, Rule, Source, Tokenizer,
    chat::Template,
    files,
    reading::Unit,
    record::{Item, Record},
    sample::{self, MIN_STRETCHES, Part},
};
use crate::interrupt;

/// Documents tokenized at once, by all threads together.
const BATCH_DOCUMENTS: usize = 256;
/// Text tokenized at once, in bytes.
const BATCH_BYTES: usize = 4 << 20;
/// Reading that takes longer says how far it is, each time.
const TELL_AFTER: Duration = Duration::from_secs(10);

/// A document's tokens, with the role of each where it is a conversation.
struct Tokens {
    ids: Vec<u32>,
    roles: Option<Vec<u8>>,
}

/// Reads, tokenizes and cuts, a batch of documents at a time, until the rule has its rows.
pub fn read(
    source: &Source,
    tokenizer: Option<&Tokenizer>,
    options: &Options,
    rule: &Rule,
    d_vocab: usize,
) -> Result<Rows, CorpusError> {
    let reader = |rows| Reader {
        source,
        tokenizer,
        template: None,
        options,
        d_vocab,
        rows,
        progress: Progress::new(options.quiet),
    };
    if let Some(sample) = sample::draw(source, rule)? {
        let mut reader = reader(RowsBuilder::new(rule));
        let mut n_parts = 0;
        for part in &sample.parts {
            if reader.rows.n_rows_seen() >= sample.enough && n_parts >= MIN_STRETCHES {
                break;
            }
            reader.part(part)?;
            n_parts += 1;
        }
        let rows = reader.rows.finish();
        // A corpus of a few very long documents may have too little in what was drawn.
        if rule.max_rows.is_some_and(|max| rows.n_rows() >= max) {
            let sentence = sample.sentence(n_parts);
            return Ok(rows.sampled(sentence));
        }
    }
    let mut reader = reader(RowsBuilder::new(rule));
    for file in 0..source.files.len() {
        if reader.rows.is_full() {
            break;
        }
        reader.part(&Part::whole(file))?;
    }
    Ok(reader.rows.finish())
}

struct Reader<'a> {
    source: &'a Source,
    tokenizer: Option<&'a Tokenizer>,
    /// Read when the first conversation comes.
    template: Option<Template>,
    options: &'a Options,
    d_vocab: usize,
    rows: RowsBuilder<'a>,
    progress: Progress,
}

impl Reader<'_> {
    /// Reads a part of a file.
    fn part(&mut self, part: &Part) -> Result<(), CorpusError> {
        let file = &self.source.files[part.file];
        let path = file.path()?;
        let unit = files::unit(file.kind()?, self.options.strict);
        let name = part.name(file);
        self.rows.begin_file(&name);
        let mut left = part.limit.unwrap_or(u64::MAX);
        let mut items = files::items(&path, &file.name, part, self.options)?;
        loop {
            interrupt::check()?;
            let (batch, n_bytes) = batch(&mut items, left)?;
            if batch.is_empty() {
                return Ok(());
            }
            left = left.saturating_sub(n_bytes);
            self.batch(batch, unit, (file, &path, &name))?;
            self.progress.tell(n_bytes, self.rows.n_rows_seen(), self.source);
            if self.rows.n_positions() > MAX_POSITIONS {
                return Err(CorpusError::TooManyTokens { path });
            }
            if self.rows.is_full() || left == 0 {
                return Ok(());
            }
        }
    }

    fn batch(
        &mut self,
        mut items: Vec<Item>,
        unit: Unit,
        (file, path, name): (&CorpusFile, &Path, &str),
    ) -> Result<(), CorpusError> {
        let is_chat = |item: &Item| matches!(item.record, Ok(Record::Messages(_)));
        if self.template.is_none() && items.iter().any(is_chat) {
            self.template = Some(self.find_template(path)?);
        }
        let tokens = items
            .par_iter_mut()
            .map(|item| self.tokens(std::mem::replace(&mut item.record, Err(String::new())), path))
            .collect::<Result<Vec<_>, _>>()?;
        for (mut item, tokens) in items.into_iter().zip(tokens) {
            let tokens = match tokens {
                Ok(tokens) => tokens,
                Err(reason) => {
                    item.record = Err(reason);
                    self.rows.reading.note(&item, unit, &file.name)?;
                    continue;
                }
            };
            item.record = Ok(Record::TokenIds(Vec::new()));
            self.rows.reading.note(&item, unit, &file.name)?;
            if let Some(&token_id) = tokens.ids.iter().find(|id| **id as usize >= self.d_vocab) {
                let (d_vocab, path) = (self.d_vocab, file.name.clone().into());
                return Err(CorpusError::OutOfVocabulary { token_id, d_vocab, path });
            }
            if tokens.ids.is_empty() && !item.continues {
                self.rows.reading.note_empty(item.at, unit, name);
            } else if item.continues {
                self.rows.extend(&tokens.ids, tokens.roles.as_deref());
            } else {
                self.rows.push(&tokens.ids, tokens.roles.as_deref());
            }
        }
        Ok(())
    }

    /// The tokens of a record; the inner error costs the row, the outer the corpus.
    fn tokens(
        &self,
        record: Result<Record, String>,
        path: &Path,
    ) -> Result<Result<Tokens, String>, CorpusError> {
        let tokenizer = || self.tokenizer.ok_or_else(|| CorpusError::NoTokenizer { path: path.to_owned() });
        let tokens = match record {
            Err(reason) => return Ok(Err(reason)),
            Ok(Record::TokenIds(ids)) => Tokens { ids, roles: None },
            Ok(Record::Text(text)) => Tokens { ids: tokenizer()?.encode(&text)?, roles: None },
            Ok(Record::Messages(messages)) => {
                let Some(template) = &self.template else { return Ok(Err("is a conversation".to_owned())) };
                let rendered = match template.render(&messages) {
                    Ok(rendered) => rendered,
                    Err(reason) => return Ok(Err(format!("does not fit the chat template: {reason}"))),
                };
                let located = tokenizer()?.locate(&rendered.text)?;
                let roles = Some(rendered.roles(&located));
                Tokens { ids: located.ids, roles }
            }
        };
        Ok(Ok(tokens))
    }

    fn find_template(&self, path: &Path) -> Result<Template, CorpusError> {
        let found = Template::find(&self.options.model, self.options.chat_template.as_deref())?;
        found.ok_or_else(|| CorpusError::Template {
            reason: "the corpus holds conversations, and the model's tokenizer_config.json has no chat_template: name one with --chat-template, or a column of text with --text-column".to_owned(),
            path: path.to_owned(),
        })
    }
}

/// The next rows: so many that threads have enough to do, and no more than memory holds. And their bytes of text.
fn batch(items: &mut files::Items, left: u64) -> Result<(Vec<Item>, u64), CorpusError> {
    let (mut batch, mut n_bytes) = (Vec::new(), 0);
    while batch.len() < BATCH_DOCUMENTS && n_bytes < (BATCH_BYTES as u64).min(left) {
        let Some(item) = items.next().transpose()? else { break };
        n_bytes += match &item.record {
            Ok(Record::Text(text)) => text.len() as u64,
            Ok(Record::TokenIds(ids)) => 4 * ids.len() as u64,
            Ok(Record::Messages(messages)) => {
                let text = |message: &serde_json::Map<_, serde_json::Value>| {
                    message.values().filter_map(serde_json::Value::as_str).map(str::len).sum::<usize>() as u64
                };
                messages.iter().map(text).sum()
            }
            Err(_) => 0,
        };
        batch.push(item);
    }
    Ok((batch, n_bytes))
}

/// Says how far reading is, where it takes long.
struct Progress {
    quiet: bool,
    told: Instant,
    n_bytes: u64,
}

impl Progress {
    fn new(quiet: bool) -> Self {
        Self { quiet, told: Instant::now(), n_bytes: 0 }
    }

    fn tell(&mut self, n_bytes: u64, n_rows: usize, source: &Source) {
        self.n_bytes += n_bytes;
        if self.quiet || self.told.elapsed() < TELL_AFTER {
            return;
        }
        self.told = Instant::now();
        let all: u64 = source.files.iter().filter_map(|file| file.bytes).sum();
        let (mb, all_mb) = (self.n_bytes as f64 / 1e6, all as f64 / 1e6);
        eprintln!("corpus: {mb:.0} MB of text read ({all_mb:.0} MB in all files), {n_rows} rows");
    }
}
