//! gRPC's framing: a byte for compression, four for the length, and the message. Pure.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use prost::Message as _;

use super::messages::Envelope;

const HEAD: usize = 5;

/// Above the largest request with what stands around it; a length beyond it is a fault and no message.
pub(super) const MESSAGE_MAX: usize = 256 << 20;

/// A stream that cannot be understood from here on.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("a message is compressed, which was not agreed on")]
    Compressed,
    #[error("a message of {0} bytes is longer than {MESSAGE_MAX}")]
    TooLong(usize),
    #[error(transparent)]
    Garbled(#[from] prost::DecodeError),
}

/// Puts messages together again, however the bytes were cut.
#[derive(Default)]
pub(super) struct Frames(BytesMut);

impl Frames {
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole message; none where more bytes are needed.
    pub(super) fn next(&mut self) -> Result<Option<Envelope>, FrameError> {
        let Some(mut head) = self.0.get(..HEAD) else {
            return Ok(None);
        };
        if head.get_u8() != 0 {
            return Err(FrameError::Compressed);
        }
        let length = head.get_u32() as usize;
        if length > MESSAGE_MAX {
            return Err(FrameError::TooLong(length));
        }
        if self.0.len() < HEAD + length {
            return Ok(None);
        }
        let frame = self.0.split_to(HEAD + length).freeze();
        Ok(Some(Envelope::decode(frame.slice(HEAD..))?))
    }
}

/// One message as it goes over the wire, in one piece.
pub(super) fn framed(envelope: &Envelope) -> Bytes {
    let length = envelope.encoded_len();
    let mut bytes = BytesMut::with_capacity(HEAD + length);
    bytes.put_u8(0);
    // Requests are bounded far below this.
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    envelope.encode_raw(&mut bytes);
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::super::messages::{Content, Log, Started};
    use super::*;

    fn envelope(content: Content) -> Envelope {
        Envelope {
            request_id: "r".to_owned(),
            content: Some(content),
        }
    }

    #[test]
    fn messages_survive_any_cut() {
        let sent = [
            envelope(Content::Started(Started {
                worker_id: "w".to_owned(),
            })),
            envelope(Content::Log(Log {
                level: 2,
                message: "x".repeat(300),
                category: 0,
            })),
            Envelope::default(),
        ];
        let bytes: Vec<u8> = sent.iter().flat_map(framed).collect();
        for size in [1, 4, 7, bytes.len()] {
            let (mut frames, mut heard) = (Frames::default(), Vec::new());
            for cut in bytes.chunks(size) {
                frames.extend(cut);
                while let Some(message) = frames.next().unwrap() {
                    heard.push(message);
                }
            }
            assert_eq!(heard, sent, "cut every {size} bytes");
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let refused = |bytes: &[u8]| {
            let mut frames = Frames::default();
            frames.extend(bytes);
            frames.next().unwrap_err().to_string()
        };
        assert!(refused(&[1, 0, 0, 0, 0]).contains("compressed"));
        assert!(refused(&[0, 0xff, 0xff, 0xff, 0xff]).contains("longer"));
        assert!(refused(&[0, 0, 0, 0, 1, 0xff]).contains("decode"));
    }
}
