//! The tokenizer: read with limits, and asked so that a panic in it becomes an error that names its file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use tokenizers::Tokenizer as Inner;

use super::{CorpusError, open, text::pieces};
use crate::panics::caught;

/// No tokenizer is larger: that of a vocabulary of 262,144 takes 33 MB.
const MAX_BYTES: u64 = 512 << 20;
/// Times that normalizers may make text longer. Writing `▁` for a space makes it 3 times as long.
const MAX_GROWTH: f64 = 16.0;

/// A `tokenizer.json`.
#[derive(Debug)]
pub struct Tokenizer {
    inner: Inner,
    path: PathBuf,
}

/// Tokens of a text, with where each lies in it.
pub struct TokenSpans {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Bytes of the text, token by token.
    pub bytes: Vec<(usize, usize)>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`, or the one in a folder, where there is one.
    pub fn of_model(model: &Path) -> Result<Option<Self>, CorpusError> {
        let path = if model.is_file() { model.to_owned() } else { model.join("tokenizer.json") };
        path.exists().then(|| Self::read(&path)).transpose()
    }

    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, CorpusError> {
        let wrong = |reason: String| CorpusError::Tokenizer { reason, path: path.to_owned() };
        let file = open::regular(path).map_err(|e| match e {
            CorpusError::Read { cause, .. } => wrong(cause.to_string()),
            _ => wrong("not a regular file".to_owned()),
        })?;
        let n = file.metadata().map_err(|e| wrong(e.to_string()))?.len();
        if n > MAX_BYTES {
            return Err(wrong(format!("it has {n} bytes, expected at most {MAX_BYTES}")));
        }
        let bytes = fs::read(path).map_err(|e| wrong(e.to_string()))?;
        Self::parse(&bytes).map(|inner| Self { inner, path: path.to_owned() }).map_err(wrong)
    }

    fn parse(bytes: &[u8]) -> Result<Inner, String> {
        check_growth(bytes)?;
        let mut inner = caught(|| Inner::from_bytes(bytes))?.map_err(|e| e.to_string())?;
        // A tokenizer saved with truncation or padding would cut or fill documents.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| e.to_string())?;
        Ok(inner)
    }

    /// The library's tokenizer.
    pub fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Token ids of `text`, without special tokens around it. Long text is tokenized in pieces.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, CorpusError> {
        let mut ids = Vec::new();
        for piece in pieces(text) {
            let encoding = self.call(|| self.inner.encode_fast(piece, false))?;
            ids.extend_from_slice(encoding.get_ids());
        }
        Ok(ids)
    }

    /// Token ids of `text` and where they lie in it.
    pub fn locate(&self, text: &str) -> Result<TokenSpans, CorpusError> {
        let mut located = TokenSpans { ids: Vec::new(), bytes: Vec::new() };
        let mut before = 0;
        for piece in pieces(text) {
            let encoding = self.call(|| self.inner.encode(piece, false))?;
            located.ids.extend_from_slice(encoding.get_ids());
            located
                .bytes
                .extend(encoding.get_offsets().iter().map(|(start, end)| (start + before, end + before)));
            before += piece.len();
        }
        Ok(located)
    }

    /// What [`Self::encode`] gives for each text, by all threads together.
    pub fn encode_all(&self, texts: &[String]) -> Result<Vec<Vec<u32>>, CorpusError> {
        texts.par_iter().map(|text| self.encode(text)).collect()
    }

    /// The token's own spelling.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Ids of the special tokens, ascending.
    pub fn special_tokens(&self) -> Vec<i64> {
        let added = self.inner.get_added_tokens_decoder();
        let mut ids: Vec<i64> =
            added.iter().filter(|(_, t)| t.special).map(|(id, _)| i64::from(*id)).collect();
        ids.sort_unstable();
        ids
    }

    /// What the library gives; an error or a panic names the file.
    fn call<T>(&self, call: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, CorpusError> {
        let done = caught(call).unwrap_or_else(|panic| Err(panic.into()));
        done.map_err(|e| CorpusError::Tokenizer {
            reason: format!("it fails on text of the corpus: {e}"),
            path: self.path.clone(),
        })
    }
}

/// What is looked at before the library reads the file.
#[derive(Deserialize)]
struct NormalizerField {
    #[serde(default)]
    normalizer: Value,
}

/// Refuses normalizers that would make text so long that no memory holds it: a replacement of one letter by sixty, five
/// times over.
fn check_growth(bytes: &[u8]) -> Result<(), String> {
    let file: NormalizerField = serde_json::from_slice(bytes).map_err(|e| format!("not JSON: {e}"))?;
    let growth = growth(&file.normalizer);
    if growth > MAX_GROWTH {
        return Err(format!(
            "its normalizers can make text {growth:.0} times as long, expected at most {MAX_GROWTH}"
        ));
    }
    Ok(())
}

/// Times that a normalizer can make text longer by replacing.
fn growth(normalizer: &Value) -> f64 {
    let text_len = |value: Option<&Value>| value.and_then(Value::as_str).map(str::len);
    match normalizer.get("type").and_then(Value::as_str) {
        Some("Sequence") => {
            let parts = normalizer.get("normalizers").and_then(Value::as_array);
            parts.into_iter().flatten().map(growth).product()
        }
        Some("Replace") => {
            let content = text_len(normalizer.get("content")).unwrap_or_default();
            // A regular expression may match nothing, everywhere.
            let pattern = text_len(normalizer.pointer("/pattern/String")).unwrap_or(1).max(1);
            (content as f64 / pattern as f64).max(1.0)
        }
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn normalizers_that_explode_are_refused() {
        let replace =
            |from: &str, to: &str| json!({ "type": "Replace", "pattern": { "String": from }, "content": to });
        let sixty = replace("x", &"x".repeat(60));
        assert!((growth(&replace(" ", "▁")) - 3.0).abs() < 1e-9);
        assert!(
            (growth(&json!({ "type": "Sequence", "normalizers": [sixty, sixty] })) - 3600.0).abs() < 1e-6
        );
        assert!((growth(&Value::Null) - 1.0).abs() < 1e-9);
        let file = json!({ "normalizer": { "type": "Sequence", "normalizers": [sixty, sixty] } });
        let error = check_growth(file.to_string().as_bytes()).unwrap_err();
        assert_eq!(error, "its normalizers can make text 3600 times as long, expected at most 16");
    }
}
