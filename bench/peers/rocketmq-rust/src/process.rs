//! What a run costs: time, processor, memory.

use std::time::{Duration, Instant};

pub struct Clock {
    start: Instant,
    cpu_ticks: u64,
}

/// One line of figures.
pub struct Line {
    messages: u64,
    /// All that are in the store, those of the warm-up among them.
    stored: u64,
    seconds: f64,
    cpu_seconds: f64,
    tasks: u64,
    consumed_per_second: Option<f64>,
}

impl Clock {
    pub fn start() -> Self {
        Self { start: Instant::now(), cpu_ticks: cpu_ticks() }
    }

    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub fn line(&self, messages: u64, stored: u64, tasks: u64) -> Line {
        // The unit of /proc/self/stat is a hundredth of a second on every Linux that Node.js runs on.
        let cpu_seconds = (cpu_ticks() - self.cpu_ticks) as f64 / 100.0;
        Line { messages, stored, seconds: self.elapsed().as_secs_f64(), cpu_seconds, tasks, consumed_per_second: None }
    }
}

impl Line {
    pub fn consumed_after(&mut self, elapsed: Duration) {
        self.consumed_per_second = Some(self.messages as f64 / elapsed.as_secs_f64());
    }

    pub fn stored(&self) -> u64 {
        self.stored
    }

    pub fn json(&self) -> String {
        let consumed = self.consumed_per_second.map_or(String::new(), |rate| format!(",\"consumedPerSecond\":{rate}"));
        format!(
            "{{\"messages\":{},\"stored\":{},\"seconds\":{},\"messagesPerSecond\":{},\"cpuSecondsPerMillion\":{},\"residentBytes\":{},\"privateBytes\":{},\"threads\":{}{consumed}}}",
            self.messages,
            self.stored,
            self.seconds,
            self.messages as f64 / self.seconds,
            self.cpu_seconds / self.messages as f64 * 1e6,
            status_bytes("VmHWM"),
            status_bytes("RssAnon"),
            self.tasks.min(2),
        )
    }
}

/// User and system time of this process.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

fn status_bytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) * 1024
}
