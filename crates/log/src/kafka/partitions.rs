//! librdkafka's list of partitions, each with an offset and the epoch of the record before it.

use std::ffi::CStr;
use std::ptr::NonNull;

use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use super::super::Start;

/// librdkafka's RD_KAFKA_PARTITION_UA.
const ANY_PARTITION: i32 = -1;

/// A list of partitions of one topic.
pub struct PartitionList(NonNull<sys::rd_kafka_topic_partition_list_t>);

impl PartitionList {
    /// Partitions alone, without offsets.
    pub fn of(topic: &CStr, partitions: &[i32]) -> PartitionList {
        let list = PartitionList::empty(partitions.len());
        for partition in partitions {
            list.add(topic, *partition);
        }
        list
    }

    /// Partitions with the offsets to start from, and the epochs against which the log is
    /// validated.
    pub fn of_starts(topic: &CStr, starts: &[Start]) -> PartitionList {
        let list = PartitionList::empty(starts.len());
        for start in starts {
            let entry = list.add(topic, start.partition);
            // SAFETY: the entry was just added; the list is not grown before the next use of one.
            unsafe {
                (*entry).offset = start.offset;
                if start.leader_epoch >= 0 {
                    sys::rd_kafka_topic_partition_set_leader_epoch(entry, start.leader_epoch);
                }
            }
        }
        list
    }

    /// Partitions of any topics, each with an offset or what stands for one.
    pub fn of_places<'a>(places: impl IntoIterator<Item = (&'a CStr, i32, i64)>) -> PartitionList {
        let list = PartitionList::empty(0);
        for (topic, partition, offset) in places {
            let entry = list.add(topic, partition);
            // SAFETY: the entry was just added; the list is not grown before the next use of one.
            unsafe { (*entry).offset = offset };
        }
        list
    }

    /// A subscription to the topic.
    pub fn subscription(topic: &CStr) -> PartitionList {
        PartitionList::of(topic, &[ANY_PARTITION])
    }

    /// What a call wrote for each partition.
    pub fn outcomes(&self) -> Vec<(i32, i64, Code)> {
        // SAFETY: librdkafka keeps `cnt` entries at `elems`.
        let entries = unsafe {
            let list = self.0.as_ref();
            match usize::try_from(list.cnt) {
                Ok(count) if count > 0 => std::slice::from_raw_parts(list.elems, count),
                _ => &[],
            }
        };
        entries.iter().map(|entry| (entry.partition, entry.offset, entry.err)).collect()
    }

    pub fn raw(&self) -> *mut sys::rd_kafka_topic_partition_list_t {
        self.0.as_ptr()
    }

    fn empty(capacity: usize) -> PartitionList {
        let capacity = i32::try_from(capacity).unwrap_or(i32::MAX);
        // SAFETY: librdkafka's allocator ends the process where there is no memory, so the answer
        // is never null.
        PartitionList(unsafe {
            NonNull::new_unchecked(sys::rd_kafka_topic_partition_list_new(capacity))
        })
    }

    fn add(&self, topic: &CStr, partition: i32) -> *mut sys::rd_kafka_topic_partition_t {
        // SAFETY: the list is ours; the name is copied.
        unsafe {
            sys::rd_kafka_topic_partition_list_add(self.0.as_ptr(), topic.as_ptr(), partition)
        }
    }
}

impl Drop for PartitionList {
    fn drop(&mut self) {
        // SAFETY: it is ours, once.
        unsafe { sys::rd_kafka_topic_partition_list_destroy(self.0.as_ptr()) };
    }
}

/// The partitions of a list that librdkafka still owns.
///
/// # Safety
/// The pointer is null or a list that lives through the call.
pub unsafe fn partitions_of(list: *const sys::rd_kafka_topic_partition_list_t) -> Vec<i32> {
    // SAFETY: see above; librdkafka keeps `cnt` entries at `elems`.
    unsafe {
        match list.as_ref() {
            Some(list) if list.cnt > 0 => {
                (0..list.cnt as usize).map(|index| (*list.elems.add(index)).partition).collect()
            }
            _ => Vec::new(),
        }
    }
}
