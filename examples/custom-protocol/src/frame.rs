//! The protocol: four bytes of length, then headers, then the body.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// No frame is longer.
const MAX_LENGTH: usize = 1024 * 1024;

/// A header of a frame. There may be several of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is called, as the sender writes it.
    pub name: String,
    /// What it says.
    pub value: Vec<u8>,
}

/// A message: headers, and a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// In the order of the sender.
    pub headers: Vec<Header>,
    /// What it is about.
    pub body: Vec<u8>,
}

/// Why a frame can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// It says that it is longer than a frame may be.
    #[error("a frame of {0} bytes is longer than the 1 MiB that a frame may have")]
    TooLong(usize),
    /// It ends in the middle of a header.
    #[error("a frame ends in the middle of its headers")]
    Truncated,
}

impl Frame {
    /// Reads a frame.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or what comes is no frame.
    pub async fn read(input: &mut (impl AsyncRead + Unpin)) -> Result<Self, FrameError> {
        let length = usize::try_from(input.read_u32().await?).unwrap_or(usize::MAX);
        if length > MAX_LENGTH {
            return Err(FrameError::TooLong(length));
        }
        let mut bytes = vec![0; length];
        input.read_exact(&mut bytes).await?;
        Frame::parse(&bytes).ok_or(FrameError::Truncated)
    }

    fn parse(mut bytes: &[u8]) -> Option<Self> {
        fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
            let (taken, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Some(taken)
        }
        fn number(bytes: &mut &[u8]) -> Option<usize> {
            let number = take(bytes, 2)?.try_into().ok()?;
            Some(usize::from(u16::from_be_bytes(number)))
        }
        let count = number(&mut bytes)?;
        let mut headers = Vec::new();
        for _ in 0..count {
            let length = number(&mut bytes)?;
            let name = String::from_utf8_lossy(take(&mut bytes, length)?).into_owned();
            let length = number(&mut bytes)?;
            let value = take(&mut bytes, length)?.to_vec();
            headers.push(Header { name, value });
        }
        Some(Frame { headers, body: bytes.to_vec() })
    }

    /// Writes the frame.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or the frame is too long.
    pub async fn write(&self, output: &mut (impl AsyncWrite + Unpin)) -> Result<(), FrameError> {
        fn number(bytes: &mut Vec<u8>, number: usize) -> Result<(), FrameError> {
            let number = u16::try_from(number).map_err(|_| FrameError::TooLong(number))?;
            bytes.extend_from_slice(&number.to_be_bytes());
            Ok(())
        }
        let mut bytes = Vec::new();
        number(&mut bytes, self.headers.len())?;
        for Header { name, value } in &self.headers {
            for part in [name.as_bytes(), value] {
                number(&mut bytes, part.len())?;
                bytes.extend_from_slice(part);
            }
        }
        bytes.extend_from_slice(&self.body);
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if bytes.len() > MAX_LENGTH {
            return Err(FrameError::TooLong(bytes.len()));
        }
        output.write_u32(length).await?;
        output.write_all(&bytes).await?;
        Ok(output.flush().await?)
    }
}
