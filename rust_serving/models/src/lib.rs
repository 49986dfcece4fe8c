//! A model's manifest and its files: pulled from a store, checked, and kept for the next start.
//!
//! [`pull`] takes an address `gs://bucket/folder/file`, `https://host/path` or `file:///path`, and gives the
//! path of a file that is verified, with what its manifest says. Everything that is wrong is a [`StartError`]
//! of one line, without what is secret in an address.
//!
//! What an image that holds nothing else must bring: a folder for the cache that the service may write to.
//! Certificates are not needed: Mozilla's roots are compiled in, as the Python services' client brings them
//! too; a bundle that `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE` or `SSL_CERT_FILE` names is used instead. The
//! names of hosts are looked up by the C library, which reads `/etc/resolv.conf` and `/etc/hosts`; engines
//! mount both.

mod addresses;
mod bucket;
mod cache;
mod checks;
mod client;
mod credentials;
mod deadline;
mod faults;
mod fields;
mod key;
mod manifest;
mod model_addresses;
mod proxies;
mod quoted;
mod source;
mod start_error;
mod store;
mod trust;
mod web;

pub use addresses::{shown, shown_whole};
pub use manifest::{Interpolation, Manifest, Transform};
pub use model_addresses::{Addresses, local_store, manifest_addresses, model_addresses};
pub use start_error::StartError;
pub use store::{Model, PullSettings, Pulled, pull, pull_file};
pub use trust::trusted;
