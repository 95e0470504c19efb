//! Where in an event's segments an entry stands. Holds only what is durable; knows no files' bytes.

use std::path::PathBuf;

use crate::entry::{Hash, Head};

/// Bytes between two marks: a read scans at most this much, and one frame, in vain.
const MARK_EVERY_BYTES: u64 = 32 << 10;

/// The durable entries of one event.
#[derive(Debug)]
pub(crate) struct Index {
    /// Oldest first.
    segments: Vec<Segment>,
    head: Head,
    genesis: Head,
}

#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    /// Head before its first entry.
    pub(crate) base: Head,
    /// Durable bytes.
    pub(crate) length: u64,
    /// First seq and offset of some frames, ascending.
    marks: Vec<(u64, u64)>,
}

/// Where to begin reading.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    /// Offset of a frame that begins at or before the wanted entry.
    pub(crate) offset: u64,
    /// End of the segment's durable bytes.
    pub(crate) end: u64,
}

impl Segment {
    pub(crate) fn new(path: PathBuf, base: Head, header_bytes: u64) -> Self {
        Self { path, base, length: header_bytes, marks: Vec::new() }
    }

    /// Takes in a frame that begins with `first` at the segment's end.
    pub(crate) fn push(&mut self, first: u64, frame_bytes: u64) {
        let due = self
            .marks
            .last()
            .is_none_or(|(_, offset)| self.length.saturating_sub(*offset) >= MARK_EVERY_BYTES);
        if due {
            self.marks.push((first, self.length));
        }
        self.length = self.length.saturating_add(frame_bytes);
    }
}

impl Index {
    pub(crate) fn new(genesis: Head) -> Self {
        Self { segments: Vec::new(), head: genesis, genesis }
    }

    pub(crate) fn head(&self) -> Head {
        self.head
    }

    /// Head before the first entry that is kept.
    pub(crate) fn base(&self) -> Head {
        self.segments.first().map_or(self.genesis, |segment| segment.base)
    }

    pub(crate) fn active(&self) -> Option<&Segment> {
        self.segments.last()
    }

    /// A new segment at the end.
    pub(crate) fn roll(&mut self, segment: Segment) {
        self.head = segment.base;
        self.segments.push(segment);
    }

    /// A segment at the end that a former process wrote, and the head after it.
    pub(crate) fn resume(&mut self, segment: Segment, head: Head) {
        self.segments.push(segment);
        self.head = head;
    }

    /// A frame is durable at the end of the active segment.
    pub(crate) fn push(&mut self, first: u64, after: Head, frame_bytes: u64) {
        if let Some(active) = self.segments.last_mut() {
            active.push(first, frame_bytes);
            self.head = after;
        }
    }

    /// Hash of `seq` where no file has to be read for it.
    pub(crate) fn hash_of(&self, seq: u64) -> Option<Hash> {
        let bases = self.segments.iter().map(|segment| segment.base);
        bases.chain([self.head]).find(|head| head.seq == seq).map(|head| head.hash)
    }

    /// Where the first kept entry after `after` stands; none at the log's end.
    pub(crate) fn place(&self, after: u64) -> Option<Place> {
        if after >= self.head.seq {
            return None;
        }
        let following = self.segments.partition_point(|segment| segment.base.seq <= after);
        let segment = self.segments.get(following.saturating_sub(1))?;
        let wanted = after.max(segment.base.seq).saturating_add(1);
        let following = segment.marks.partition_point(|(first, _)| *first <= wanted);
        let (_, offset) = segment.marks.get(following.saturating_sub(1))?;
        Some(Place { path: segment.path.clone(), offset: *offset, end: segment.length })
    }

    /// Gives up the segments whose entries are all at or before `through`, never the last one;
    /// returns their files, oldest first.
    pub(crate) fn trim(&mut self, through: u64) -> Vec<PathBuf> {
        let next_bases = self.segments.iter().skip(1);
        let count = next_bases.take_while(|next| next.base.seq <= through).count();
        self.segments.drain(..count).map(|segment| segment.path).collect()
    }
}
