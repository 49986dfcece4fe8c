//! The bytes of one connection, between its socket and the HTTP library: what arrives is counted, the library's own
//! refusals are not sent, and an answer may have begun before it was there.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::http::link::{Link, Out, Phase, State};

const HEAD_END: &[u8] = b"\r\n\r\n";
/// With these bytes any answer begins, whatever version the request had.
pub const BEGINNING: &[u8] = b"HTTP/1.1 ";
const OLD_BEGINNING: &[u8] = b"HTTP/1.0 ";
const GO_ON: &[u8] = b"HTTP/1.1 100 ";

/// One connection's bytes, as the HTTP library reads and writes them.
pub struct Wire {
    stream: Arc<TcpStream>,
    link: Arc<Link>,
}

impl Wire {
    /// Returns the bytes of a connection.
    pub fn new(stream: Arc<TcpStream>, link: Arc<Link>) -> Self {
        Self { stream, link }
    }

    /// Writes as much of `bytes` as the socket takes.
    fn write(&self, context: &mut Context<'_>, state: &mut State, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let polled = self.stream.poll_write_ready(context);
            if polled.is_pending() {
                state.blocked.get_or_insert_with(Instant::now);
            }
            ready!(polled)?;
            match self.stream.try_write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => {
                    state.gone = true;
                    return Poll::Ready(Err(error));
                }
                Ok(count) => return Poll::Ready(Ok(count)),
            }
        }
    }

    /// Writes what was taken before.
    fn flush(&self, context: &mut Context<'_>, state: &mut State) -> Poll<io::Result<()>> {
        while !state.pending.is_empty() {
            let pending = std::mem::take(&mut state.pending);
            let written = self.write(context, state, &pending);
            state.pending = pending;
            let count = ready!(written)?;
            state.pending.advance(count);
        }
        match state.out {
            Out::Within(0) => self.link.answered(state),
            Out::Within(_) => {}
            // what was written is no part of an answer
            Out::Start | Out::Swallow => state.blocked = None,
        }
        Poll::Ready(Ok(()))
    }

    /// Takes the head of an answer; returns how many bytes of `bytes` are done with, 0 if they are yet to be written.
    fn begin_answer(state: &mut State, bytes: &[u8]) -> io::Result<usize> {
        let Some(at) = bytes
            .windows(HEAD_END.len())
            .position(|window| window == HEAD_END)
        else {
            return Err(ErrorKind::InvalidData.into());
        };
        let length = at + HEAD_END.len();
        if bytes.starts_with(GO_ON) {
            state
                .pending
                .extend_from_slice(bytes.get(..length).unwrap_or_default());
            return Ok(length);
        }
        let Some(owed) = state.owed.take() else {
            state.out = Out::Swallow;
            return Ok(bytes.len());
        };
        if state.sent_ahead == 0 && !bytes.starts_with(OLD_BEGINNING) {
            state.out = Out::Within(length + owed);
            return Ok(0);
        }
        let mut head = BytesMut::from(BEGINNING);
        head.extend_from_slice(bytes.get(BEGINNING.len()..length).unwrap_or_default());
        head.advance(std::mem::take(&mut state.sent_ahead));
        state.pending.unsplit(head);
        state.out = Out::Within(owed);
        Ok(length)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.link.state();
        if state.phase == Phase::Head && state.head_bytes > self.link.limits().header_bytes {
            // the library has all of these bytes and wants more: the head is too long
            return Poll::Ready(Err(ErrorKind::InvalidData.into()));
        }
        if !state.ahead.is_empty() {
            let count = state.ahead.len().min(buffer.remaining());
            let bytes = state.ahead.split_to(count);
            if state.ahead.is_empty() {
                state.ahead = BytesMut::new();
            }
            buffer.put_slice(&bytes);
            return Poll::Ready(state.arrived(&bytes));
        }
        if state.read_ended {
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.stream.poll_read_ready(context))?;
            let before = buffer.filled().len();
            match self.stream.try_read_buf(buffer) {
                Ok(0) => {
                    state.read_ended = true;
                    return Poll::Ready(Ok(()));
                }
                Ok(_) => {
                    let bytes = buffer.filled().get(before..).unwrap_or_default();
                    return Poll::Ready(state.arrived(bytes));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => {
                    state.gone = true;
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.link.state();
        ready!(self.flush(context, &mut state))?;
        if state.out == Out::Start {
            let taken = Self::begin_answer(&mut state, bytes)?;
            if taken > 0 {
                let _ = self.flush(context, &mut state)?;
                return Poll::Ready(Ok(taken));
            }
        }
        let Out::Within(left) = state.out else {
            return Poll::Ready(Ok(bytes.len()));
        };
        let bytes = bytes.get(..left).unwrap_or(bytes);
        let count = ready!(self.write(context, &mut state, bytes))?;
        state.out = Out::Within(left - count);
        if left == count {
            self.link.answered(&mut state);
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.link.state();
        self.flush(context, &mut state)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // the connection's own end closes the socket, once the client has read the last answer
        self.poll_flush(context)
    }
}
