//! Models are pulled from a small store in this process.

mod bucket;
mod store;
mod web;
