//! What a hostcall answers.

/// The statuses of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok,
    /// No such thing.
    NotFound,
    /// Not now, or not so.
    BadArgument,
    /// The value cannot be written as bytes.
    SerializationFailure,
    /// The argument cannot be read.
    ParseFailure,
    /// The guest gave an address outside its memory.
    InvalidMemoryAccess,
    /// A queue has nothing.
    Empty,
    /// Someone else wrote first.
    CasMismatch,
    /// The host could not.
    InternalFailure,
    /// The host does not know how.
    Unimplemented,
}

impl Status {
    /// The number that the guest gets.
    pub(super) fn code(self) -> u32 {
        match self {
            Self::Ok => 0,
            Self::NotFound => 1,
            Self::BadArgument => 2,
            Self::SerializationFailure => 3,
            Self::ParseFailure => 4,
            Self::InvalidMemoryAccess => 6,
            Self::Empty => 7,
            Self::CasMismatch => 8,
            Self::InternalFailure => 10,
            Self::Unimplemented => 12,
        }
    }
}
