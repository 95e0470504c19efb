use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// As a store does whose last write was not waited for.
#[test]
fn a_directory_goes_while_somebody_writes_into_it() {
    for _ in 0..20 {
        let directory = TestDirectory::new().unwrap();
        let path = directory.path().to_owned();
        let below = path.join("documents");
        fs::create_dir(&below).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let writer = std::thread::spawn({
            let over = over.clone();
            move || {
                let mut n = 0_u64;
                while !over.load(Ordering::Relaxed) {
                    n += 1;
                    // Fails once the directory is gone.
                    let _ = fs::write(below.join((n % 500).to_string()), b"x");
                }
            }
        });
        // Something is there before it is removed.
        while fs::read_dir(path.join("documents")).unwrap().next().is_none() {
            std::thread::yield_now();
        }
        drop(directory);
        over.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        let left = [path.clone(), path.with_extension("gone")].map(|path| path.exists());
        assert_eq!(left, [false, false]);
    }
}
