//! Crashes on a simulated disk: power cuts, deaths of the process and failing calls, and what must be found afterwards.

mod disk;
mod faulted;
mod faults;
mod flaws;
mod model;
mod nth_call;
mod ordering;
mod random_workloads;
mod rot;
mod run;
mod small;
mod stale;
mod states;
mod verify;
mod workload;
