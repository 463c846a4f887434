//! What the kernel knows of processes: on which processors they run, how much of them they took, how much memory.

use std::process::{Command, Stdio};
use std::time::Duration;

/// Ticks of a processor's time in `/proc/PID/stat` a second; the same on every Linux that we serve.
const TICKS: f64 = 100.0;

/// Puts this process, and the children it starts from now on, on these processors (`0`, `0-1`); whether it could.
pub(crate) fn run_on(processors: &str) -> bool {
    put(std::process::id(), processors)
}

/// Puts a process on these processors; whether it could.
pub(crate) fn put(process: u32, processors: &str) -> bool {
    let mut taskset = Command::new("taskset");
    taskset.args(["-a", "-c", "-p", processors, &process.to_string()]);
    taskset.stdout(Stdio::null()).stderr(Stdio::null());
    taskset.status().is_ok_and(|status| status.success())
}

/// Processors there are.
pub(crate) fn processors() -> usize {
    std::fs::read_to_string("/proc/cpuinfo")
        .map_or(1, |text| text.lines().filter(|line| line.starts_with("processor")).count().max(1))
}

/// The processor's time that a process has taken so far.
pub(crate) fn time_of(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything; user and system time are the 12th and 13th word behind it.
    let words = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: f64 = words.filter_map(|word| word.parse::<f64>().ok()).sum();
    Duration::from_secs_f64(ticks / TICKS)
}

/// Bytes of memory that a process has now.
pub(crate) fn memory_of(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() << 10
}
