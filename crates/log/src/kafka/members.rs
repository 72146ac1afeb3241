//! Who is in a group.

use std::ffi::{CStr, c_char};
use std::time::Duration;

use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_admin_op_t as Question;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use super::super::{LogError, Member};
use super::admin::ask;
use super::handle::{Client, c_string, describe_error, refused};

/// The group's members as its coordinator knows them; none where there is no such group.
pub fn of_group(client: &Client, group: &str, timeout: Duration) -> Result<Vec<Member>, LogError> {
    let doing = format!("ask for the members of group {group}");
    let group = c_string(group, &doing)?;
    let answer = ask(
        client,
        Question::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS,
        &doing,
        timeout,
        |options, queue| {
            let mut groups: [*const c_char; 1] = [group.as_ptr()];
            // SAFETY: client, options and queue live; the name is copied into the request.
            unsafe {
                sys::rd_kafka_DescribeConsumerGroups(
                    client.raw(),
                    groups.as_mut_ptr(),
                    groups.len(),
                    options,
                    queue,
                )
            };
            Ok(())
        },
    )?;
    // SAFETY: what the answer points at lives as long as the answer does.
    unsafe {
        let mut count = 0;
        let result = sys::rd_kafka_event_DescribeConsumerGroups_result(answer.raw());
        let groups = sys::rd_kafka_DescribeConsumerGroups_result_groups(result, &mut count);
        if groups.is_null() || count != 1 {
            return Err(refused(doing, "the answer does not name the group"));
        }
        let described = *groups;
        let error = sys::rd_kafka_ConsumerGroupDescription_error(described);
        if !error.is_null() {
            match sys::rd_kafka_error_code(error) {
                Code::RD_KAFKA_RESP_ERR_NO_ERROR => {}
                // Brokers from 4.0 on say so of a group that nobody joined yet.
                Code::RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND => return Ok(Vec::new()),
                code => {
                    let reason = CStr::from_ptr(sys::rd_kafka_error_string(error))
                        .to_string_lossy()
                        .into_owned();
                    return Err(describe_error(doing, code, reason));
                }
            }
        }
        let members = 0..sys::rd_kafka_ConsumerGroupDescription_member_count(described);
        Ok(members
            .map(|index| member(sys::rd_kafka_ConsumerGroupDescription_member(described, index)))
            .collect())
    }
}

/// # Safety
/// The member belongs to an answer that lives through the call.
unsafe fn member(member: *const sys::rd_kafka_MemberDescription_t) -> Member {
    // SAFETY: see above; a text ends with a NUL, and a null pointer is none.
    unsafe {
        let name = sys::rd_kafka_MemberDescription_group_instance_id(member);
        let instance_id = (!name.is_null())
            .then(|| CStr::from_ptr(name).to_string_lossy().into_owned())
            .filter(|name| !name.is_empty());
        let assignment = sys::rd_kafka_MemberDescription_assignment(member);
        let partitions = match assignment.is_null() {
            true => None,
            false => sys::rd_kafka_MemberAssignment_partitions(assignment).as_ref(),
        };
        let partitions = partitions.map_or(0, |list| usize::try_from(list.cnt).unwrap_or(0));
        Member { instance_id, partitions }
    }
}
