//! Corpora as Arrow and Parquet keep them.

use std::{
    fs::{self, File},
    sync::Arc,
};

use compute::corpus::Source;
use tempfile::TempDir;

use crate::corpora::{TEXTS, ids, joined, read};

fn text_batch() -> arrow_array::RecordBatch {
    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
    let texts = TEXTS.iter().copied().map(Some).chain([None]);
    let texts: ArrayRef = Arc::new(texts.collect::<StringArray>());
    RecordBatch::try_from_iter_with_nullable([("id", numbers, false), ("text", texts, true)]).unwrap()
}

#[test]
fn arrow_streams_files_and_saved_data_sets() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let batch = text_batch();
    let mut stream = arrow_ipc::writer::StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    stream.write(&batch).unwrap();
    let stream = stream.into_inner().unwrap();
    fs::write(at("stream.arrow"), &stream).unwrap();
    let mut file = arrow_ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    file.write(&batch).unwrap();
    fs::write(at("file.arrow"), file.into_inner().unwrap()).unwrap();
    // As `datasets` saves: splits in folders, with descriptions beside the data.
    for split in ["train", "test"] {
        fs::create_dir_all(at("saved").join(split)).unwrap();
        fs::write(at("saved").join(split).join("data-00000-of-00001.arrow"), &stream).unwrap();
        fs::write(at("saved").join(split).join("state.json"), "{}").unwrap();
    }
    fs::write(at("saved/dataset_dict.json"), "{\"splits\": [\"train\", \"test\"]}").unwrap();
    let expected = joined(&ids(&TEXTS));
    for name in ["stream.arrow", "file.arrow", "saved", "saved/test"] {
        let rows = read(&at(name)).unwrap();
        assert_eq!(rows.token_ids(), expected, "{name}");
        let sentences = rows.reading().sentences();
        assert!(sentences[0].starts_with("1 row skipped, the first: row 4 of "), "{sentences:?}");
    }
    let notes = Source::on_disk(&at("saved"), String::new()).unwrap().notes;
    assert!(notes[0].starts_with("reads the train split, 1 file"), "{notes:?}");
    // Cut anywhere before the mark of 8 bytes that ends it, it is an error, never a panic.
    for end in (0..stream.len() - 8).step_by(7) {
        fs::write(at("cut.arrow"), &stream[..end]).unwrap();
        let error = read(&at("cut.arrow")).unwrap_err();
        assert_eq!(error.lines().count(), 1, "{end}: {error}");
    }
}

#[test]
fn parquet_by_every_codec() {
    use parquet::{
        arrow::ArrowWriter,
        basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel},
        file::properties::WriterProperties,
    };
    let folder = TempDir::new().unwrap();
    let expected = joined(&ids(&TEXTS));
    for (name, codec) in [
        ("lz4", Compression::LZ4_RAW),
        ("lz4-hadoop", Compression::LZ4),
        ("brotli", Compression::BROTLI(BrotliLevel::default())),
        ("gzip", Compression::GZIP(GzipLevel::default())),
        ("zstd", Compression::ZSTD(ZstdLevel::default())),
        ("snappy", Compression::SNAPPY),
    ] {
        let path = folder.path().join(format!("{name}.parquet"));
        let properties = WriterProperties::builder().set_compression(codec).build();
        let batch = text_batch();
        let file = File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        assert_eq!(read(&path).unwrap().token_ids(), expected, "{name}");
    }
}
