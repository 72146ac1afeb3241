//! Asks Linux for short time slices.
//!
//! A worker's threads run for some 50 us and sleep again. Since Linux 6.12 a thread may say how
//! long it wants to run at a time (sched_setattr(2), EEVDF): one that asks for little is let in
//! sooner when it wakes up on a busy machine, and gets no more of the machine for it.

#[cfg(target_os = "linux")]
mod linux {
    use std::io;

    /// The least that Linux grants: 0.1 ms.
    pub const SLICE_NS: u64 = 100_000;

    /// What the calling thread asks for. An older kernel answers no slice of the usual policy.
    pub fn asked() -> io::Result<libc::sched_attr> {
        let mut attributes = libc::sched_attr {
            size: size_of::<libc::sched_attr>() as u32,
            sched_policy: 0,
            sched_flags: 0,
            sched_nice: 0,
            sched_priority: 0,
            sched_runtime: 0,
            sched_deadline: 0,
            sched_period: 0,
        };
        // SAFETY: the call writes at most `size` bytes to the struct that it is given.
        let answer = unsafe {
            libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, attributes.size, 0)
        };
        if answer == 0 { Ok(attributes) } else { Err(io::Error::last_os_error()) }
    }

    pub fn ask(attributes: &libc::sched_attr) -> io::Result<()> {
        // SAFETY: the call only reads the struct that it is given.
        let answer =
            unsafe { libc::syscall(libc::SYS_sched_setattr, 0, std::ptr::from_ref(attributes), 0) };
        if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// Asks for this thread and those that it will start. Where the kernel knows no such wish, or the
/// thread has another scheduling policy than the usual one, everything stays as it is.
#[cfg(target_os = "linux")]
pub fn ask_for_short_slices() {
    let is_long = |asked: &libc::sched_attr| {
        asked.sched_policy == libc::SCHED_OTHER as u32 && asked.sched_runtime > linux::SLICE_NS
    };
    let Some(asked) = linux::asked().ok().filter(is_long) else { return };
    if let Err(error) = linux::ask(&libc::sched_attr { sched_runtime: linux::SLICE_NS, ..asked }) {
        tracing::debug!(%error, "no short time slices");
    }
}

/// Only Linux knows this wish.
#[cfg(not(target_os = "linux"))]
pub fn ask_for_short_slices() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn threads_that_are_started_later_ask_for_the_same() {
        let (before, after) = std::thread::spawn(|| {
            let before = linux::asked().unwrap();
            ask_for_short_slices();
            (before, std::thread::spawn(|| linux::asked().unwrap()).join().unwrap())
        })
        .join()
        .unwrap();
        assert_eq!(
            after.sched_runtime,
            before.sched_runtime.min(linux::SLICE_NS),
            "a kernel that knows no slices answers 0"
        );
        assert_eq!(
            (after.sched_policy, after.sched_nice),
            (before.sched_policy, before.sched_nice)
        );
    }
}
