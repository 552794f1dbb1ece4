//! The strings and numbers of JSON, byte by byte.

use core::mem;

use super::reader::Malformed;

/// Whether there is more to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// It goes on.
    On,
    /// It has ended: a string with this byte, a number before it.
    End,
}

/// A string (RFC 8259 section 7), kept where it counts.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// What it says so far.
    kept: Vec<u8>,
    /// The most bytes that are kept; none where it does not count.
    longest: Option<usize>,
    state: State,
    /// A surrogate that has to be followed by its second half.
    high: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Plain,
    /// Behind a backslash.
    Escape,
    /// Behind `\u`: digits to come, and what those before say.
    Hex(u8, u32),
    /// Within a character: bytes to come, and what the next one may be.
    Utf8(u8, u8, u8),
}

impl Text {
    /// Another string begins.
    pub(super) fn begin(&mut self, longest: Option<usize>) {
        self.kept.clear();
        self.longest = longest;
        self.state = State::Plain;
        self.high = None;
    }

    /// How many bytes from here on say nothing: those of a string that does
    /// not count, to its end or the next escape.
    pub(super) fn skip(&self, bytes: &[u8]) -> usize {
        if self.longest.is_some() || !matches!(self.state, State::Plain) {
            return 0;
        }
        let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        bytes
            .iter()
            .position(|byte| !is_plain(byte))
            .unwrap_or(bytes.len())
    }

    /// The next byte of it.
    pub(super) fn byte(&mut self, byte: u8) -> Result<Run, Malformed> {
        match self.state {
            State::Plain => return self.plain(byte),
            State::Escape => self.escape(byte)?,
            State::Hex(left, code) => {
                let digit = char::from(byte).to_digit(16).ok_or(Malformed)?;
                let code = code << 4 | digit;
                if left > 1 {
                    self.state = State::Hex(left.saturating_sub(1), code);
                } else {
                    self.state = State::Plain;
                    self.unit(code)?;
                }
            }
            State::Utf8(left, low, high) => {
                if byte < low || byte > high {
                    return Err(Malformed);
                }
                self.state = if left > 1 {
                    State::Utf8(left.saturating_sub(1), 0x80, 0xbf)
                } else {
                    State::Plain
                };
                self.keep(byte)?;
            }
        }
        Ok(Run::On)
    }

    fn plain(&mut self, byte: u8) -> Result<Run, Malformed> {
        if byte != b'\\' && self.high.is_some() {
            return Err(Malformed);
        }
        // RFC 3629 section 4.
        self.state = match byte {
            b'"' => return Ok(Run::End),
            b'\\' => {
                self.state = State::Escape;
                return Ok(Run::On);
            }
            0x20..=0x7f => State::Plain,
            0xc2..=0xdf => State::Utf8(1, 0x80, 0xbf),
            0xe0 => State::Utf8(2, 0xa0, 0xbf),
            0xed => State::Utf8(2, 0x80, 0x9f),
            0xe1..=0xef => State::Utf8(2, 0x80, 0xbf),
            0xf0 => State::Utf8(3, 0x90, 0xbf),
            0xf1..=0xf3 => State::Utf8(3, 0x80, 0xbf),
            0xf4 => State::Utf8(3, 0x80, 0x8f),
            _ => return Err(Malformed),
        };
        self.keep(byte)?;
        Ok(Run::On)
    }

    fn escape(&mut self, byte: u8) -> Result<(), Malformed> {
        let character = match byte {
            b'u' => {
                self.state = State::Hex(4, 0);
                return Ok(());
            }
            b'"' | b'\\' | b'/' => byte,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            _ => return Err(Malformed),
        };
        if self.high.is_some() {
            return Err(Malformed);
        }
        self.state = State::Plain;
        self.keep(character)
    }

    /// A code unit of UTF-16. Half a character is let pass where the string
    /// does not count, as every reader of JSON lets it.
    fn unit(&mut self, unit: u32) -> Result<(), Malformed> {
        if self.longest.is_none() {
            return Ok(());
        }
        let code = match (self.high.take(), unit) {
            (None, 0xd800..=0xdbff) => {
                self.high = Some(unit);
                return Ok(());
            }
            (Some(high), 0xdc00..=0xdfff) => {
                ((high & 0x3ff) << 10 | (unit & 0x3ff)).saturating_add(0x1_0000)
            }
            (Some(_), _) => return Err(Malformed),
            (None, unit) => unit,
        };
        let character = char::from_u32(code).ok_or(Malformed)?;
        let mut bytes = [0; 4];
        for byte in character.encode_utf8(&mut bytes).bytes() {
            self.keep(byte)?;
        }
        Ok(())
    }

    /// Keeps a byte, where it counts.
    pub(super) fn keep(&mut self, byte: u8) -> Result<(), Malformed> {
        match self.longest {
            None => Ok(()),
            Some(longest) if self.kept.len() >= longest => Err(Malformed),
            Some(_) => {
                self.kept.push(byte);
                Ok(())
            }
        }
    }

    /// What it says, after its end.
    pub(super) fn take(&mut self) -> Result<Box<str>, Malformed> {
        let text = String::from_utf8(mem::take(&mut self.kept)).map_err(|_| Malformed)?;
        Ok(text.into())
    }
}

/// How much of a number there is (RFC 8259 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Minus,
    Zero,
    Whole,
    Dot,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl Number {
    /// The number that begins so.
    pub(super) fn begin(byte: u8) -> Result<Self, Malformed> {
        match byte {
            b'-' => Ok(Self::Minus),
            b'0' => Ok(Self::Zero),
            b'1'..=b'9' => Ok(Self::Whole),
            _ => Err(Malformed),
        }
    }

    /// The next byte, which may be the first one behind it.
    pub(super) fn byte(&mut self, byte: u8) -> Result<Run, Malformed> {
        *self = match (*self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Whole, b'0'..=b'9') => Self::Whole,
            (Self::Zero | Self::Whole, b'.') => Self::Dot,
            (Self::Dot | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Whole | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, b'0'..=b'9') => {
                Self::ExponentDigits
            }
            (Self::Zero | Self::Whole | Self::Fraction | Self::ExponentDigits, _) => {
                return Ok(Run::End);
            }
            (Self::Minus | Self::Dot | Self::Exponent | Self::ExponentSign, _) => {
                return Err(Malformed);
            }
        };
        Ok(Run::On)
    }
}
