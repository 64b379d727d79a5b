//! What is asked for on the command line.

use anyhow::{Context, Result, bail, ensure};

#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    Async,
    Sync,
    Read,
    Key,
}

#[derive(Clone)]
pub struct Options {
    pub dir: String,
    pub mode: Mode,
    pub messages: u64,
    pub size: usize,
    pub batch: u64,
    pub tasks: u64,
    /// Whether a task reads what is put.
    pub readers: bool,
}

impl Options {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let dir = words.next().context("the first word has to be a directory")?;
        let mut options = Self { dir, mode: Mode::Async, messages: 100_000, size: 1024, batch: 1, tasks: 1, readers: false };
        while let Some(name) = words.next() {
            let value = words.next().with_context(|| format!("{name} has no value"))?;
            let number = || value.parse::<u64>().with_context(|| format!("{name} is {value}; it has to be a number"));
            match name.as_str() {
                "--mode" => {
                    options.mode = match value.as_str() {
                        "async" => Mode::Async,
                        "sync" => Mode::Sync,
                        "read" => Mode::Read,
                        "key" => Mode::Key,
                        _ => bail!("--mode is {value}; it has to be async, sync, read or key"),
                    }
                }
                "--messages" => options.messages = number()?,
                "--size" => options.size = number()? as usize,
                "--batch" => options.batch = number()?,
                "--tasks" => options.tasks = number()?,
                "--readers" => options.readers = number()? > 0,
                _ => bail!("{name} is not known"),
            }
        }
        ensure!(options.batch > 0 && options.tasks > 0 && options.messages > 0, "numbers have to be above 0");
        options.messages = options.whole_batches(options.messages);
        Ok(options)
    }

    /// At least `messages`, in whole batches.
    pub fn whole_batches(&self, messages: u64) -> u64 {
        messages.div_ceil(self.batch) * self.batch
    }
}
