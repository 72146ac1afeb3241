use super::*;
use crate::batch::Place;

fn lane(number: usize) -> Lane {
    let limits = Limits { batch_records: 3, batch_bytes: 1_000, pending_records: 2_000, pending_bytes: 1_000_000, linger: Duration::ZERO };
    Lane::new(number, limits)
}

fn records(of: &[(i32, i64)]) -> Batch {
    let mut batch = Batch::default();
    for (partition, offset) in of {
        let place = Place { partition: *partition, offset: *offset, leader_epoch: 0, timestamp_ms: -1 };
        batch.push(place, None, Some(b"{}"), None);
    }
    batch
}

fn work(lane: &Lane, taken: Taken) -> Work {
    let prepared = Prepared { batch: taken.batch, ranges: taken.ranges, ..Prepared::default() };
    lane.prepared(taken.epoch, prepared);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(lane.next()).unwrap()
}

fn ranges(taken: &Taken) -> Vec<(i32, i64, i64)> {
    taken.ranges.iter().map(|range| (range.partition, range.from, range.to)).collect()
}

#[test]
fn a_partition_goes_on_in_another_lane_where_it_was() {
    let (first, second) = (lane(0), lane(1));
    let fence = Uuid::new_v4();
    first.add(1, 10, Uuid::new_v4(), -1);
    first.add(2, 20, fence, -1);
    first.append(records(&[(1, 10), (2, 20), (1, 11), (2, 21), (1, 12)]).iter());
    let taken = first.take().unwrap();
    assert_eq!(ranges(&taken), [(1, 10, 12), (2, 20, 21)]);
    let taken = work(&first, taken);
    first.committed(&taken);

    second.take_in(first.hand_over(&[2], Duration::ZERO).unwrap());
    assert_eq!(ranges(&first.take().unwrap()), [(1, 12, 13)], "the other one stays");
    second.append(records(&[(2, 21), (2, 22)]).iter());
    let taken = second.take().unwrap();
    assert_eq!(ranges(&taken), [(2, 21, 23)], "each record once, also the one that came with it");
    assert_eq!(work(&second, taken).fences, HashMap::from([(2, fence)]));
}

#[test]
fn nothing_moves_while_a_batch_is_in_flight() {
    let lane = lane(0);
    lane.add(1, 0, Uuid::new_v4(), -1);
    lane.append(records(&[(1, 0)]).iter());
    let taken = lane.take().unwrap();
    assert!(lane.hand_over(&[1], Duration::from_millis(1)).is_none(), "it is being decoded");
    let work = work(&lane, taken);
    assert!(lane.hand_over(&[1], Duration::from_millis(1)).is_none(), "it is being committed");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            lane.committed(&work);
        });
        assert!(lane.hand_over(&[1], Duration::from_secs(60)).is_some(), "the commit is waited for");
    });
}

#[test]
fn nothing_moves_after_a_batch_was_dropped() {
    let lane = lane(0);
    lane.add(1, 0, Uuid::new_v4(), -1);
    lane.append(records(&[(1, 0)]).iter());
    let taken = lane.take().unwrap();
    let _work = work(&lane, taken);
    lane.dropped();
    assert!(lane.hand_over(&[1], Duration::from_millis(1)).is_none(), "its records must be read again");
    assert_eq!(lane.reset(), [1]);
}
