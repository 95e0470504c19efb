//! Names and input types of the actions that one domain offers to another. Data only: knows no
//! domain, no kernel, no connection.

pub mod identity;
pub mod ticketing;
