use libra_proto::spark::DataType;
use libra_proto::spark::data_type::{Kind, Long};
use libra_proto::spark::execute_plan_response::execution_progress::StageInfo;
use libra_proto::spark::execute_plan_response::{ResultComplete, SqlCommandResult};

use super::*;

fn wire(schema: bool, response_type: Option<ResponseType>) -> ExecutePlanResponse {
    ExecutePlanResponse {
        response_id: "r".to_owned(),
        schema: schema.then_some(DataType {
            kind: Some(Kind::Long(Long {})),
        }),
        response_type,
        ..ExecutePlanResponse::default()
    }
}

fn batch(row_count: i64, start_offset: Option<i64>, chunks: Option<i64>) -> ArrowBatch {
    ArrowBatch {
        row_count,
        start_offset,
        num_chunks_in_batch: chunks,
        data: Bytes::from_static(b"arrow"),
        ..ArrowBatch::default()
    }
}

fn read(response: ExecutePlanResponse) -> Result<Vec<Body>, &'static str> {
    let (first, second) = bodies(response)?;
    Ok([Some(first), second]
        .into_iter()
        .flatten()
        .map(|response| {
            assert_eq!(response.response_id, "r");
            response.body
        })
        .collect())
}

#[test]
fn one_wire_response_is_one_or_two() {
    let schema = || Body::Schema(Bytes::from_static(&[0x3a, 0]));
    let rows = || Body::Batch {
        rows: 2,
        start_offset: Some(4),
        data: Bytes::from_static(b"arrow"),
    };
    let arrow = || Some(ResponseType::ArrowBatch(batch(2, Some(4), None)));
    let complete = || Some(ResponseType::ResultComplete(ResultComplete {}));
    let command = || Some(ResponseType::SqlCommandResult(SqlCommandResult::default()));
    for (response, expected) in [
        (wire(true, None), vec![schema()]),
        (wire(false, arrow()), vec![rows()]),
        (wire(true, arrow()), vec![schema(), rows()]),
        (wire(true, complete()), vec![schema(), Body::Complete]),
        (wire(false, command()), vec![Body::Other]),
        (wire(false, None), vec![Body::Other]),
    ] {
        assert_eq!(read(response).unwrap(), expected);
    }
}

#[test]
fn progress_is_summed_over_stages() {
    let stage = |done, all| StageInfo {
        num_completed_tasks: done,
        num_tasks: all,
        ..StageInfo::default()
    };
    let progress = ExecutionProgress {
        stages: vec![stage(2, 4), stage(0, 8), stage(-1, -1)],
        ..ExecutionProgress::default()
    };
    let read = read(wire(false, Some(ResponseType::ExecutionProgress(progress)))).unwrap();
    assert_eq!(
        read,
        [Body::Progress {
            completed_tasks: 2,
            total_tasks: 12
        }]
    );
}

#[test]
fn batches_that_cannot_be_are_refused() {
    for odd in [
        batch(-1, None, None),
        batch(1, Some(-1), None),
        batch(1, None, Some(2)),
    ] {
        assert!(read(wire(false, Some(ResponseType::ArrowBatch(odd)))).is_err());
    }
    assert!(
        read(wire(
            false,
            Some(ResponseType::ArrowBatch(batch(1, None, Some(1))))
        ))
        .is_ok()
    );
}

/// A crash between poisoning an id and releasing it leaves the poison for the next owner to find.
#[test]
fn a_poisons_schema_is_told_from_a_statements() {
    use libra_proto::spark::data_type::{Integer, Struct, StructField};
    let schema = |column: &str| {
        let field = StructField {
            name: column.to_owned(),
            data_type: Some(DataType {
                kind: Some(Kind::Integer(Integer {})),
            }),
            ..StructField::default()
        };
        let kind = Kind::Struct(Struct {
            fields: vec![field],
        });
        DataType { kind: Some(kind) }.encode_to_vec()
    };
    let sealed = |schema: &[u8]| is_sealed("op-1", schema);
    assert!(sealed(&schema("libra-seal-op-1")));
    assert!(!sealed(&schema("libra-seal-op-2")));
    assert!(!sealed(&schema("0")));
    assert!(!sealed(&[]));
}
