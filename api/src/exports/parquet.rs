//! Rows as Parquet, a row group at a time: no more than one is held.

use super::file::Unwritten;
use super::row::{COLUMNS, Holds, Row, Value};
use parking_lot::Mutex;
use parquet::basic::{
    Compression, ConvertedType, LogicalType, Repetition, TimeUnit, Type as PhysicalType, ZstdLevel,
};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use std::io::Write;
use std::sync::Arc;

/// Rows of a group at most.
const ROWS: usize = 50_000;
/// Bytes of text of a group, about.
const BYTES: usize = 16 * 1024 * 1024;

pub(super) struct Parquet {
    writer: SerializedFileWriter<Sink>,
    written: Sink,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

/// The values of a column, and for each row whether it has one.
struct Column {
    values: Values,
    levels: Vec<i16>,
}

enum Values {
    Numbers(Vec<i64>),
    Texts(Vec<ByteArray>),
}

/// What is written and not taken yet. The writer owns its sink, so that this is the way to what is in it.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Parquet {
    pub(super) fn new() -> Result<Self, Unwritten> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("chancery ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let written = Sink::default();
        let writer = SerializedFileWriter::new(written.clone(), Arc::new(schema()?), Arc::new(properties))?;
        Ok(Self { writer, written, columns: columns(), rows: 0, bytes: 0 })
    }

    pub(super) fn add(&mut self, row: &Row<'_>) -> Result<(), Unwritten> {
        for (column, value) in self.columns.iter_mut().zip(row) {
            self.bytes += column.push(value);
        }
        self.rows += 1;
        if self.rows >= ROWS || self.bytes >= BYTES {
            self.write_group()?;
        }
        Ok(())
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut *self.written.0.lock())
    }

    pub(super) fn finish(&mut self) -> Result<(), Unwritten> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.writer.finish()?;
        // Small writes wait in the writer's own buffer.
        Ok(self.writer.flush()?)
    }

    fn write_group(&mut self) -> Result<(), Unwritten> {
        let mut group = self.writer.next_row_group()?;
        for (column, (.., is_required)) in
            std::mem::replace(&mut self.columns, columns()).into_iter().zip(COLUMNS)
        {
            let Some(mut writer) = group.next_column()? else {
                return Err(Unwritten("the schema has fewer columns than a row".to_owned()));
            };
            let levels = (!is_required).then_some(column.levels.as_slice());
            match &column.values {
                Values::Numbers(values) => writer.typed::<Int64Type>().write_batch(values, levels, None)?,
                Values::Texts(values) => writer.typed::<ByteArrayType>().write_batch(values, levels, None)?,
            };
            writer.close()?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl Column {
    /// Says how many bytes it took.
    fn push(&mut self, value: &Value<'_>) -> usize {
        self.levels.push(i16::from(*value != Value::Absent));
        match (&mut self.values, value) {
            (Values::Numbers(values), Value::Number(number)) => values.push(*number as i64),
            (Values::Numbers(values), Value::Time(time)) => values.push(time.micros()),
            (Values::Texts(values), Value::Text(text)) => values.push(ByteArray::from(text.as_ref())),
            (_, Value::Absent) => return 0,
            (Values::Numbers(_), Value::Text(_)) | (Values::Texts(_), Value::Number(_) | Value::Time(_)) => {
                unreachable!("a row is made by the columns")
            }
        }
        if let Value::Text(text) = value { text.len() } else { size_of::<i64>() }
    }
}

fn columns() -> Vec<Column> {
    let values = |holds| match holds {
        Holds::Text => Values::Texts(Vec::new()),
        Holds::Number | Holds::Time => Values::Numbers(Vec::new()),
    };
    COLUMNS.iter().map(|(_, holds, _)| Column { values: values(*holds), levels: Vec::new() }).collect()
}

fn schema() -> Result<Type, ParquetError> {
    let column = |(name, holds, is_required): &(&str, Holds, bool)| {
        let repetition = if *is_required { Repetition::REQUIRED } else { Repetition::OPTIONAL };
        let builder = match holds {
            Holds::Number => Type::primitive_type_builder(name, PhysicalType::INT64),
            Holds::Time => Type::primitive_type_builder(name, PhysicalType::INT64)
                .with_logical_type(Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
            Holds::Text => Type::primitive_type_builder(name, PhysicalType::BYTE_ARRAY)
                .with_logical_type(Some(LogicalType::String))
                .with_converted_type(ConvertedType::UTF8),
        };
        builder.with_repetition(repetition).build().map(Arc::new)
    };
    let fields = COLUMNS.iter().map(column).collect::<Result<_, _>>()?;
    Type::group_type_builder("line").with_fields(fields).build()
}
