//! Argon2 alone: what a processor can do of it is the limit of logins by PIN.

use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};

/// The server's parameters: 19 MiB, 2 passes, 1 lane.
const PARAMETERS: (u32, u32, u32) = (19_456, 2, 1);

/// How much nicer the server's hashing threads are than the others.
const NICER: i32 = 10;

/// Hashes a second of so many threads together, at the priority at which the server hashes, so that what else runs takes
/// as much from both.
pub(crate) fn hashes_per_second(threads: usize, measured: Duration) -> f64 {
    let end = Instant::now() + measured;
    let working: Vec<_> = (0..threads)
        .map(|_| {
            std::thread::spawn(move || {
                give_way();
                hash_until(end)
            })
        })
        .collect();
    let hashes: u64 = working.into_iter().map(|thread| thread.join().expect("it does not panic")).sum();
    hashes as f64 / measured.as_secs_f64()
}

fn give_way() {
    use rustix::process::{getpriority_process, setpriority_process};
    let nicer = getpriority_process(None).and_then(|now| setpriority_process(None, now + NICER));
    nicer.expect("a thread may give way");
}

fn hash_until(end: Instant) -> u64 {
    let (memory, passes, lanes) = PARAMETERS;
    let parameters = Params::new(memory, passes, lanes, None).expect("they are right");
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    let mut out = [0_u8; 32];
    let mut hashes = 0;
    while Instant::now() < end {
        argon.hash_password_into(b"271828", b"sixteen bytes of", &mut out).expect("it hashes");
        hashes += 1;
    }
    hashes
}
