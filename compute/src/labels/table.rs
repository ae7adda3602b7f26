//! Labels as a table: a head, then a line a label.

use std::io::{self, BufRead, Read};

use super::{
    LabelError,
    formats::{Cell, Entry, EntryOrigin, FEATURE, MAX_ROW_MIB, ORIGIN, Source, TEXT, any_of},
};

/// Separators that spreadsheets write under one name: where decimals have commas, semicolons.
const SEPARATORS: [(u8, &str); 3] = [(b',', "commas"), (b';', "semicolons"), (b'\t', "tabs")];
/// Follows the table, as a row of its own unless a quote is still open.
const END: &str = "\u{1}end of the table\u{1}";

/// The labels of a table, whose separator is the most frequent one of its first line.
///
/// - `usual`: the separator where the first line has none
pub fn rows(
    source: Source<'_>,
    mut text: impl BufRead,
    usual: u8,
    mut take: impl FnMut(Entry),
) -> Result<(), LabelError> {
    let begin = text.fill_buf().map_err(|e| source.unreadable(e))?;
    let (separator, called) = separator(begin, usual);
    let end = format!("\n{END}\n");
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .flexible(true)
        .from_reader(Rows { text: text.chain(end.as_bytes()), left: MAX_ROW_MIB << 20 });
    let unreadable = |e: csv::Error| match e.into_kind() {
        csv::ErrorKind::Io(e) => source.unreadable(e),
        csv::ErrorKind::Utf8 { pos, .. } => {
            let at = pos.map_or_else(|| "the head".to_owned(), |pos| format!("line {}", pos.line()));
            source.wrong_entry(at, "is not valid UTF-8".to_owned())
        }
        other => source.wrong(format!("{other:?}")),
    };
    let head = reader.headers().map_err(unreadable)?.clone();
    let column = |names: &[&str]| {
        let at = |name: &&str| head.iter().position(|cell| cell.trim().eq_ignore_ascii_case(name));
        names.iter().find_map(at).ok_or_else(|| {
            let got = head.iter().collect::<Vec<_>>().join(", ");
            source.wrong(format!(
                "no column {} in the first line, whose cells are separated by {called}: got {got}",
                any_of(names)
            ))
        })
    };
    let (feature, text) = (column(&FEATURE)?, column(&TEXT)?);
    let origin = ORIGIN.map(|names| column(names).ok());
    let mut row = csv::StringRecord::new();
    while reader.read_record(&mut row).map_err(unreadable)? {
        reader.get_mut().left = MAX_ROW_MIB << 20;
        if row.len() == 1 && row.get(0) == Some(END) {
            break;
        }
        let is_open = row.iter().next_back().is_some_and(|cell| cell.contains(END));
        // Where a row begins is known by where it ends: blank lines before it are not its own.
        let n_breaks =
            row.iter().map(|cell| cell.matches('\n').count()).sum::<usize>() + usize::from(!is_open);
        let number = reader.position().line().saturating_sub(n_breaks as u64);
        let at = || format!("line {number}");
        if is_open {
            let reason = "begins a quote that is never closed: is the file cut off?";
            return Err(source.wrong_entry(at(), reason.to_owned()));
        }
        if row.len() != head.len() {
            let (n, expected) = (row.len(), head.len());
            let reason = format!(
                "has {n} cells, expected {expected} separated by {called}: is a label with one of them not in quotes?"
            );
            return Err(source.wrong_entry(at(), reason));
        }
        let cell = |column: usize| row.get(column).map(|cell| Cell::Text(cell.to_owned()));
        let texts = origin.map(|column| cell(column?)?.text());
        let origin = EntryOrigin { texts, scores: Vec::new() };
        let entry = source.entry(at, cell(feature).as_ref(), cell(text).as_ref(), origin)?;
        entry.map(&mut take).unwrap_or_default();
    }
    Ok(())
}

/// The most frequent separator of the first line, and what it is called.
fn separator(begin: &[u8], usual: u8) -> (u8, &'static str) {
    let head = begin.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let frequency = |separator: u8| {
        // Of two that are as frequent, the one that the file's name says.
        (head.split(|byte| *byte == separator).count(), separator == usual)
    };
    SEPARATORS.into_iter().max_by_key(|(separator, _)| frequency(*separator)).unwrap_or(SEPARATORS[0])
}

/// A text whose lines end as on Unix, so that the reader of rows counts them as they end, and whose rows are not longer
/// than rows can be.
struct Rows<R> {
    text: R,
    /// What is left of the row that is read, in bytes.
    left: usize,
}

impl<R: BufRead> Read for Rows<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        while n < to.len() {
            let Some(&byte) = self.text.fill_buf()?.first() else { break };
            self.text.consume(1);
            if byte != b'\r' || self.text.fill_buf()?.first() != Some(&b'\n') {
                to[n] = byte;
                n += 1;
            }
        }
        self.left = self.left.checked_sub(n).ok_or_else(|| {
            io::Error::other(format!(
                "it holds a row of more than {MAX_ROW_MIB} MiB: is a quote never closed?"
            ))
        })?;
        Ok(n)
    }
}
