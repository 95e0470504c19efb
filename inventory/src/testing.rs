//! What tests of this crate and of its users need around a store: a directory of their own and a Redis
//! of their own. Knows processes and paths; must not know logs.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use uuid::Uuid;

#[cfg(test)]
mod tests;

/// Writers that may be in the middle of creating a file when their directory is removed.
const LATE_WRITERS_MAX: usize = 16;
/// Attempts to find a free port: another process may take it between asking and using.
const PORT_ATTEMPTS: usize = 10;

/// A directory that is removed when the value is dropped.
#[derive(Debug)]
pub struct TestDirectory(PathBuf);

impl TestDirectory {
    pub fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("atlvs-test-{}", Uuid::new_v4()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TestDirectory {
    fn drop(&mut self) {
        // Under another name first: what still writes, a task or a process that was not waited for,
        // then finds nothing to write into, and cannot fill what is being emptied.
        let gone = self.0.with_extension("gone");
        let path = if fs::rename(&self.0, &gone).is_ok() { &gone } else { &self.0 };
        // Whoever had found the way before may leave one file more behind: one a writer.
        for _ in 0..LATE_WRITERS_MAX {
            if fs::remove_dir_all(path).is_ok() {
                break;
            }
        }
    }
}

/// A Redis on a free loopback port, with its data in a directory of its own and each write durable
/// before it is acknowledged. Killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    directory: TestDirectory,
    settings: Vec<String>,
    port: u16,
    process: Option<Child>,
}

impl RedisServer {
    pub fn start() -> io::Result<Self> {
        Self::start_with(&[])
    }

    /// With more settings, as `["--maxmemory", "10mb"]`; the last of a name counts.
    pub fn start_with(settings: &[&str]) -> io::Result<Self> {
        let mut server = Self {
            directory: TestDirectory::new()?,
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            port: 0,
            process: None,
        };
        let mut last = None;
        for _ in 0..PORT_ATTEMPTS {
            server.port = free_port()?;
            match server.spawn() {
                Ok(()) => return Ok(server),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::other("no port was tried")))
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Number of its process, while it runs.
    pub fn process(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Where its data lies.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Kills it, as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) -> io::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.kill()?;
        process.wait().map(drop)
    }

    /// Starts it again on the same port with the data it has.
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill()?;
        self.spawn()
    }

    /// Another one that starts with a copy of this one's data, as a replica that fell behind does.
    /// This one must have been killed.
    pub fn copy(&self) -> io::Result<Self> {
        let directory = TestDirectory::new()?;
        copy_directory(self.directory.path(), directory.path())?;
        let mut server =
            Self { directory, settings: self.settings.clone(), port: free_port()?, process: None };
        server.spawn()?;
        Ok(server)
    }

    /// Kills it and starts it with the data of another one, on its own port.
    pub fn restart_with_data_of(&mut self, other: &Self) -> io::Result<()> {
        self.kill()?;
        fs::remove_dir_all(self.directory.path())?;
        fs::create_dir(self.directory.path())?;
        copy_directory(other.directory.path(), self.directory.path())?;
        self.spawn()
    }

    /// Returns once it accepts connections; an error when it ends before.
    fn spawn(&mut self) -> io::Result<()> {
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port, "--bind", "127.0.0.1", "--dir"]).arg(self.directory.path());
        command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
        command.args(&self.settings).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.stderr(Stdio::null()).spawn()?;
        let output = process.stdout.take();
        self.process = Some(process);
        let mut output = BufReader::new(output.ok_or_else(|| io::Error::other("no output"))?);
        let mut told = String::new();
        while output.read_line(&mut told)? > 0 {
            if told.lines().last().is_some_and(|line| line.contains("Ready to accept connections"))
            {
                // Read on, so that it never waits for a reader; ends with the process.
                std::thread::spawn(move || io::copy(&mut output.by_ref(), &mut io::sink()));
                return Ok(());
            }
        }
        self.kill()?;
        Err(io::Error::other(format!("redis-server ended early: {told}")))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // A process that cannot be killed is gone already.
        let _ = self.kill();
    }
}

fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    for item in fs::read_dir(from)? {
        let item = item?;
        let target = to.join(item.file_name());
        if item.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy_directory(&item.path(), &target)?;
        } else {
            fs::copy(item.path(), target)?;
        }
    }
    Ok(())
}
