//! The commands of the program beside serving.

pub mod healthcheck;
pub mod in_process_loop;
