//! A child process that ends with this one, however this one ends.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

struct Request {
    command: Command,
    answer: Sender<io::Result<Child>>,
}

/// The thread that starts every bound child. Linux sends the death signal when the *thread* that
/// forked ends, not the process: a child started by a test's or a blocking pool's thread would die
/// with that thread.
static SPAWNER: LazyLock<Mutex<Sender<Request>>> = LazyLock::new(|| {
    let (requests, incoming) = channel::<Request>();
    std::thread::Builder::new()
        .name("spawner".into())
        .spawn(move || {
            for Request { mut command, answer } in incoming {
                // A requester that is gone has nobody to hand the child to; the send cannot fail
                // otherwise.
                if let Err(unsent) = answer.send(command.spawn())
                    && let Ok(mut child) = unsent.0
                {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        })
        .expect("the system refuses another thread");
    Mutex::new(requests)
});

/// Starts the command in a process group of its own (a Ctrl-C at the terminal is this process's
/// affair, and the server must outlast the work that is being finished) and has the kernel send it
/// `death_signal` when this process ends. On systems other than Linux only the owner's `Drop` ends
/// it.
pub fn spawn_bound(mut command: Command, death_signal: libc::c_int) -> io::Result<Child> {
    command.process_group(0);
    #[cfg(target_os = "linux")]
    {
        let parent_pid = std::process::id();
        // SAFETY: prctl and getppid are async-signal-safe and allocate nothing. The closure runs
        // after setuid, which would clear the death signal.
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, death_signal as libc::c_ulong) != 0 {
                    return Err(io::Error::last_os_error());
                }
                // The parent may have ended between fork and prctl: then no signal will ever come.
                if libc::getppid() as u32 != parent_pid {
                    return Err(io::Error::from_raw_os_error(libc::ESRCH));
                }
                Ok(())
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = death_signal;

    let (answer, spawned) = channel();
    let gone = || io::Error::other("the spawner thread is gone");
    SPAWNER
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send(Request { command, answer })
        .map_err(|_| gone())?;
    spawned.recv().map_err(|_| gone())?
}

/// Sends a signal to a child that was not waited for yet, so that its pid is still its own.
pub(crate) fn signal(child: &Child, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: kill has no memory effects; the pid belongs to a child that is not reaped.
    match unsafe { libc::kill(child.id() as libc::pid_t, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Waits until the child ends; None if it still runs after `limit`.
pub(crate) fn wait_at_most(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait()? {
            Some(status) => return Ok(Some(status)),
            None if Instant::now() >= deadline => return Ok(None),
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Command {
        let mut command = Command::new("sleep");
        command.arg("60");
        command
    }

    #[test]
    fn a_child_outlives_the_thread_that_asked_for_it() {
        let mut child =
            std::thread::spawn(|| spawn_bound(sleeper(), libc::SIGKILL)).join().unwrap().unwrap();
        std::thread::sleep(Duration::from_millis(50));
        assert!(child.try_wait().unwrap().is_none(), "the child died with the asking thread");
        signal(&child, libc::SIGTERM).unwrap();
        assert!(wait_at_most(&mut child, Duration::from_secs(5)).unwrap().is_some());
    }

    #[test]
    fn a_missing_program_is_an_error() {
        assert_eq!(
            spawn_bound(Command::new("no-such-program-here"), libc::SIGKILL).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }

    #[test]
    fn waiting_gives_up_at_the_limit() {
        let mut child = spawn_bound(sleeper(), libc::SIGKILL).unwrap();
        assert!(wait_at_most(&mut child, Duration::from_millis(20)).unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
