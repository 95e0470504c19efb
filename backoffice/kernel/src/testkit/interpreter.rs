//! Second opinions in Python: a script's answer to an input.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::setting;
use crate::error::{Error, Result};

/// What `script` prints when it reads `input`; `PYTHON` names the interpreter that has
/// `tests/requirements.txt` installed.
pub fn python(script: &str, input: &str) -> Result<String> {
    let failed = |cause: &dyn std::fmt::Display| Error::internal(format!("python: {cause}"));
    let program = setting("PYTHON").unwrap_or_else(|| "python3".to_owned());
    let mut child = Command::new(program)
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|cause| failed(&cause))?;
    let mut pipe = child.stdin.take().ok_or_else(|| failed(&"no pipe to it"))?;
    pipe.write_all(input.as_bytes()).map_err(|cause| failed(&cause))?;
    drop(pipe);
    let output = child.wait_with_output().map_err(|cause| failed(&cause))?;
    if !output.status.success() {
        return Err(failed(&output.status));
    }
    String::from_utf8(output.stdout).map_err(|cause| failed(&cause))
}
