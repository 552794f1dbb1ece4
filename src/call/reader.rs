//! Reads JSON-RPC messages as their bytes come.
//!
//! Two readers of one text must not find two calls in it, and the one that
//! counts is the server's. So this one takes only what can be read in one way:
//! well-formed JSON (RFC 8259) in UTF-8, no member of a message, of its `params`
//! or of their `_meta` twice however it is escaped, and none that is one of
//! those that count but for its case (some readers of JSON take `Method` for
//! `method`). What is inside of arguments, results and the like is looked at as
//! far as it has to be to find its end.
//!
//! Of a text of any length it holds the few members that count.

use core::mem;

use super::lexeme::{Number, Run, Text};

/// The text is not JSON-RPC that can be read in one way only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A member that should be a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Member {
    /// It is not there.
    #[default]
    Absent,
    /// It is something else than a text.
    Other,
    /// This text.
    Text(Box<str>),
}

/// The `id` of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Id {
    /// It is not there.
    #[default]
    Absent,
    /// It is neither a text nor a number.
    Other,
    /// A number, as it is written.
    Number(Box<str>),
    /// A text.
    Text(Box<str>),
}

/// What counts of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// `id`.
    pub(crate) id: Id,
    /// `method`.
    pub(crate) method: Option<Box<str>>,
    /// `params.name`.
    pub(crate) name: Member,
    /// `params.uri`.
    pub(crate) uri: Member,
    /// The revision in `params._meta`.
    pub(crate) version: Member,
    /// Whether there is `result` or `error`.
    pub(crate) is_response: bool,
    /// Whether it is one of a batch.
    pub(crate) in_batch: bool,
}

/// Members of which a message, its `params` or their `_meta` has at most so many.
const MOST_MEMBERS: usize = 128;

/// Levels of nesting, as many as other readers take at least.
const DEEPEST: usize = 127;

/// Bytes of the name of a member that is looked at, and of an `id`.
const LONGEST_KEY: usize = 256;

/// Bytes of a method, a name or a URI.
const LONGEST_TEXT: usize = 4_096;

/// The state between two bytes.
#[derive(Debug)]
pub(crate) struct Reader {
    at: At,
    /// The containers that are open, the innermost last: whether it is an object.
    open: Vec<bool>,
    /// How many containers are around a message: one in a batch.
    around: usize,
    /// How many of message, `params` and `_meta` are open.
    within: usize,
    /// The string that is being read.
    text: Text,
    /// What the value that comes is of.
    member: Known,
    message: Message,
    /// Hashes of the names of members of message, `params` and `_meta`.
    names: [Vec<u64>; 3],
    messages: usize,
}

/// What may come next.
#[derive(Debug)]
enum At {
    /// A value.
    Value,
    /// A value or `]`.
    ValueOrEnd,
    /// The name of a member.
    Key,
    /// The name of a member or `}`.
    KeyOrEnd,
    /// `:`
    Colon,
    /// `,` or the end of the container; at the end of all, nothing.
    After,
    /// The rest of a string; of a member's name, if so.
    String(bool),
    /// The rest of a number.
    Number(Number),
    /// The rest of `true`, `false` or `null`.
    Word(&'static [u8]),
}

/// Members that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Id,
    Meta,
    Method,
    Name,
    Other,
    Params,
    Response,
    Uri,
    Version,
}

/// The members that count in a message, in `params` and in `_meta`.
const KNOWN: [&[(&str, Known)]; 3] = [
    &[
        ("error", Known::Response),
        ("id", Known::Id),
        ("jsonrpc", Known::Other),
        ("method", Known::Method),
        ("params", Known::Params),
        ("result", Known::Response),
    ],
    &[
        ("_meta", Known::Meta),
        ("name", Known::Name),
        ("uri", Known::Uri),
    ],
    &[("io.modelcontextprotocol/protocolVersion", Known::Version)],
];

impl Reader {
    /// At the beginning.
    pub(crate) fn new() -> Self {
        Self {
            at: At::Value,
            open: Vec::new(),
            around: 0,
            within: 0,
            text: Text::default(),
            member: Known::Other,
            message: Message::default(),
            names: [const { Vec::new() }; 3],
            messages: 0,
        }
    }

    /// Reads on, and hands over each message that ends.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        each: &mut dyn FnMut(Message),
    ) -> Result<(), Malformed> {
        let mut rest = bytes;
        while let Some((byte, tail)) = rest.split_first() {
            if let At::String(_) = self.at {
                let plain = self.text.skip(rest);
                if plain > 0 {
                    rest = rest.get(plain..).unwrap_or(b"");
                    continue;
                }
            }
            self.byte(*byte, each)?;
            rest = tail;
        }
        Ok(())
    }

    /// Nothing more comes.
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if matches!(self.at, At::After) && self.open.is_empty() && self.messages > 0 {
            Ok(())
        } else {
            Err(Malformed)
        }
    }

    fn byte(&mut self, byte: u8, each: &mut dyn FnMut(Message)) -> Result<(), Malformed> {
        match &mut self.at {
            At::String(is_key) => {
                let is_key = *is_key;
                match self.text.byte(byte)? {
                    Run::On => Ok(()),
                    Run::End if is_key => self.key(),
                    Run::End => self.string(),
                }
            }
            At::Word(rest) => match rest.split_first() {
                Some((expected, tail)) if *expected == byte => {
                    *rest = tail;
                    if tail.is_empty() {
                        self.at = At::After;
                    }
                    Ok(())
                }
                Some(_) | None => Err(Malformed),
            },
            At::Number(number) => {
                if number.byte(byte)? == Run::On {
                    return self.text.keep(byte);
                }
                self.number()?;
                self.byte(byte, each)
            }
            At::Value | At::ValueOrEnd | At::Key | At::KeyOrEnd | At::Colon | At::After => {
                match byte {
                    b' ' | b'\t' | b'\n' | b'\r' => Ok(()),
                    byte => self.sign(byte, each),
                }
            }
        }
    }

    /// A byte between values that is no white space.
    fn sign(&mut self, byte: u8, each: &mut dyn FnMut(Message)) -> Result<(), Malformed> {
        match (&self.at, byte) {
            (At::ValueOrEnd | At::After, b']') | (At::KeyOrEnd | At::After, b'}') => {
                self.close(byte, each)
            }
            (At::Value | At::ValueOrEnd, byte) => self.value(byte),
            (At::Key | At::KeyOrEnd, b'"') => {
                // Names are read where members count.
                let longest = self.place().map(|_| LONGEST_KEY);
                self.text.begin(longest);
                self.at = At::String(true);
                Ok(())
            }
            (At::Colon, b':') => {
                self.at = At::Value;
                Ok(())
            }
            (At::After, b',') => {
                self.at = match self.open.last() {
                    Some(true) => At::Key,
                    Some(false) => At::Value,
                    None => return Err(Malformed),
                };
                Ok(())
            }
            _ => Err(Malformed),
        }
    }

    /// The place, of message, `params` and `_meta`, whose members come next.
    fn place(&self) -> Option<usize> {
        let place = self.within.checked_sub(1)?;
        let depth = self.around.saturating_add(self.within);
        (self.open.len() == depth).then_some(place)
    }

    /// The name of a member has ended.
    fn key(&mut self) -> Result<(), Malformed> {
        self.at = At::Colon;
        self.member = Known::Other;
        let Some(place) = self.place() else {
            return Ok(());
        };
        let name = self.text.take()?;
        let (Some(known), Some(names)) = (KNOWN.get(place), self.names.get_mut(place)) else {
            return Err(Malformed);
        };
        let hash = hash(name.as_bytes());
        if names.len() >= MOST_MEMBERS || names.contains(&hash) {
            return Err(Malformed);
        }
        names.push(hash);
        for (one, member) in *known {
            if *name == **one {
                self.member = *member;
            } else if same_but_for_case(one, &name) {
                return Err(Malformed);
            }
        }
        if self.member == Known::Response {
            self.message.is_response = true;
        }
        Ok(())
    }

    /// A value begins.
    fn value(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.within == 0 && !self.is_message(byte) {
            return Err(Malformed);
        }
        let member = if self.place().is_some() && self.open.last() == Some(&true) {
            self.member
        } else {
            Known::Other
        };
        let is_text = byte == b'"';
        match member {
            Known::Method if !is_text => return Err(Malformed),
            Known::Params if !matches!(byte, b'{' | b'n') => return Err(Malformed),
            Known::Id => self.message.id = Id::Other,
            Known::Name => self.message.name = Member::Other,
            Known::Uri => self.message.uri = Member::Other,
            Known::Version => self.message.version = Member::Other,
            Known::Meta | Known::Method | Known::Other | Known::Params | Known::Response => {}
        }
        // From here on what counts is known by this alone.
        self.member = member;
        self.at = match byte {
            b'{' => return self.enter(true),
            b'[' => return self.enter(false),
            b'"' => {
                self.text.begin(match member {
                    Known::Id => Some(LONGEST_KEY),
                    Known::Method | Known::Name | Known::Uri | Known::Version => Some(LONGEST_TEXT),
                    Known::Meta | Known::Other | Known::Params | Known::Response => None,
                });
                At::String(false)
            }
            b't' => At::Word(b"rue"),
            b'f' => At::Word(b"alse"),
            b'n' => At::Word(b"ull"),
            byte => {
                let number = Number::begin(byte)?;
                self.text
                    .begin((member == Known::Id).then_some(LONGEST_KEY));
                self.text.keep(byte)?;
                At::Number(number)
            }
        };
        Ok(())
    }

    /// Whether this can begin a message, or the batch around it.
    fn is_message(&self, byte: u8) -> bool {
        match self.open.len() {
            0 => matches!(byte, b'{' | b'['),
            1 => byte == b'{',
            _ => false,
        }
    }

    fn enter(&mut self, is_object: bool) -> Result<(), Malformed> {
        if self.open.len() >= DEEPEST {
            return Err(Malformed);
        }
        let counts = match (self.within, self.member) {
            (0, _) => is_object,
            (1, Known::Params) | (2, Known::Meta) => is_object && self.place().is_some(),
            _ => false,
        };
        self.open.push(is_object);
        if counts {
            if let Some(names) = self.names.get_mut(self.within) {
                names.clear();
            }
            self.within = self.within.saturating_add(1);
        } else if self.within == 0 {
            self.around = 1;
        }
        self.member = Known::Other;
        self.at = if is_object {
            At::KeyOrEnd
        } else {
            At::ValueOrEnd
        };
        Ok(())
    }

    fn close(&mut self, byte: u8, each: &mut dyn FnMut(Message)) -> Result<(), Malformed> {
        let counted = self.place().is_some();
        if self.open.pop() != Some(byte == b'}') {
            return Err(Malformed);
        }
        if counted {
            self.within = self.within.saturating_sub(1);
            if self.within == 0 {
                self.messages = self.messages.saturating_add(1);
                self.message.in_batch = self.around > 0;
                each(mem::take(&mut self.message));
            }
        }
        self.member = Known::Other;
        self.at = At::After;
        Ok(())
    }

    /// A string has ended that is a value.
    fn string(&mut self) -> Result<(), Malformed> {
        self.at = At::After;
        match mem::replace(&mut self.member, Known::Other) {
            Known::Id => self.message.id = Id::Text(self.text.take()?),
            Known::Method => self.message.method = Some(self.text.take()?),
            Known::Name => self.message.name = Member::Text(self.text.take()?),
            Known::Uri => self.message.uri = Member::Text(self.text.take()?),
            Known::Version => self.message.version = Member::Text(self.text.take()?),
            Known::Meta | Known::Other | Known::Params | Known::Response => {}
        }
        Ok(())
    }

    /// A number has ended.
    fn number(&mut self) -> Result<(), Malformed> {
        self.at = At::After;
        if mem::replace(&mut self.member, Known::Other) == Known::Id {
            self.message.id = Id::Number(self.text.take()?);
        }
        Ok(())
    }
}

/// FNV-1a. Who makes two names collide has a message refused that had them.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Whether a reader that does not look at case could take `name` for `known`,
/// which is in lower case: also by the characters beyond ASCII that become
/// letters of ASCII in another case.
fn same_but_for_case(known: &str, name: &str) -> bool {
    let mut folded = name.chars().map(|character| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        '\u{130}' | '\u{131}' => 'i',
        other => other.to_ascii_lowercase(),
    });
    known
        .chars()
        .all(|character| folded.next() == Some(character.to_ascii_lowercase()))
        && folded.next().is_none()
}

#[cfg(test)]
mod tests;
