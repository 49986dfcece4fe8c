//! Why the service cannot start.

pub use models::StartError;
