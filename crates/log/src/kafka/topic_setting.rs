//! How a topic is set up.

use std::ffi::CStr;
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_admin_op_t as Question;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use super::super::LogError;
use super::admin::ask;
use super::handle::{Client, code_error, refused};

/// What a setting of the topic is; None where the brokers do not tell.
pub fn read(
    client: &Client,
    topic: &CStr,
    setting: &CStr,
    timeout: Duration,
) -> Result<Option<String>, LogError> {
    let doing = format!("ask for the settings of {}", topic.to_string_lossy());
    let resource = Resource::of_topic(topic).ok_or_else(|| refused(doing.clone(), "no memory"))?;
    let answer = ask(
        client,
        Question::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS,
        &doing,
        timeout,
        |options, queue| {
            let mut resources = [resource.0.as_ptr()];
            // SAFETY: the resource is copied into the request.
            unsafe {
                sys::rd_kafka_DescribeConfigs(
                    client.raw(),
                    resources.as_mut_ptr(),
                    resources.len(),
                    options,
                    queue,
                )
            };
            Ok(())
        },
    )?;
    // SAFETY: what the answer points at lives as long as the answer does; librdkafka keeps `count`
    // entries.
    unsafe {
        let mut count = 0;
        let resources = sys::rd_kafka_DescribeConfigs_result_resources(
            sys::rd_kafka_event_DescribeConfigs_result(answer.raw()),
            &mut count,
        );
        if resources.is_null() || count != 1 {
            return Err(refused(doing, "the answer does not name the topic"));
        }
        match sys::rd_kafka_ConfigResource_error(*resources) {
            Code::RD_KAFKA_RESP_ERR_NO_ERROR => {}
            code => return Err(code_error(doing, code)),
        }
        let entries = sys::rd_kafka_ConfigResource_configs(*resources, &mut count);
        let found = (0..count)
            .map(|index| *entries.add(index))
            .find(|entry| CStr::from_ptr(sys::rd_kafka_ConfigEntry_name(*entry)) == setting);
        let value = found
            .map(|entry| sys::rd_kafka_ConfigEntry_value(entry))
            .filter(|value| !value.is_null());
        Ok(value.map(|value| CStr::from_ptr(value).to_string_lossy().into_owned()))
    }
}

struct Resource(NonNull<sys::rd_kafka_ConfigResource_t>);

impl Resource {
    fn of_topic(name: &CStr) -> Option<Resource> {
        // SAFETY: the name ends with a NUL and is copied.
        NonNull::new(unsafe {
            sys::rd_kafka_ConfigResource_new(
                sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC,
                name.as_ptr(),
            )
        })
        .map(Resource)
    }
}

impl Drop for Resource {
    fn drop(&mut self) {
        // SAFETY: it is ours, once.
        unsafe { sys::rd_kafka_ConfigResource_destroy(self.0.as_ptr()) };
    }
}
