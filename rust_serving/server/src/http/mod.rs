//! HTTP: connections and their limits, routes, and how a request becomes an answer.

pub mod answers;
pub mod app;
pub mod body;
pub mod connection;
pub mod description;
pub mod framing;
pub mod link;
pub mod places;
pub mod predict;
pub mod routes;
pub mod turned_away;
pub mod wire;

#[cfg(test)]
mod tests;
