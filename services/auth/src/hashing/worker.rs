//! The threads that hash. Each keeps the memory of its last hash while there is work, so that no hash pays for fresh
//! pages, and gives way to the threads that answer requests.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::HashingError;
use super::queue::{Queue, Turn};

/// After so long without work a thread gives its memory back.
const IDLE_AFTER: Duration = Duration::from_secs(5);
/// How much nicer a hashing thread is than the others: it gets a tenth of a processor that both want.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;

/// What argon2 works in.
#[derive(Default)]
pub(crate) struct Memory(Vec<Block>);

impl Memory {
    /// Hashes into `out`.
    pub(super) fn hash(
        &mut self,
        params: &Params,
        secret: &[u8],
        salt: &[u8],
        out: &mut [u8],
    ) -> Result<(), HashingError> {
        let (wanted, held) = (params.block_count(), self.0.len());
        if held < wanted {
            self.0.try_reserve_exact(wanted - held).map_err(|_| HashingError::Failed)?;
            self.0.resize(wanted, Block::new());
        }
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let hashed = argon.hash_password_into_with_memory(secret, salt, out, self.0.as_mut_slice());
        hashed.map_err(|_| HashingError::Failed)
    }

    /// Gives back what is beyond `blocks`: a hash of other parameters may have needed more.
    fn shrink_to(&mut self, blocks: usize) {
        if self.0.len() > blocks {
            self.0.truncate(blocks);
            self.0.shrink_to_fit();
        }
    }
}

/// Starts a thread that works until the queue is closed.
pub(super) fn start(queue: Queue<Memory>, usual: &Params) -> Result<(), HashingError> {
    let usual = usual.block_count();
    let work = move || {
        give_way();
        let mut memory = Memory::default();
        loop {
            match queue.next(IDLE_AFTER) {
                Turn::Work(job) => {
                    // Whoever waits for work that broke hears of it by the end of his channel.
                    if catch_unwind(AssertUnwindSafe(|| job(&mut memory))).is_err() {
                        memory.shrink_to(0);
                    }
                    memory.shrink_to(usual);
                }
                Turn::Idle => memory.shrink_to(0),
                Turn::End => return,
            }
        }
    };
    let started = std::thread::Builder::new().name("hashing".into()).spawn(work);
    started.map(drop).map_err(|error| {
        tracing::error!(%error, "a thread that hashes cannot be started");
        HashingError::Failed
    })
}

/// Whether hashing threads give way to others, so that they may use every processor.
pub(super) const GIVES_WAY: bool = cfg!(target_os = "linux");

/// On Linux a priority is a thread's own; elsewhere it is the whole process's, and stays as it is.
#[cfg(target_os = "linux")]
fn give_way() {
    use rustix::process::{getpriority_process, setpriority_process};
    let nicer = getpriority_process(None).and_then(|now| setpriority_process(None, now + NICER));
    if let Err(error) = nicer {
        tracing::debug!(%error, "hashing threads do not give way");
    }
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_kept_for_the_next_hash_and_what_is_beyond_the_usual_is_given_back() {
        let params = |memory| Params::new(memory, 1, 1, None).unwrap();
        let (mut memory, mut first, mut again) = (Memory::default(), [0; 32], [0; 32]);
        memory.hash(&params(64), b"12345", b"a salt of its own", &mut first).unwrap();
        memory.hash(&params(128), b"another", b"a salt of its own", &mut again).unwrap();
        memory.hash(&params(64), b"12345", b"a salt of its own", &mut again).unwrap();
        assert_eq!(first, again, "what was there before does not matter");
        assert_eq!(memory.0.len(), 128);
        memory.shrink_to(64);
        assert_eq!((memory.0.len(), memory.0.capacity()), (64, 64));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_hashing_thread_gives_way_and_no_other() {
        use rustix::process::getpriority_process;
        let before = getpriority_process(None).unwrap();
        let nicer = std::thread::spawn(|| {
            give_way();
            getpriority_process(None).unwrap()
        });
        assert_eq!(nicer.join().unwrap(), (before + NICER).min(19));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
