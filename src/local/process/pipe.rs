//! Reads what a process writes, line by line.

use std::{os::fd::AsFd, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::log::{LINE_MAX, LogRing, Stream};

/// Bytes taken from a pipe at once.
const CHUNK: usize = 8 * 1024;

/// One pipe being read until it closes.
pub(super) struct Pipe {
    reader: JoinHandle<()>,
    readers: Readers,
}

/// Asks whoever reads a pipe whether all that was written is in the log.
#[derive(Clone)]
pub(super) struct Readers(mpsc::UnboundedSender<oneshot::Sender<()>>);

impl Pipe {
    pub(super) fn read(
        pipe: impl AsyncRead + AsFd + Send + Unpin + 'static,
        stream: Stream,
        logs: &Arc<LogRing>,
    ) -> Self {
        let (asking, asked) = mpsc::unbounded_channel();
        let lines = Lines {
            logs: Arc::clone(logs),
            stream,
            line: Vec::new(),
        };
        Self {
            reader: tokio::spawn(read(pipe, lines, asked)),
            readers: Readers(asking),
        }
    }

    pub(super) fn readers(&self) -> Readers {
        self.readers.clone()
    }

    /// Waits until the pipe is closed and read.
    pub(super) async fn closed(self) {
        // A reader that panicked has read all that it will.
        drop(self.reader.await);
    }
}

impl Readers {
    /// Waits until whole lines that were in the pipe at this moment are in the log.
    pub(super) async fn caught_up(&self) {
        let (told, caught_up) = oneshot::channel();
        // A pipe that is closed has been read to its end.
        if self.0.send(told).is_ok() {
            drop(caught_up.await);
        }
    }
}

async fn read(
    mut pipe: impl AsyncRead + AsFd + Unpin,
    mut lines: Lines,
    mut asked: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
) {
    let mut chunk = [0; CHUNK];
    // Who is waiting, and how much there still is to read for them.
    let mut waiting: Option<(oneshot::Sender<()>, u64)> = None;
    loop {
        if let Some((asker, _)) = waiting.take_if(|(_, due)| *due == 0) {
            // Whoever asked may have given up.
            let _gone = asker.send(());
        }
        tokio::select! {
            biased;
            taken = pipe.read(&mut chunk) => {
                let Ok(taken @ 1..) = taken else { break };
                lines.take(&chunk[..taken]);
                if let Some((_, due)) = &mut waiting {
                    *due = due.saturating_sub(taken as u64);
                }
            }
            Some(asker) = asked.recv(), if waiting.is_none() => {
                // That nothing could be read says little: news of what is there may be on its way.
                let held = rustix::io::ioctl_fionread(&pipe).unwrap_or_default();
                waiting = Some((asker, held));
            }
        }
    }
    lines.end();
}

/// Cuts what comes into lines.
struct Lines {
    logs: Arc<LogRing>,
    stream: Stream,
    line: Vec<u8>,
}

impl Lines {
    fn take(&mut self, mut chunk: &[u8]) {
        while let Some(end) = chunk.iter().position(|byte| *byte == b'\n') {
            self.extend(&chunk[..end]);
            self.push();
            chunk = &chunk[end + 1..];
        }
        self.extend(chunk);
    }

    /// Beyond the longest line the rest is dropped, so that the writer never blocks.
    fn extend(&mut self, part: &[u8]) {
        let room = (LINE_MAX + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn push(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        self.logs.push(self.stream, text.trim_end_matches('\r'));
        self.line.clear();
    }

    fn end(&mut self) {
        if !self.line.is_empty() {
            self.push();
        }
    }
}
