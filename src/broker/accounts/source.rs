//! Where accounts come from.

/// Where an account comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccountSource {
    /// The configuration, or the program that built the broker.
    Configuration,
    /// The admin API: it is in the store.
    Api,
    /// It authorised an open platform.
    Platform,
}

impl AccountSource {
    /// Returns the word for it in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Api => "api",
            Self::Platform => "platform",
        }
    }
}
