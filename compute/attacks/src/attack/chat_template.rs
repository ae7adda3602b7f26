//! Tries any text as a model's chat template, with which a conversation is read.

use compute::corpus::Options;

use super::corpus_file;
use crate::folder::with_files;
use crate::verdict::{Outcome, told, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let talk = br#"{"messages":[{"role":"user","content":"one two three"},{"role":"assistant","content":"four five"}]}"#;
    with_files("chat", &[("c.jsonl", talk), ("template.jinja", bytes)], |folder| {
        let chat_template = Some(folder.join("template.jinja"));
        let options = Options { chat_template, ..Options::default() };
        outcome(told(corpus_file::read(&folder.join("c.jsonl"), &options)))
    })
}

pub fn seeds() -> Vec<Vec<u8>> {
    let simple = "{% for message in messages %}<|{{ message.role }}|>{{ message['content'] }}{% endfor %}";
    let plain = "{% for m in messages %}{{ m.content.strip() | upper }} {{ m | tojson }}{% endfor %}";
    vec![simple.into(), plain.into()]
}
