use super::*;
use duto_ground::batch::Place;

const LONG: Duration = Duration::from_secs(600);

fn lane(number: usize) -> Lane {
    lingering_lane(number, Duration::ZERO)
}

fn lingering_lane(number: usize, linger: Duration) -> Lane {
    Lane::new(
        number,
        Limits {
            batch_records: 3,
            batch_bytes: 1_000,
            pending_records: 2_000,
            pending_bytes: 1_000_000,
            linger,
        },
    )
}

fn records(of: &[(i32, i64)]) -> Batch {
    let mut batch = Batch::default();
    for (partition, offset) in of {
        let place =
            Place { partition: *partition, offset: *offset, leader_epoch: 0, timestamp_ms: -1 };
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

/// A lane whose only record was taken.
fn lane_of_one() -> (Lane, Taken) {
    lingering_lane_of_one(Duration::ZERO)
}

fn lingering_lane_of_one(linger: Duration) -> (Lane, Taken) {
    let lane = lingering_lane(0, linger);
    lane.add(1, 0, Uuid::new_v4(), -1);
    lane.append(records(&[(1, 0)]).iter());
    let taken = lane.take().unwrap();
    (lane, taken)
}

/// What a preparer takes that waits already when `meanwhile` happens.
fn taken_after(lane: &Lane, meanwhile: impl FnOnce()) -> Vec<(i32, i64, i64)> {
    std::thread::scope(|scope| {
        let taking = scope.spawn(|| ranges(&lane.take().unwrap()));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!taking.is_finished(), "there is nothing to do yet");
        meanwhile();
        taking.join().unwrap()
    })
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
    let (lane, taken) = lane_of_one();
    assert!(lane.hand_over(&[1], Duration::from_millis(1)).is_none(), "it is being decoded");
    let work = work(&lane, taken);
    assert!(lane.hand_over(&[1], Duration::from_millis(1)).is_none(), "it is being committed");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            lane.committed(&work);
        });
        assert!(
            lane.hand_over(&[1], Duration::from_secs(60)).is_some(),
            "the commit is waited for"
        );
    });
}

#[test]
fn nothing_moves_after_a_batch_was_dropped() {
    let (lane, taken) = lane_of_one();
    let _work = work(&lane, taken);
    lane.dropped();
    assert!(
        lane.hand_over(&[1], Duration::from_millis(1)).is_none(),
        "its records must be read again"
    );
    assert_eq!(lane.reset(), [1]);
}

#[test]
fn what_came_meanwhile_goes_when_the_commit_ends() {
    let (lane, taken) = lane_of_one();
    let work = work(&lane, taken);
    lane.append(records(&[(1, 1), (1, 2)]).iter());
    assert_eq!(taken_after(&lane, || lane.committed(&work)), [(1, 1, 3)]);
}

#[test]
fn a_full_batch_waits_for_no_commit_and_does_not_linger() {
    let (lane, taken) = lingering_lane_of_one(LONG);
    let work = work(&lane, taken);
    assert_eq!(
        taken_after(&lane, || drop(lane.append(records(&[(1, 1), (1, 2), (1, 3)]).iter()))),
        [(1, 1, 4)]
    );
    lane.committed(&work);
}

#[test]
fn a_batch_that_gets_full_stops_to_linger() {
    let (lane, taken) = lingering_lane_of_one(LONG);
    let work = work(&lane, taken);
    lane.committed(&work);
    lane.append(records(&[(1, 1)]).iter());
    assert_eq!(
        taken_after(&lane, || drop(lane.append(records(&[(1, 2), (1, 3)]).iter()))),
        [(1, 1, 4)]
    );
}

#[test]
fn few_records_linger_after_the_batch_before() {
    let (lane, taken) = lingering_lane_of_one(Duration::from_millis(100));
    let work = work(&lane, taken);
    lane.committed(&work);
    assert_eq!(taken_after(&lane, || drop(lane.append(records(&[(1, 1)]).iter()))), [(1, 1, 2)]);
}

#[test]
fn partitions_that_could_not_leave_go_on() {
    let (lane, taken) = lane_of_one();
    let work = work(&lane, taken);
    lane.append(records(&[(1, 1), (1, 2), (1, 3)]).iter());
    std::thread::scope(|scope| {
        let leaving = scope.spawn(|| lane.hand_over(&[1], Duration::from_millis(200)).is_none());
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(taken_after(&lane, || assert!(leaving.join().unwrap())), [(1, 1, 4)]);
    });
    lane.committed(&work);
}

#[test]
fn an_end_without_a_record_is_stored_too() {
    let (lane, taken) = lane_of_one();
    let work = work(&lane, taken);
    lane.committed(&work);
    assert_eq!(taken_after(&lane, || lane.reached(1, 5)), [(1, 1, 5)]);
}

#[test]
fn a_lane_that_closes_ends_its_preparer() {
    let lane = lane(0);
    std::thread::scope(|scope| {
        let taking = scope.spawn(|| lane.take().is_none());
        std::thread::sleep(Duration::from_millis(20));
        lane.close();
        assert!(taking.join().unwrap());
    });
}

#[test]
fn what_does_not_fit_comes_next() {
    let lane = lane(0);
    lane.add(1, 0, Uuid::new_v4(), -1);
    lane.add(2, 0, Uuid::new_v4(), -1);
    lane.append(records(&[(1, 0), (2, 0), (1, 1)]).iter());
    let mut taken = lane.take().unwrap();
    assert_eq!(ranges(&taken), [(1, 0, 2), (2, 0, 1)]);
    let rest = taken.batch.split_off(1);
    let (first, others) = OffsetRange::divide(taken.ranges, &taken.batch);
    lane.give_back(taken.epoch, rest, &others);
    lane.append(records(&[(1, 2)]).iter());
    let work = work(&lane, Taken { ranges: first, ..taken });
    assert_eq!(
        work.prepared
            .ranges
            .iter()
            .map(|range| (range.partition, range.from, range.to))
            .collect::<Vec<_>>(),
        [(1, 0, 1)]
    );
    lane.committed(&work);
    let mut read = Vec::new();
    while !lane.is_idle() {
        let taken = lane.take().unwrap();
        read.extend(taken.batch.records.iter().map(|head| (head.partition, head.offset)));
        let work = self::work(&lane, taken);
        lane.committed(&work);
    }
    assert_eq!(read, [(2, 0), (1, 1), (1, 2)]);
    assert_eq!(lane.positions(), [(1, 3, 3), (2, 1, 1)]);
}
