//! The gate as a client meets it: a real server on a free port, a log in a directory, and a
//! back office that follows a script.
