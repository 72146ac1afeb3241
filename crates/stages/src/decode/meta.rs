//! `meta`, the column that tells SQL where a record came from. It is made only for the rows, and
//! only if something asks for it.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Int32Array, Int64Array, ListArray, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, TimeUnit};

use duto_ground::batch::{Batch, RecordRef, decode_headers};
use duto_ground::index::RecordIndex;

/// `meta` as a field of the record's schema.
pub fn meta_field() -> Field {
    Field::new("meta", DataType::Struct(fields()), false)
}

/// The column's cells for these records of a batch. `raw` is the payload as it came.
pub fn meta_column(topic: &str, batch: &Batch, records: &[RecordIndex]) -> StructArray {
    let each = || records.iter().map(|&record| batch.get(record.place()));
    let microseconds = |record: RecordRef<'_>| {
        (record.head.timestamp_ms >= 0).then(|| record.head.timestamp_ms.saturating_mul(1000))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(records.iter().map(|_| topic))),
        Arc::new(Int32Array::from_iter_values(each().map(|record| record.head.partition))),
        Arc::new(Int64Array::from_iter_values(each().map(|record| record.head.offset))),
        Arc::new(each().map(|record| record.key).collect::<BinaryArray>()),
        Arc::new(
            each().map(microseconds).collect::<TimestampMicrosecondArray>().with_timezone("UTC"),
        ),
        Arc::new(headers(each())),
        Arc::new(each().map(|record| record.payload).collect::<BinaryArray>()),
    ];
    StructArray::new(fields(), columns, None)
}

fn fields() -> Fields {
    Fields::from(vec![
        Field::new("topic", DataType::Utf8, false),
        Field::new("partition", DataType::Int32, false),
        Field::new("offset", DataType::Int64, false),
        Field::new("key", DataType::Binary, true),
        Field::new(
            "timestamp",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
        Field::new("headers", DataType::List(Arc::new(header_field())), false),
        Field::new("raw", DataType::Binary, true),
    ])
}

fn header_field() -> Field {
    let fields = vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("value", DataType::Binary, true),
    ];
    Field::new("item", DataType::Struct(Fields::from(fields)), false)
}

/// One list a record, empty where it has no headers.
fn headers<'a>(records: impl Iterator<Item = RecordRef<'a>>) -> ListArray {
    let (mut names, mut values, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    for record in records {
        let headers = decode_headers(record.headers.unwrap_or_default());
        lengths.push(headers.len());
        for (name, value) in headers {
            names.push(name);
            values.push(value);
        }
    }
    let element = header_field();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(names)),
        Arc::new(values.into_iter().collect::<BinaryArray>()),
    ];
    let fields = match element.data_type() {
        DataType::Struct(fields) => fields.clone(),
        _ => Fields::empty(),
    };
    ListArray::new(
        Arc::new(element),
        OffsetBuffer::from_lengths(lengths),
        Arc::new(StructArray::new(fields, columns, None)),
        None,
    )
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

    use super::*;
    use duto_ground::batch::{Place, encode_headers};

    #[test]
    fn a_row_knows_where_its_record_came_from() {
        let mut batch = Batch::default();
        let headers = encode_headers([("trace", Some(&b"abc"[..])), ("empty", None)]);
        let place =
            |offset, timestamp_ms| Place { partition: 3, offset, leader_epoch: 1, timestamp_ms };
        batch.push(place(10, 1_716_199_200_123), Some(b"key"), Some(b"{}"), Some(&headers));
        batch.push(place(11, -1), None, None, None);
        batch.push(place(15, 0), Some(b""), Some(b"\xff"), None);

        let meta = meta_column("sales", &batch, &[0, 1, 2].map(RecordIndex::new));
        assert_eq!(meta.data_type(), meta_field().data_type());
        let column = |name| meta.column_by_name(name).unwrap();
        assert_eq!(
            column("topic").as_string::<i32>().iter().flatten().collect::<Vec<_>>(),
            ["sales"; 3]
        );
        assert_eq!(column("offset").as_primitive::<Int64Type>().values(), &[10, 11, 15]);
        assert_eq!(
            column("key").as_binary::<i32>().iter().collect::<Vec<_>>(),
            [Some(&b"key"[..]), None, Some(b"")]
        );
        assert_eq!(
            column("raw").as_binary::<i32>().iter().collect::<Vec<_>>(),
            [Some(&b"{}"[..]), None, Some(b"\xff")]
        );
        let times = column("timestamp").as_primitive::<TimestampMicrosecondType>();
        assert_eq!(times.iter().collect::<Vec<_>>(), [Some(1_716_199_200_123_000), None, Some(0)]);
        let headers = column("headers").as_list::<i32>();
        assert_eq!(headers.value(0).as_struct().column(0).as_string::<i32>().value(1), "empty");
        assert!(headers.value(0).as_struct().column(1).is_null(1));
        assert_eq!((headers.value(1).len(), headers.is_null(1)), (0, false));

        assert_eq!(
            meta_column("sales", &batch, &[RecordIndex::new(2)])
                .column(2)
                .as_primitive::<Int64Type>()
                .values(),
            &[15]
        );
        assert_eq!(meta_column("sales", &batch, &[]).len(), 0);
    }
}
