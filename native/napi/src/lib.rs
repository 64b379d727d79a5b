//! The addon: a thin skin over the store of `moraine-host`. No policy lives here.
//!
//! `hot` has the calls that carry messages, written by hand against Node-API; `store` the rest, `report`
//! what a store says about itself, `tasks` what takes long or comes back later, `upkeep` looking after
//! stores, `env` which stores this JavaScript
//! environment may touch, `held` how much there is of all that, `guard` what a caller may hand in and what must not get out, `failure` how an error crosses.
//!
//! The TypeScript side of the boundary is `src/binding/native.ts`.

// In the test build napi-derive exports nothing, so that most of the crate has no caller there.
#![cfg_attr(test, allow(dead_code))]

use napi::bindgen_prelude::{Env, Object};
use napi_derive::napi;

mod env;
mod failure;
mod fetch;
mod guard;
mod held;
mod hot;
mod report;
mod retention;
mod shares;
mod store;
mod tasks;
mod upkeep;

#[napi(module_exports)]
pub fn register(env: Env, mut exports: Object) -> napi::Result<()> {
    env::enter(&env)?;
    hot::register(&mut exports)
}
