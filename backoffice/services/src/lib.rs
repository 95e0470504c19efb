//! What is heavy or reaches outside, behind traits of the kernel. Knows the kernel's traits, errors
//! and settings; no domain, no table, no request.

pub mod smtp;
